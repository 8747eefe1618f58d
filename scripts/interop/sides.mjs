/** Both sides of a comparison as the parts ask them: Lathe's commands and token ids, llama.cpp in a process of its own. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundleProgram } from '../bundle-program.mjs';
import { inRepository } from '../run-command.mjs';
import { outputOf } from '../time-process.mjs';
import { ensureLlama, ensureSmolLm2 } from './peers-folder.mjs';
import { readTokenFile } from './token-file.mjs';

export const SAMPLE = inRepository('examples/models/docs-llama-7m');
export const TEXTS = ['docs.test', 'narrative.test', 'docs.calibration', 'narrative.calibration'];

export function textPath(name) {
  return inRepository('examples/texts', `${name}.txt`);
}

/** Runs a Lathe command; its JSON document. */
export async function lathe(work, ...args) {
  const env = { LATHE_HOME: join(work, 'home') };
  const printed = await outputOf(process.execPath, [inRepository('dist/cli/lathe.js'), ...args, '--json', '--quiet'], {
    env,
  });
  return JSON.parse(printed);
}

/** The published model's GGUF file, and what `lathe restore` makes of it in BF16; made once a run. */
export async function smolLm2Models(work) {
  const gguf = await ensureSmolLm2();
  const bf16 = join(work, 'SmolLM2-135M-Instruct');
  if (!existsSync(bf16)) await lathe(work, 'restore', gguf, '-o', bf16, '--dtype', 'bf16');
  return { gguf, bf16 };
}

/** A GGUF file of a model by `lathe export`; made once a run. */
export async function exportGguf(work, model, name, type) {
  const path = join(work, `${name}.${type}.gguf`);
  if (!existsSync(path)) await lathe(work, 'export', model, '--to', 'gguf', '--type', type, '-o', path);
  return path;
}

/** Evaluates the first windows of a text; the JSON document, with the windows' ids and the figures of every token. */
export async function evaluateTokens(work, model, { text, context, windows }) {
  const path = join(work, 'evaluated.tokens');
  const limits = ['--context', String(context), '--limit-tokens', String(windows * context)];
  const args = [model, '--text', textPath(text), ...limits, '--tokens-out', path, '--force'];
  const result = await lathe(work, 'evaluate', ...args);
  const { columns } = readTokenFile(path);
  const ids = Array.from({ length: result.windows }, (_, window) => [
    ...columns.token.subarray(window * context, (window + 1) * context),
  ]);
  return { ...result, ids, nll: columns.nll };
}

/** @returns ids by name of text */
export async function latheTokens(work, model, texts) {
  const bundle = await bundleProgram('test/interop/lathe-tokens.ts');
  const [asked, answer] = [join(work, 'texts.json'), join(work, 'tokens.json')];
  writeFileSync(asked, JSON.stringify(texts));
  await outputOf(process.execPath, [bundle, model, asked, answer]);
  return JSON.parse(readFileSync(answer, 'utf8'));
}

/** Asks llama.cpp about one model file, as `llama-side.mjs` says. */
export async function askLlama(work, asked) {
  const entry = await ensureLlama();
  const [askedPath, answerPath] = [join(work, 'asked.json'), join(work, 'answer.json')];
  writeFileSync(askedPath, JSON.stringify(asked));
  await outputOf(process.execPath, [inRepository('scripts/interop/llama-side.mjs'), entry, askedPath, answerPath]);
  return JSON.parse(readFileSync(answerPath, 'utf8'));
}
