/** Runs `measure-passes.ts` in a process of its own, bundled as the program is. */
import { inRepository } from '../../../scripts/run-command.mjs';
import { outputOf } from '../../../scripts/time-process.mjs';

const ENTRY = 'test/bench/evaluate/measure-passes.ts';

/** @returns the bundle's path; it lies in the repository, where onnxruntime-node is found */
export async function bundleMeasurer() {
  const esbuild = await import('esbuild');
  const outfile = inRepository('.tmp/measure-passes.mjs');
  await esbuild.build({
    absWorkingDir: inRepository('.'),
    entryPoints: [ENTRY],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: ['onnxruntime-node'],
    banner: {
      js: "import { createRequire as latheCreateRequire } from 'node:module'; const require = latheCreateRequire(import.meta.url);",
    },
    logLevel: 'warning',
  });
  return outfile;
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
    blocksPerCpuSecond: rateOf(measured.byBlocks, 'cpuSeconds'),
    monolithPerCpuSecond: rateOf(measured.byMonolith, 'cpuSeconds'),
    blocksPerSecond: rateOf(measured.byBlocks, 'seconds'),
    monolithPerSecond: rateOf(measured.byMonolith, 'seconds'),
  };
}
