import { ModelError } from '../../errors.ts';
import { quoted } from '../../quoted.ts';
import type { PlacedFile } from './copy-other-files.ts';
import type { OriginalParts, SourceFile, WorkContext } from './work.ts';

/**
 * Reads what the output's layout cannot hold: the headers of the weight files, whole small files, and which files stand
 * under another name.
 *
 * @param kept paths of files to keep whole
 * @returns the parts, and the digests of the files kept whole
 * @throws ModelError MODEL_CHANGED if one of them changed in between
 */
export async function keepOriginals(
  { model, access, kernels, call }: WorkContext,
  placed: readonly PlacedFile[],
  kept: readonly string[],
): Promise<{ original: OriginalParts; digests: SourceFile[] }> {
  const headers = new Map<string, Uint8Array>();
  for (const { path, header } of model.weightFiles) {
    headers.set(path, await access.read(`${model.root}/${path}`, 0, header.headerBytes));
  }
  const files = new Map<string, Uint8Array>();
  const digests: SourceFile[] = [];
  for (const path of kept) {
    const { sizeBytes, sha256 } = await kernels.digestFile(`${model.root}/${path}`, call());
    const bytes = await access.read(`${model.root}/${path}`, 0, sizeBytes);
    digests.push({ path, bytes: sizeBytes, sha256 });
    if ((await access.stat(`${model.root}/${path}`))?.sizeBytes !== sizeBytes) throw changed(path);
    files.set(path, bytes);
  }
  const renamed = placed.filter(({ file, to }) => file.path !== to);
  const original = { headers, files, renamed: new Map(renamed.map(({ file, to }) => [file.path, to])) };
  return { original, digests };
}

function changed(path: string): ModelError {
  return new ModelError({
    code: 'MODEL_CHANGED',
    what: `${quoted(path)} changed while it was read.`,
    where: { file: path },
    whatToDo: 'Let nothing change the model, and run it again.',
  });
}
