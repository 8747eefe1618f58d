import type { OpenedModel } from '../../core/model/open-model.ts';
import { nodeFileAccess } from './node-file-access.ts';

/** Beside weights that were named as a file or an index: what says how to run them. */
const SIDE_FILES = ['chat_template.jinja', 'config.json', 'tokenizer.json', 'tokenizer_config.json'];

/** Paths of files that are no part of a model that is one file, but decide what it is; none of a folder, or of a GGUF file. */
export async function sideFiles({ kind, openedAs, root }: OpenedModel): Promise<string[]> {
  if (openedAs === 'folder' || kind === 'gguf') return [];
  const found: string[] = [];
  for (const path of SIDE_FILES) {
    if ((await nodeFileAccess.stat(`${root}/${path}`))?.kind === 'file') found.push(path);
  }
  return found;
}
