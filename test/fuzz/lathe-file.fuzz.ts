import { expect, test } from 'vitest';
import { parseLatheFile, writeLatheFile, type LatheFile } from '../../core/contract/lathe-file.ts';
import { isPlainRelativePath } from '../../core/relative-path.ts';
import { buildLatheContent, sha256OfText } from '../helpers/build-lathe-file.ts';
import { mutateBytes, mutateValue } from '../helpers/fuzz-mutations.ts';
import type { FuzzRandom } from '../helpers/fuzz-random.ts';
import { runFuzz } from '../helpers/run-fuzz.ts';

function makeText(random: FuzzRandom): string {
  const value = random.once(4) ? buildLatheContent() : mutateValue(random, buildLatheContent());
  // A forger seals what was changed.
  const text = writeLatheFile(value as LatheFile, sha256OfText);
  return random.once(3) ? new TextDecoder().decode(mutateBytes(random, new TextEncoder().encode(text))) : text;
}

function readText(text: string): void {
  const { source, output, original } = parseLatheFile(text, 'lathe.json', sha256OfText);
  const paths = [
    ...[...source.files, ...output.files].map(({ path }) => path),
    ...source.emptyFolders,
    ...Object.keys(original.headers),
    ...Object.keys(original.files),
    ...Object.entries(original.renamed).flat(),
  ];
  expect(paths.filter((path) => !isPlainRelativePath(path))).toEqual([]);
}

test('lathe.json', async () => {
  const { outcomes } = await runFuzz(makeText, readText, (text) => JSON.stringify(text).slice(0, 8000));
  expect(outcomes.get('accepted')).toBeGreaterThan(0);
});
