import {
  parseSafetensorsHeader,
  readHeaderLength,
  type SafetensorsHeader,
} from '../formats/safetensors/safetensors-header.ts';
import {
  parseSplitPlaneHeader,
  readSplitPlaneHeaderLength,
  type SplitPlaneHeader,
} from '../formats/split-plane/split-plane-header.ts';
import type { FileAccess } from './file-access.ts';
import type { FolderFile } from './model-folder.ts';

/**
 * Reads and checks the header of one safetensors file.
 *
 * @throws FormatError as `readHeaderLength` and `parseSafetensorsHeader`; what `access` throws
 */
export async function readSafetensorsHeader(
  root: string,
  file: FolderFile,
  access: FileAccess,
): Promise<SafetensorsHeader> {
  const path = `${root}/${file.path}`;
  const origin = { file: file.path, fileSizeBytes: file.sizeBytes };
  const length = readHeaderLength(await access.read(path, 0, Math.min(8, file.sizeBytes)), origin);
  return parseSafetensorsHeader(await access.read(path, 8, length), origin);
}

/**
 * Reads and checks the header of one `.splane` file.
 *
 * @throws FormatError as `readSplitPlaneHeaderLength` and `parseSplitPlaneHeader`; what `access` throws
 */
export async function readSplitPlaneHeader(
  root: string,
  file: FolderFile,
  access: FileAccess,
): Promise<SplitPlaneHeader> {
  const path = `${root}/${file.path}`;
  const origin = { file: file.path, fileSizeBytes: file.sizeBytes };
  const length = readSplitPlaneHeaderLength(await access.read(path, 0, Math.min(16, file.sizeBytes)), origin);
  return parseSplitPlaneHeader(await access.read(path, 16, length), origin);
}
