/**
 * The program: joins the command line to this process, its streams, signals and engine.
 *
 * Only commander and what parses arguments is loaded at start; commands and the engine come by `import()`.
 */
import { writeSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { EXIT } from '../core/errors.ts';
import { escapeLine } from './output/escape-text.ts';
import { wrapStream } from './process-stream.ts';
import { runCli } from './run-cli.ts';

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;

async function main(): Promise<void> {
  // ONNX Runtime sends telemetry unless the process says so before it is loaded: nothing leaves this machine.
  process.env['ORT_DISABLE_TELEMETRY'] = '1';
  const stdout = wrapStream(process.stdout);
  const stderr = wrapStream(process.stderr);
  const code = await runCli({
    argv: process.argv.slice(2),
    env: process.env,
    platform: process.platform,
    homeFolder: homedir(),
    workingFolder: process.cwd(),
    logicalProcessors: availableParallelism(),
    version: process.env['LATHE_VERSION'] ?? 'unbuilt',
    // Every chunk of the built command line lies in dist/cli.
    kernelsPath: fileURLToPath(new URL('../native/lathe-kernels.node', import.meta.url)),
    inferenceWorkerPath: fileURLToPath(new URL('inference-worker.js', import.meta.url)),
    rendererFolder: fileURLToPath(new URL('../renderer', import.meta.url)),
    examplesFolder: fileURLToPath(new URL('../../examples', import.meta.url)),
    stdout,
    stderr,
    now: () => performance.now(),
    onSignal(listener) {
      for (const signal of STOP_SIGNALS) process.on(signal, listener);
      return () => {
        for (const signal of STOP_SIGNALS) process.off(signal, listener);
      };
    },
    onCrash(listener) {
      // An unhandled rejection arrives here too.
      process.on('uncaughtException', listener);
    },
    exitNow: (status) => process.exit(status),
    openEngine: async (options) => (await import('../workers/engine/index.ts')).openEngine(options),
  });
  const fault = await stdout.drain();
  await stderr.drain();
  // Nothing may keep the process alive after its answer.
  if (fault === null || fault === 'closed' || code !== EXIT.done) process.exit(code);
  writeSync(2, `lathe: The result could not be written to stdout: ${escapeLine(fault.message)}.\n`);
  process.exit(fault.code === 'ENOSPC' ? EXIT.resources : EXIT.failed);
}

void main();
