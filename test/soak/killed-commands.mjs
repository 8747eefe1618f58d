/** The commands that are killed: how each is started, gone on with, and judged. */
import { join } from 'node:path';
import { inRepository } from '../../scripts/run-command.mjs';

export const SAMPLE = inRepository('examples/models/docs-llama-7m');
const TEXTS = [inRepository('examples/texts/docs.test.txt')];
export const CODECS = ['dfloat11', 'split-plane'];

/**
 * A command that is killed.
 *
 * @typedef {object} KilledCommand
 * @property {string} name for people
 * @property {string} output what it writes, a name below the place's `out`
 * @property {(output: string) => string[]} args
 * @property {boolean} isResumable `--resume` goes on with it; else it is done anew
 * @property {Record<string, string>} [env] more of its environment
 * @property {(document: object) => unknown} figures of its result document: what must not differ
 */

/** Each record synced before the next item begins: a run of a tenth of a second has then something to keep. */
const EVERY_RECORD = { LATHE_JOURNAL_GROUP_MS: '0' };

export function compressCommand(what, model, codec, { syncsEvery = false } = {}) {
  const recipe = inRepository(`examples/recipes/lossless-${codec}.yaml`);
  return {
    name: `compress ${what}, ${codec}${syncsEvery ? ', every record synced' : ''}`,
    env: syncsEvery ? EVERY_RECORD : {},
    output: 'compressed',
    args: (output) => ['compress', model, '-o', output, '--recipe', recipe, '--threads', '1'],
    isResumable: true,
    figures: ({ verified, storedBytes, fileBytes }) => ({ verified, storedBytes, fileBytes }),
  };
}

export function restoreCommand(what, compressed) {
  return {
    name: `restore ${what}`,
    output: 'restored',
    args: (output) => ['restore', compressed, '-o', output, '--threads', '1'],
    isResumable: false,
    figures: ({ lossless, filesIdentical, files }) => ({ lossless, filesIdentical, files }),
  };
}

/** What the clock decides is another in every run. */
function withoutTimes(text) {
  const figures = Object.entries(text).filter(([key]) => !/^(?:seconds|cpuSeconds|tokensPerSecond)$/.test(key));
  return Object.fromEntries(figures);
}

export function evaluateCommand(tokens) {
  return {
    name: `evaluate the sample, ${tokens.toLocaleString('en')} tokens`,
    output: 'tokens.bin',
    args: (output) => [
      ...['evaluate', SAMPLE, '--text', ...TEXTS, '--context', '64', '--limit-tokens', String(tokens)],
      ...['--tokens-out', output, '--threads', '1'],
    ],
    isResumable: true,
    figures: ({ texts }) => texts.map(withoutTimes),
  };
}

/** A folder of one killed run: its output's path, and its LATHE_HOME. */
export function placeBelow(work, name, { output, env }) {
  const folder = join(work, name);
  return { folder, out: join(folder, 'out'), output: join(folder, 'out', output), home: join(folder, 'home'), env };
}
