/** The built program's commands as the benchmark starts them. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { inRepository, Stop } from '../../../scripts/run-command.mjs';
import { outputOf } from '../../../scripts/time-process.mjs';

export const CODECS = ['dfloat11', 'split-plane'];

/** Command and arguments of `lathe …`; `work` is where LATHE_HOME lies. */
export function lathe(work, ...args) {
  const env = { LATHE_HOME: join(work, 'home') };
  return { command: process.execPath, args: [inRepository('dist/cli/lathe.js'), ...args, '--json', '--quiet'], env };
}

export function compressCommand(work, model, output, codec, ...more) {
  const recipe = inRepository(`examples/recipes/lossless-${codec}.yaml`);
  return {
    ...lathe(work, 'compress', model, '-o', output, '--recipe', recipe, ...more),
    before: () => removeFolder(output),
  };
}

export function restoreCommand(work, compressed, output, ...more) {
  return { ...lathe(work, 'restore', compressed, '-o', output, ...more), before: () => removeFolder(output) };
}

export function removeFolder(path) {
  rmSync(path, { recursive: true, force: true });
}

/** Runs a command and parses its JSON document. */
export async function resultOf({ command, args, env, before }) {
  before?.();
  return JSON.parse(await outputOf(command, args, { env }));
}

/** SHA-256 of every file below a folder, by path, computed here and not by Lathe. */
async function digests(folder) {
  const paths = readdirSync(folder, { recursive: true }).filter((path) => statSync(join(folder, path)).isFile());
  const entries = [];
  for (const path of paths.sort()) {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(join(folder, path), { highWaterMark: 1 << 22 })) hash.update(chunk);
    entries.push([path, hash.digest('hex')]);
  }
  return JSON.stringify(entries);
}

/** Compresses, restores and compares every file: nothing is timed that does not give every byte back. */
export async function proveRoundTrip(work, model, compressed, restored, codec) {
  const result = await resultOf(compressCommand(work, model, compressed, codec));
  if (result.verified !== true) throw new Stop(`${codec}: the output was not verified.`);
  await resultOf(restoreCommand(work, compressed, restored));
  if ((await digests(model)) !== (await digests(restored))) throw new Stop(`${codec}: not restored byte for byte.`);
  return result;
}

/** Bytes of all files below a folder, or of one file. */
export function storedBytesOf(path) {
  if (!existsSync(path)) throw new Stop(`${path} is missing.`);
  if (!statSync(path).isDirectory()) return statSync(path).size;
  return readdirSync(path, { recursive: true }).reduce((sum, name) => {
    const facts = statSync(join(path, name));
    return sum + (facts.isFile() ? facts.size : 0);
  }, 0);
}
