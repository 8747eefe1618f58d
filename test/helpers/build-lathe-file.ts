import { createHash } from 'node:crypto';
import type { LatheFile } from '../../core/contract/lathe-file.ts';
import { recipeSchema } from '../../core/contract/recipe.ts';

/** SHA-256 of a text's UTF-8 bytes, as `lathe.json` is sealed with. */
export function sha256OfText(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The content of a sound `lathe.json` of a model with one tensor. */
export function buildLatheContent(): Omit<LatheFile, 'integrity'> {
  const sha256 = sha256OfText('');
  return {
    schema: 1,
    program: { name: 'lathe', version: '0.1.0' },
    method: 'split-plane',
    lossless: true,
    recipe: recipeSchema.parse({ lathe: 1, steps: [{ step: 'encode', codec: 'split-plane' }] }),
    seed: null,
    source: {
      kind: 'folder',
      architecture: null,
      parameters: 4,
      storedBytes: 8,
      files: [{ path: 'model.safetensors', bytes: 108, sha256 }],
      emptyFolders: ['empty'],
    },
    output: {
      storedBytes: 6,
      fileBytes: 500,
      bitsPerWeight: 12,
      files: [{ path: 'model.safetensors.splane', bytes: 500, sha256 }],
    },
    tensors: [
      {
        name: 'a',
        canonicalName: 'a',
        dtype: 'BF16',
        shape: [2, 2],
        method: 'split-plane',
        storedBytes: 6,
        bitsPerWeight: 12,
        error: 0,
        file: 'model.safetensors.splane',
      },
    ],
    notes: ['größe "integrity": ""'],
    original: { headers: { 'model.safetensors': 'AAAA' }, files: {}, renamed: { 'a.json': 'a.json.kept' } },
  };
}
