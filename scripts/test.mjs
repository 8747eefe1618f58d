/**
 * `npm test`: makes the clone ready, builds, checks, and runs every test of every runner. The last line alone says
 * `N passed, N failed` over all of them; a step of the build or the checks counts as one.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, cargoTargetFolder } from './build.mjs';
import { countCargoTests, countVitestTests, formatCounts, sumCounts } from './count-tests.mjs';
import { formatDuration, isProgram, runCommand, Stop } from './run-command.mjs';
import { allVitestArguments, CHECK_STEPS, runSteps } from './run-steps.mjs';
import { setup } from './setup.mjs';

/** Runs a step that must not throw; its end counts as one test. */
async function runAsOne(run) {
  try {
    await run();
    return { passed: 1, failed: 0, skipped: 0 };
  } catch (error) {
    console.error(error instanceof Stop ? error.message : error);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

async function runChecks() {
  const failed = await runSteps(CHECK_STEPS);
  return { passed: CHECK_STEPS.length - failed.length, failed: failed.length, skipped: 0 };
}

async function runCargoTests() {
  const args = ['test', '--manifest-path', 'native-kernels/Cargo.toml', '--workspace', '--locked', '--no-fail-fast'];
  const env = { CARGO_TARGET_DIR: cargoTargetFolder() };
  const { code, stdout } = await runCommand('cargo', args, { env, output: 'both' });
  return countCargoTests(stdout, code);
}

async function runVitest() {
  const folder = mkdtempSync(join(tmpdir(), 'lathe-test-'));
  try {
    const path = join(folder, 'vitest.json');
    const { code } = await runCommand(process.execPath, allVitestArguments(path));
    let report = null;
    try {
      report = JSON.parse(readFileSync(path, 'utf8'));
    } catch {
      // Vitest ended before it wrote one; the exit code says so.
    }
    return countVitestTests(report, code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function test() {
  const results = [];
  async function add(name, run) {
    const startedAt = performance.now();
    const count = await run();
    results.push({ name, count, durationMs: performance.now() - startedAt });
    return count;
  }
  const ready = await add('setup', () => runAsOne(setup));
  if (ready.failed === 0) {
    await add('build', () => runAsOne(build));
    await add('checks', runChecks);
    await add('cargo test', runCargoTests);
    await add('vitest', runVitest);
  }
  console.log();
  for (const { name, count, durationMs } of results) {
    console.log(`${name.padEnd(10)}  ${formatCounts(count)}  (${formatDuration(durationMs)})`);
  }
  const total = sumCounts(results.map(({ count }) => count));
  console.log(formatCounts(total));
  if (total.failed > 0) process.exitCode = 1;
}

if (isProgram(import.meta.url)) await test();
