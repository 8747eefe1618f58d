/**
 * The one door to the native kernels: loads the binary and implements `core/kernels`.
 *
 * `process.dlopen` rather than `require`, so that the same code runs in ES modules, CommonJS bundles and worker threads.
 */
import { KernelError } from '../core/errors.ts';
import type { CallOptions, RunningDigest } from '../core/kernels/kernels.ts';
import type { QuantizeKernels } from '../core/kernels/quantize-kernels.ts';
import type { Addon, CallControl } from './addon.ts';
import { toWorkbenchError } from './kernel-errors.ts';

/** Often enough for a smooth progress line, rarely enough to cost nothing. */
const PROGRESS_INTERVAL_MS = 100;

/**
 * Loads the addon from its file.
 *
 * @throws KernelError KERNEL_UNAVAILABLE where the file is missing or made for another platform
 */
export function loadKernels(binaryPath: string): QuantizeKernels {
  const loaded: { exports: unknown } = { exports: {} };
  try {
    process.dlopen(loaded, binaryPath);
  } catch (cause) {
    throw new KernelError({
      code: 'KERNEL_UNAVAILABLE',
      what: `The native kernels cannot be loaded from "${binaryPath}": ${cause instanceof Error ? cause.message : String(cause)}.`,
      where: { file: binaryPath },
      whatToDo: 'Build them with "npm run build".',
      cause,
    });
  }
  return wrap(loaded.exports as Addon);
}

function wrap(addon: Addon): QuantizeKernels {
  async function call<T>(options: CallOptions, start: (control: CallControl) => Promise<T>): Promise<T> {
    const control = new addon.CallControl();
    const { signal, onProgress } = options;
    function cancel(): void {
      control.cancel();
    }
    if (signal?.aborted === true) cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    const timer =
      onProgress === undefined
        ? undefined
        : setInterval(() => {
            onProgress(control.doneBytes);
          }, PROGRESS_INTERVAL_MS);
    try {
      const result = await start(control);
      onProgress?.(control.doneBytes);
      return result;
    } catch (thrown) {
      throw toWorkbenchError(thrown);
    } finally {
      clearInterval(timer);
      signal?.removeEventListener('abort', cancel);
    }
  }
  function callNow<T>(run: () => T): T {
    try {
      return run();
    } catch (thrown) {
      throw toWorkbenchError(thrown);
    }
  }
  return {
    describe: () => addon.describe(),
    memoryBytes: (threads) => addon.memoryBytes(threads),
    lockFile: (path) => callNow(() => addon.lockFile(path)),
    freeDiskBytes: (path) => callNow(() => addon.freeDiskBytes(path)),
    createDigest: (): RunningDigest => new addon.RunningDigest(),
    feedDigest: (digest, range, options) =>
      call(options, (control) => addon.feedDigest(digest, range, options.threads, control)),
    digestFile: (path, options) => call(options, (control) => addon.digestFile(path, options.threads, control)),
    digestFiles: (paths, options) => call(options, (control) => addon.digestFiles(paths, options.threads, control)),
    checksumFile: (path, options) => call(options, (control) => addon.checksumFile(path, options.threads, control)),
    copyFile: (from, to, options) => call(options, (control) => addon.copyFile(from, to, options.threads, control)),
    copyRange: (from, to, toOffsetBytes, options) =>
      call(options, (control) => addon.copyRange(from, to, toOffsetBytes, options.threads, control)),
    compareRanges: (decoded, original, options) =>
      call(options, (control) => addon.compareRanges(decoded, original, options.threads, control)),
    syncFile: (path, options) => call(options, (control) => addon.syncFile(path, options.threads, control)),
    dequantizeGgml: (tensor, out, options) =>
      call(options, (control) => addon.dequantizeGgml(tensor, out, options.threads, control)),
    convertGgml: (tensor, dtype, target, options) =>
      call(options, (control) => addon.convertGgml(tensor, dtype, target, options.threads, control)),
    compareGgml: (tensor, dtype, original, options) =>
      call(options, (control) => addon.compareGgml(tensor, dtype, original, options.threads, control)),
    quantizeGgml: (source, { type, importance, magnitudeSpread }, target, options) =>
      call(options, async (control) => {
        const { threads } = options;
        const answer = await addon.quantizeGgml(source, type, importance, magnitudeSpread, target, threads, control);
        const { figures, refusal } = answer;
        return figures === undefined ? { refusal: refusal ?? 'no reason given' } : { figures };
      }),
    gptqGgml: (source, inputs, { type, importance, magnitudeSpread }, target, options) =>
      call(options, async (control) => {
        const { threads } = options;
        const answer = await addon.gptqGgml(
          source,
          inputs,
          type,
          importance,
          magnitudeSpread,
          target,
          threads,
          control,
        );
        const { figures, feedback, refusal } = answer;
        return figures === undefined || feedback === undefined
          ? { refusal: refusal ?? 'no reason given' }
          : { figures, feedback };
      }),
    tensorStatistics: (source, dtype, options) =>
      call(options, (control) => addon.tensorStatistics(source, dtype, options.threads, control)),
    measureDfloat11: (source, options) =>
      call(options, async (control) => {
        const { plan, refusal } = await addon.measureDfloat11(source, options.threads, control);
        return plan === undefined ? { refusal: refusal ?? 'no reason given' } : { plan };
      }),
    predictDfloat11: (histogram) =>
      callNow(() => {
        const { storedBytes, refusal } = addon.predictDfloat11(histogram);
        return storedBytes === undefined ? { refusal: refusal ?? 'no reason given' } : { storedBytes };
      }),
    encodeDfloat11: (source, plan, fields, options) =>
      call(options, (control) => addon.encodeDfloat11(source, plan, fields, options.threads, control)),
    decodeDfloat11: (fields, elements, target, options) =>
      call(options, (control) => addon.decodeDfloat11(fields, elements, target, options.threads, control)),
    encodeSplitPlane: (source, split, coder, output, alsoDigest, options) =>
      call(options, (control) =>
        addon.encodeSplitPlane(source, split, coder, output, alsoDigest, options.threads, control),
      ),
    decodeSplitPlane: (input, planes, split, sizeBytes, target, withSha256, options) =>
      call(options, (control) =>
        addon.decodeSplitPlane(input, planes, split, sizeBytes, target, withSha256, options.threads, control),
      ),
    createInputStatistics(columns, withGram) {
      const native = callNow(() => new addon.NativeInputStatistics(columns, withGram));
      return {
        feed: (rows, threads) => callNow(() => native.feed(rows, threads)),
        columns: () => callNow(() => native.columns()),
        writeGram: (range, options) => call(options, (control) => native.writeGram(range, options.threads, control)),
        close: () => callNow(() => native.close()),
      };
    },
    attendWindows: ({ softCap, window, ...shape }, { query, key, value }, { cosines, sines }, out, threads) =>
      callNow(() => {
        const options = { ...shape, softCap: softCap ?? undefined, window: window ?? undefined };
        addon.attendWindows(options, query, key, value, cosines, sines, out, threads);
      }),
    scoreVocabulary: (logits, reference, vocabularySize, targets, threads) =>
      callNow(() => addon.scoreVocabulary(logits, reference, vocabularySize, targets, threads)),
  };
}
