import type { Plane } from '../../kernels/kernels.ts';
import { isSafetensorsName } from '../../model/file-kinds.ts';

const ENDING = '.splane';
/** A book entry in the JSON stands for a symbol and its 12-bit frequency, as the specification counts it. */
const BOOK_ENTRY_BYTES = 3;

/** `model.safetensors` becomes `model.safetensors.splane`. */
export function splitPlaneName(path: string): string {
  return path + ENDING;
}

/** The source's path; a file that somebody renamed gets the usual ending. */
export function sourceNameOf(splitPlanePath: string): string {
  const name = splitPlanePath.endsWith(ENDING) ? splitPlanePath.slice(0, -ENDING.length) : splitPlanePath;
  return isSafetensorsName(name) ? name : `${name}.safetensors`;
}

/** Stored payload of a tensor: its blobs and books. */
export function storedSplitPlaneBytes(planes: readonly Plane[]): number {
  return planes.reduce((sum, { bytes, book }) => sum + bytes + BOOK_ENTRY_BYTES * (book?.length ?? 0), 0);
}
