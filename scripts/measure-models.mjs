/** Runs `measure-passes.ts` in a process of its own, bundled as the program is. */
import { bundleProgram } from './bundle-program.mjs';
import { inRepository } from './run-command.mjs';
import { outputOf } from './time-process.mjs';

/** @returns the bundle's path */
export function bundleMeasurer() {
  return bundleProgram('test/bench/evaluate/measure-passes.ts');
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

/** Tokens per CPU second (medians over the rounds) and where the time went. */
export async function measurePasses(bundle, { model, text, windows, context, threads, rounds }) {
  const kernels = inRepository('dist/native/lathe-kernels.node');
  const args = [bundle, model, text, windows, context, threads, rounds, kernels].map(String);
  const env = { ORT_DISABLE_TELEMETRY: '1' };
  const measured = JSON.parse(await outputOf(process.execPath, args, { env }));
  const rateOf = (times, key) => median(times.map((time) => measured.tokens / time[key]));
  return {
    ...measured,
    // Round by round, so that a busy minute of the machine hits both.
    ratio: median(measured.byBlocks.map(({ cpuSeconds }, round) => measured.byMonolith[round].cpuSeconds / cpuSeconds)),
    blocksPerCpuSecond: rateOf(measured.byBlocks, 'cpuSeconds'),
    monolithPerCpuSecond: rateOf(measured.byMonolith, 'cpuSeconds'),
    blocksPerSecond: rateOf(measured.byBlocks, 'seconds'),
    monolithPerSecond: rateOf(measured.byMonolith, 'seconds'),
  };
}
