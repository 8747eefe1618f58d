/** Runs a recipe on a model and measures what came of it, each thing once. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readTokenFile } from '../interop/token-file.mjs';
import { inRepository, runCommand, Stop } from '../run-command.mjs';

const TEXTS = inRepository('examples', 'texts');
export const CONTEXT = 256;
export const CALIBRATION = { text: [join(TEXTS, 'docs.calibration.txt')], sequences: 64, sequenceLength: 256, seed: 0 };
export const TEST_TEXT = join(TEXTS, 'docs.test.txt');

/** @returns the JSON document, or its error where the command ended with `mayFail` */
export async function lathe(work, args, mayFail = null) {
  const env = { LATHE_HOME: join(work, 'home') };
  const program = inRepository('dist', 'cli', 'lathe.js');
  const options = { env, output: 'capture' };
  const { code, stdout, stderr } = await runCommand(process.execPath, [program, ...args, '--json'], options);
  const document = JSON.parse(stdout);
  if (code === 0 || document.error?.code === mayFail) return document;
  throw new Stop(`lathe ${args.join(' ')} ended with ${code}:\n${stderr}${stdout}`);
}

/**
 * @param recipe of one quantize step, with or without calibration
 * @returns null where its budget is below the smallest formats; else the result with `divergences`: a mean a window, in nats
 */
export async function runRecipe(model, recipe, work, windows) {
  const file = join(work, 'recipe.json');
  const output = join(work, 'output');
  writeFileSync(file, JSON.stringify({ lathe: 1, ...recipe }));
  const args = ['compress', model.folder, '-o', output, '--recipe', file];
  const result = await lathe(work, args, 'ALLOCATION_BUDGET_TOO_SMALL');
  if (result.error !== undefined) return null;
  const measured = await evaluate(output, model, work, windows);
  rmSync(output, { recursive: true });
  return { ...result, ...measured };
}

/** Perplexity, divergence from the model, and the divergence's mean in each window. */
export async function evaluate(path, model, work, windows) {
  const tokens = join(work, 'tokens');
  const limits = ['--context', String(CONTEXT), '--limit-tokens', String(CONTEXT * windows)];
  const asked = ['evaluate', path, '--reference', model.folder, '--text', TEST_TEXT, ...limits];
  const { perplexity, klDivergence } = await lathe(work, [...asked, '--tokens-out', tokens]);
  const { columns } = readTokenFile(tokens);
  rmSync(tokens);
  const each = CONTEXT - 1;
  const divergences = Array.from({ length: columns.kl.length / each }, (_, window) => {
    return columns.kl.slice(window * each, (window + 1) * each).reduce((sum, one) => sum + one, 0) / each;
  });
  return { perplexity, klDivergence, divergences };
}
