/**
 * `npm run fuzz -- [TARGET…] [--seconds N] [--seed N]`: throws made-up input at parsers and decoders, on request only.
 *
 * A target is either a Rust example `native-kernels/crates/kernels/examples/fuzz_NAME.rs` or a test file
 * `test/fuzz/NAME.fuzz.ts`. Both read LATHE_FUZZ_SECONDS and LATHE_FUZZ_SEED, and print the seed of what they find.
 */
import { existsSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { build, cargoTargetFolder } from './build.mjs';
import { inRepository, isProgram, packageProgram, runCommand, runProgram, Stop } from './run-command.mjs';
import { setup } from './setup.mjs';

/** Long enough to walk through every branch of a small parser many times. */
const DEFAULT_SECONDS = 60;

function namesIn(folder, pattern) {
  const path = inRepository(folder);
  const files = existsSync(path) ? readdirSync(path) : [];
  return files.map((file) => pattern.exec(file)?.[1]).filter((name) => name !== undefined);
}

function findTargets() {
  const manifest = ['--manifest-path', 'native-kernels/Cargo.toml', '--package', 'lathe-kernels'];
  const rust = namesIn('native-kernels/crates/kernels/examples', /^fuzz_(.+)\.rs$/).map((name) => ({
    name,
    command: 'cargo',
    args: ['run', '--release', '--locked', ...manifest, '--example', `fuzz_${name}`],
  }));
  const typescript = namesIn('test/fuzz', /^(.+)\.fuzz\.ts$/).map((name) => ({
    name,
    command: process.execPath,
    args: [packageProgram('vitest', 'vitest.mjs'), 'run', '--project', 'fuzz', `test/fuzz/${name}.fuzz.ts`],
  }));
  return [...rust, ...typescript];
}

async function fuzz() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { seconds: { type: 'string' }, seed: { type: 'string' } },
  });
  const targets = findTargets();
  const names = targets.map(({ name }) => name);
  const unknown = positionals.filter((name) => !names.includes(name));
  if (unknown.length > 0 || targets.length === 0) {
    throw new Stop(`No such target: ${unknown.join(', ') || 'any'}. There are: ${names.join(', ') || '(none yet)'}`);
  }
  await setup();
  await build();
  const env = {
    CARGO_TARGET_DIR: cargoTargetFolder(),
    LATHE_FUZZ_SECONDS: values.seconds ?? String(DEFAULT_SECONDS),
    LATHE_FUZZ_SEED: values.seed ?? String(Date.now()),
  };
  const failed = [];
  for (const { name, command, args } of targets) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    console.log(`fuzz: ${name}, ${env.LATHE_FUZZ_SECONDS} s, seed ${env.LATHE_FUZZ_SEED}`);
    if ((await runCommand(command, args, { env })).code !== 0) failed.push(name);
  }
  if (failed.length > 0) throw new Stop(`fuzz: found something in ${failed.join(', ')} (seed ${env.LATHE_FUZZ_SEED})`);
}

if (isProgram(import.meta.url)) await runProgram(fuzz);
