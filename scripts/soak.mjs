/**
 * `npm run soak -- [--short] [--seed N] [--only PART,PART…] [--folder DIR] [--report]`: builds, then lets the program live
 * through what a long week brings: kills, a thousand jobs in one process, models ten times the memory, other threads.
 *
 * Parts: kills, leaks, memory, bytes; about 15 minutes, with `--short` about 2. Ends with 1 if anything failed.
 */
import { build } from './build.mjs';
import { inRepository, isProgram, runCommand, runProgram } from './run-command.mjs';
import { setup } from './setup.mjs';

async function soak() {
  await setup();
  await build();
  const { code } = await runCommand(process.execPath, [
    inRepository('test/soak/soak-run.mjs'),
    ...process.argv.slice(2),
  ]);
  process.exitCode = code ?? 1;
}

if (isProgram(import.meta.url)) await runProgram(soak);
