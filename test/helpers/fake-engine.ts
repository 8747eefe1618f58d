import type { ExportResult } from '../../core/contract/export-result.ts';
import type { BatchResult } from '../../core/contract/batch-result.ts';
import type {
  EvaluatedText,
  EvaluateResult,
  EvaluationMemory,
  EvaluationPlan,
} from '../../core/contract/evaluation-result.ts';
import type {
  CompressResult,
  DoctorResult,
  EstimateResult,
  InspectResult,
  RestoreResult,
  VerifyResult,
} from '../../core/contract/results.ts';
import type { Engine } from '../../workers/engine/index.ts';

export const INSPECTED: InspectResult = {
  schema: 1,
  format: 'safetensors',
  architecture: 'LlamaForCausalLM',
  parameters: 2304,
  storedBytes: 4608,
  fileBytes: 5000,
  bitsPerWeight: 16,
  tensors: [
    {
      name: 'model.embed_tokens.weight',
      canonicalName: 'model.embed_tokens.weight',
      dtype: 'BF16',
      shape: [32, 64],
      storedBytes: 4096,
      bitsPerWeight: 16,
      file: 'model.safetensors',
      method: 'plain',
    },
    {
      name: 'model.norm.weight',
      canonicalName: 'model.norm.weight',
      dtype: 'BF16',
      shape: [256],
      storedBytes: 512,
      bitsPerWeight: 16,
      file: 'model.safetensors',
      method: 'plain',
    },
  ],
  notes: ['The tensors are tied.'],
};

export const COMPRESSED: CompressResult = {
  schema: 1,
  output: '/out/model.df11',
  runId: 'run-1',
  parameters: 2304,
  storedBytes: 3300,
  fileBytes: 4000,
  sourceStoredBytes: 4608,
  sourceFileBytes: 5000,
  bitsPerWeight: 11.46,
  seconds: 1.25,
  cpuSeconds: 2,
  peakRssBytes: 100 * 2 ** 20,
  tensors: [
    {
      name: 'a',
      canonicalName: 'a',
      dtype: 'BF16',
      shape: [32, 64],
      method: 'dfloat11',
      storedBytes: 2788,
      bitsPerWeight: 10.89,
      error: 0,
      file: 'model.safetensors',
    },
    {
      name: 'b',
      canonicalName: 'b',
      dtype: 'BF16',
      shape: [256],
      method: 'plain',
      storedBytes: 512,
      bitsPerWeight: 16,
      error: 0,
      file: 'model.safetensors',
    },
  ],
  notes: [],
  resumed: false,
  verified: true,
};

export const BATCHED: BatchResult = {
  schema: 1,
  name: 'nightly',
  jobs: [
    {
      name: 'model/lossless',
      model: '/models/model',
      recipe: '/recipes/lossless.yaml',
      output: '/out/model/lossless',
      status: 'done',
      runId: 'run-1',
      attempts: 1,
      seconds: 1.25,
      storedBytes: 3300,
      bitsPerWeight: 11.46,
    },
    {
      name: 'model/other',
      model: '/models/model',
      recipe: '/recipes/other.yaml',
      output: '/out/model/other',
      status: 'failed',
      runId: null,
      attempts: 3,
      seconds: 4,
      storedBytes: null,
      bitsPerWeight: null,
      error: {
        code: 'RESOURCE_DISK_FULL',
        what: 'The disk is full.',
        where: { file: '/out/model/other' },
        whatToDo: 'Free some of it.',
        retryable: true,
      },
    },
  ],
  seconds: 5.5,
  cpuSeconds: 4,
  peakRssBytes: 100 * 2 ** 20,
};

export const EXPORTED: ExportResult = {
  schema: 1,
  format: 'gguf',
  type: 'Q4_K_M',
  path: '/out/model.gguf',
  parameters: 2304,
  storedBytes: 1480,
  fileBytes: 2000,
  sourceStoredBytes: 4608,
  bitsPerWeight: 5.14,
  bitsPerBlockWeight: 4.5,
  sha256: 'ab'.repeat(32),
  tensors: [
    {
      name: 'blk.0.attn_q.weight',
      canonicalName: 'model.layers.0.self_attn.q_proj.weight',
      shape: [8, 256],
      type: 'Q4_K',
      storedBytes: 1152,
      bitsPerWeight: 4.5,
      maxAbsError: 0.01,
      relativeError: 0.05,
    },
    {
      name: 'output_norm.weight',
      canonicalName: 'model.norm.weight',
      shape: [256],
      type: 'F32',
      storedBytes: 1024,
      bitsPerWeight: 32,
      maxAbsError: 0,
      relativeError: 0,
    },
  ],
  notes: [],
  seconds: 1.5,
  cpuSeconds: 2.5,
  peakRssBytes: 100 * 2 ** 20,
  verified: true,
};

export const RESTORED: RestoreResult = {
  schema: 1,
  output: '/out/model',
  files: [{ name: 'config.json', bytes: 700, sha256: '0'.repeat(64) }],
  lossless: true,
  filesIdentical: true,
  notes: [],
  seconds: 0.5,
  cpuSeconds: 0.6,
  peakRssBytes: 90 * 2 ** 20,
};

export const VERIFIED: VerifyResult = {
  schema: 1,
  ok: true,
  format: 'dfloat11',
  against: null,
  tensors: [{ name: 'a', ok: true, bitExact: true }],
  files: [{ name: 'model.safetensors', bytes: 3300, sha256: '0'.repeat(64), ok: true }],
  notes: [],
  seconds: 0.5,
  cpuSeconds: 0.6,
  peakRssBytes: 90 * 2 ** 20,
};

export const ESTIMATED: EstimateResult = {
  schema: 1,
  storedBytes: 3300,
  storedBytesLow: 3200,
  storedBytesHigh: 3400,
  sourceStoredBytes: 4608,
  parameters: 2304,
  bitsPerWeight: 11.46,
  peakMemoryBytes: 100 * 2 ** 20,
  secondsLow: 1,
  secondsHigh: 3,
  problems: [],
  wouldFail: false,
  evaluation: { context: 256, peakMemoryBytes: 400 * 2 ** 20, leastMemoryBytes: 350 * 2 ** 20, problem: null },
};

const EVALUATED_TEXT: EvaluatedText = {
  text: 'texts/docs.txt',
  tokens: 2600,
  context: 256,
  windows: 10,
  predictions: 2550,
  droppedTokens: 40,
  meanNegativeLogLikelihood: 3.630799,
  perplexity: 37.74299,
  standardError: 0.0186,
  top1Accuracy: 0.336,
  seconds: 2,
  cpuSeconds: 3,
  tokensPerSecond: 1280,
  referenceMeanNegativeLogLikelihood: 3.6,
  referencePerplexity: 36.59823,
  klDivergence: {
    mean: 0.00717,
    median: 0.0004321,
    p90: 0.02,
    p99: 0.0812,
    max: 0.5,
    standardError: 0.000123,
  },
  top1Agreement: 0.9412,
  flips: { lost: 10, gained: 5, fraction: 15 / 2550 },
  perplexityRatio: 1.03128,
  nllDifference: { mean: 0.030799, standardError: 0.001 },
};

const MEMORY: EvaluationMemory = {
  limitBytes: 6 * 2 ** 30,
  peakMemoryBytes: 400 * 2 ** 20,
  leastMemoryBytes: 350 * 2 ** 20,
};

export const EVALUATED: EvaluateResult = {
  schema: 1,
  runId: 'run-2',
  model: 'models/small',
  reference: 'models/large',
  device: 'cpu',
  addsBos: false,
  ...EVALUATED_TEXT,
  texts: [EVALUATED_TEXT],
  choices: null,
  tokensFile: null,
  resumed: false,
  seconds: 2.5,
  cpuSeconds: 3.5,
  peakRssBytes: 300 * 2 ** 20,
  memory: MEMORY,
  notes: [],
};

export const EVALUATION_PLAN: EvaluationPlan = {
  schema: 1,
  dryRun: true,
  model: 'models/small',
  reference: 'models/large',
  context: 256,
  device: 'cpu',
  addsBos: false,
  texts: [{ text: 'texts/docs.txt', tokens: 2600, context: 256, windows: 10, predictions: 2550, droppedTokens: 40 }],
  choices: null,
  tokensFile: null,
  memory: MEMORY,
  notes: [],
};

export const EXAMINED: DoctorResult = {
  schema: 1,
  version: '0.1.0',
  cpu: { model: 'A Processor', cores: 2, architecture: 'x64', features: ['avx2'] },
  kernels: { version: '0.1.0', backend: 'avx2', backends: ['scalar', 'avx2'] },
  gpus: [],
  providers: [],
  limits: { memoryBytes: 8 * 2 ** 30, freeMemoryBytes: 4 * 2 ** 30, threads: 2, openFiles: null },
  versions: { node: '20.19.0', platform: 'linux', v8: '11.3' },
  home: '/home/user/.local/state/lathe',
  problems: [],
};

/** An engine that answers at once with small results, apart from what a test replaces. */
export function fakeEngine(changes: Partial<Engine> = {}): Engine {
  return {
    inspect: () => Promise.resolve(INSPECTED),
    compress: () => Promise.resolve(COMPRESSED),
    exportGguf: () => Promise.resolve(EXPORTED),
    runBatch: () => Promise.resolve(BATCHED),
    restore: () => Promise.resolve(RESTORED),
    verify: () => Promise.resolve(VERIFIED),
    estimate: () => Promise.resolve(ESTIMATED),
    evaluate: () => Promise.resolve(EVALUATED),
    planEvaluation: () => Promise.resolve(EVALUATION_PLAN),
    doctor: () => Promise.resolve(EXAMINED),
    ...changes,
  };
}
