/**
 * Times the forward pass block by block, as `lathe evaluate` runs it, beside one session that holds the whole model as
 * constants. A program: `node measure-passes.mjs MODEL TEXT WINDOWS CONTEXT THREADS ROUNDS KERNELS`; prints one JSON object.
 */
import { performance } from 'node:perf_hooks';
import { scoreSequences, type ScoringParts, type Sequence } from '../../../core/evaluation/score-sequences.ts';
import { cutWindows } from '../../../core/evaluation/windows.ts';
import { Decoder } from '../../../core/forward/decoder.ts';
import type { InferenceRuntime, RuntimeTensor } from '../../../core/forward/inference-runtime.ts';
import { rotaryTables } from '../../../core/forward/rotary-frequencies.ts';
import type { Kernels } from '../../../core/kernels/kernels.ts';
import type { DecoderDescription } from '../../../core/model/architectures/decoder-description.ts';
import { describeDecoder } from '../../../core/model/architectures/describe-decoder.ts';
import { openModel } from '../../../core/model/open-model.ts';
import type { WeightSource } from '../../../core/model/weight-source.ts';
import { readText } from '../../../core/tokenizer/read-text.ts';
import { readTokenizer } from '../../../core/tokenizer/read-tokenizer.ts';
import { loadKernels } from '../../../native-kernels/index.ts';
import { nodeFileAccess } from '../../../workers/engine/node-file-access.ts';
import { openOnnxRuntime } from '../../../workers/inference/onnx-runtime.ts';
import { openWeightSource } from '../../../workers/inference/open-weight-source.ts';
import { graphName, mergeParts } from './merge-parts.ts';

/** Rows (windows x tokens) that the one session gets at a time: as many as a run of a part. */
const MONOLITH_ROWS = 2048;
/** Logits of one run of the one session, at most. */
const MONOLITH_LOGIT_BYTES = 256 << 20;

/** Milliseconds by what they were spent on. */
class Split {
  readonly milliseconds = new Map<string, number>();

  async time<T>(what: string, run: () => Promise<T> | T): Promise<T> {
    const startedAt = performance.now();
    try {
      return await run();
    } finally {
      this.milliseconds.set(what, (this.milliseconds.get(what) ?? 0) + performance.now() - startedAt);
    }
  }

  clear(): void {
    this.milliseconds.clear();
  }
}

function timedRuntime(runtime: InferenceRuntime, split: Split): InferenceRuntime {
  return {
    version: runtime.version,
    async open(model) {
      const session = await runtime.open(model);
      const part = graphName(model);
      return {
        run: (inputs, outputs) => split.time(part, () => session.run(inputs, outputs)),
        close: () => session.close(),
      };
    },
  };
}

function timedWeights(weights: WeightSource, split: Split): WeightSource {
  return {
    names: weights.names,
    shapeOf: (name) => weights.shapeOf(name),
    read: (name, out) => split.time('weights', () => weights.read(name, out)),
  };
}

function timedKernels(kernels: Kernels, split: Split): Pick<Kernels, 'attendWindows' | 'scoreVocabulary'> {
  function timed<Given extends unknown[], Result>(what: string, run: (...given: Given) => Result) {
    return (...given: Given): Result => {
      const startedAt = performance.now();
      const result = run(...given);
      split.milliseconds.set(what, (split.milliseconds.get(what) ?? 0) + performance.now() - startedAt);
      return result;
    };
  }
  return {
    attendWindows: timed('attention kernel', (...given: Parameters<Kernels['attendWindows']>) =>
      kernels.attendWindows(...given),
    ),
    scoreVocabulary: timed('vocabulary kernel', (...given: Parameters<Kernels['scoreVocabulary']>) =>
      kernels.scoreVocabulary(...given),
    ),
  };
}

/** Seconds of the processor and of the clock that a call takes. */
async function measure(run: () => Promise<void>): Promise<{ cpuSeconds: number; seconds: number }> {
  const before = process.cpuUsage();
  const startedAt = performance.now();
  await run();
  const { user, system } = process.cpuUsage(before);
  return { cpuSeconds: (user + system) / 1e6, seconds: (performance.now() - startedAt) / 1e3 };
}

function mean(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** One session for the whole model: gives logits of windows and nothing more. */
async function openMonolith(
  description: DecoderDescription,
  weights: WeightSource,
  runtime: InferenceRuntime,
  context: number,
) {
  const session = await runtime.open(await mergeParts(description, weights));
  const rowBytes = 4 * description.vocabularySize;
  const rows = Math.min(MONOLITH_ROWS, Math.floor(MONOLITH_LOGIT_BYTES / rowBytes));
  const most = Math.max(1, Math.floor(rows / context));
  const logits = new Float32Array(most * context * description.vocabularySize);
  const rotary = description.blocks[0]?.attention.rotary ?? null;
  if (rotary === null) throw new Error('the model has no rotary embedding');
  const tables = rotaryTables(rotary, context);
  return {
    most,
    async run(windows: readonly Int32Array[]): Promise<Float32Array> {
      const count = windows.length;
      const ids = new Int32Array(count * context);
      windows.forEach((window, index) => ids.set(window, index * context));
      const shape = [context, rotary.dimensions / 2];
      const inputs: Record<string, RuntimeTensor> = {
        ids: { type: 'int32', data: ids, shape: [ids.length] },
        windowShape: { type: 'int64', data: BigInt64Array.from([count, context, -1].map(BigInt)), shape: [3] },
        lastPositions: { type: 'int32', data: new Int32Array(count).fill(context - 1), shape: [count] },
        length: { type: 'int32', data: Int32Array.of(context), shape: [] },
        cosines: { type: 'float32', data: tables.cosines, shape },
        sines: { type: 'float32', data: tables.sines, shape },
      };
      const data = logits.subarray(0, ids.length * description.vocabularySize);
      const result: RuntimeTensor = { type: 'float32', data, shape: [ids.length, description.vocabularySize] };
      await session.run(inputs, { logits: result });
      return data;
    },
  };
}

/** The tokenizer is gone afterwards, as in the thread that runs models: every collection would walk through its tables. */
async function tokenise(root: string, textPath: string) {
  const tokenizer = await readTokenizer(root, nodeFileAccess);
  const { text } = await readText(textPath, nodeFileAccess);
  const tokenised = await measure(() => Promise.resolve(void tokenizer.encode(text)));
  return { ids: tokenizer.encode(text), tokenised };
}

async function main(): Promise<void> {
  const [modelPath = '', textPath = '', ...numbers] = process.argv.slice(2);
  const [windowCount = 0, context = 0, threads = 1, rounds = 1] = numbers.slice(0, 4).map(Number);
  const kernels = loadKernels(numbers[4] ?? '');
  const { signal } = new AbortController();
  const model = await openModel(modelPath, nodeFileAccess);
  const { ids, tokenised } = await tokenise(model.root, textPath);
  const windows = cutWindows(ids, context, textPath).slice(0, windowCount);
  const sequences = windows.map((window): Sequence => ({ ids: window, from: 1, to: context }));

  const split = new Split();
  const weights = await openWeightSource(model, kernels, () => ({ threads }));
  const description = describeDecoder(model.config, weights.names);
  const runtime = await openOnnxRuntime({ threads });
  const pass = new Decoder({
    description,
    weights: timedWeights(weights, split),
    runtime: timedRuntime(runtime, split),
    kernels: timedKernels(kernels, split),
    threads,
    memoryLimitBytes: 16 * 2 ** 30,
  });
  const parts: ScoringParts = {
    model: pass,
    reference: null,
    kernels: timedKernels(kernels, split),
    threads,
    maxLogitsBytes: 512 << 20,
  };
  const batch = pass.batchSize(context);
  async function runBlocks(): Promise<number> {
    const means: number[] = [];
    for (let from = 0; from < sequences.length; from += batch) {
      const scores = await scoreSequences(sequences.slice(from, from + batch), parts, signal);
      means.push(
        ...Array.from({ length: scores.nll.length / (context - 1) }, (_, window) =>
          mean(scores.nll.subarray(window * (context - 1), (window + 1) * (context - 1))),
        ),
      );
    }
    return mean(Float64Array.from(means));
  }
  const monolith = await openMonolith(description, weights, runtime, context);
  async function runMonolith(): Promise<void> {
    for (let from = 0; from < windows.length; from += monolith.most) {
      await monolith.run(windows.slice(from, from + monolith.most));
    }
  }

  // Both must say the same before either is timed; the first rounds warm up.
  const loading = await measure(() => runBlocks().then(() => undefined));
  const weightsMilliseconds = split.milliseconds.get('weights') ?? 0;
  const nll = await runBlocks();
  const logits = await monolith.run(windows.slice(0, 1));
  const first = windows[0] ?? new Int32Array(0);
  const rows = logits.subarray(0, (context - 1) * description.vocabularySize);
  const ofMonolith = mean(kernels.scoreVocabulary(rows, null, description.vocabularySize, first.slice(1), threads).nll);
  const ofBlocks = mean((await scoreSequences(sequences.slice(0, 1), parts, signal)).nll);
  if (Math.abs(ofMonolith - ofBlocks) > 1e-5) throw new Error(`blocks say ${ofBlocks}, one session ${ofMonolith}`);
  await runMonolith();

  split.clear();
  const byBlocks = [];
  const byMonolith = [];
  for (let round = 0; round < rounds; round++) {
    byBlocks.push(await measure(() => runBlocks().then(() => undefined)));
    byMonolith.push(await measure(runMonolith));
  }
  const milliseconds = Object.fromEntries([...split.milliseconds].map(([what, spent]) => [what, spent / rounds]));
  console.log(
    JSON.stringify({
      tokens: windows.length * context,
      textTokens: ids.length,
      threads,
      batch,
      monolithBatch: monolith.most,
      meanNegativeLogLikelihood: nll,
      tokenised,
      loading,
      weightsMilliseconds,
      byBlocks,
      byMonolith,
      milliseconds,
    }),
  );
  await pass.close();
}

void main();
