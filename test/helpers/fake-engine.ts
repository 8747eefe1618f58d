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
      file: 'model.safetensors',
      method: 'plain',
    },
    {
      name: 'model.norm.weight',
      canonicalName: 'model.norm.weight',
      dtype: 'BF16',
      shape: [256],
      storedBytes: 512,
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
    restore: () => Promise.resolve(RESTORED),
    verify: () => Promise.resolve(VERIFIED),
    estimate: () => Promise.resolve(ESTIMATED),
    doctor: () => Promise.resolve(EXAMINED),
    ...changes,
  };
}
