/** What the tests of the engine share: a folder of their own, the engine in this process, and hooks on its kernels. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach } from 'vitest';
import type { JobEvent } from '../../../core/contract/progress.ts';
import { recipeSchema, type Recipe } from '../../../core/contract/recipe.ts';
import { ResourceError } from '../../../core/errors.ts';
import type { Kernels } from '../../../core/kernels/kernels.ts';
import type { QuantizeKernels } from '../../../core/kernels/quantize-kernels.ts';
import { loadKernels } from '../../../native-kernels/index.ts';
import { openEngine, type CompressOptions, type Engine, type JobOptions } from '../../../workers/engine/index.ts';
import { compressJob } from '../../../workers/jobs/compress-job.ts';
import { restoreJob } from '../../../workers/jobs/restore-job.ts';

const BINARY = fileURLToPath(new URL('../../../dist/native/lathe-kernels.node', import.meta.url));

export const CODECS = ['dfloat11', 'split-plane'] as const;
export type Codec = (typeof CODECS)[number];

/** A recipe of one encode step, checked and filled in as the command line does it. */
export function recipeOf(codec: Codec, parts: { units?: unknown; coder?: string; skip?: string[] } = {}): Recipe {
  const { skip = [], ...step } = parts;
  return recipeSchema.parse({
    lathe: 1,
    steps: [{ step: 'encode', codec, ...step }],
    overrides: skip.map((match) => ({ match, skip: true })),
  });
}

/** A test's surroundings; everything in them is removed after it. */
export class Workplace {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), 'lathe-engine-')));
  readonly home = this.at('home');
  readonly engine: Engine = openEngine({ kernelsPath: BINARY, home: this.home });
  /** Of all jobs so far. */
  readonly events: JobEvent[] = [];

  at(name: string): string {
    return join(this.folder, name);
  }

  /** Writes files, with the folders that they need; the path of the folder. */
  write(name: string, files: Record<string, string | Uint8Array>): string {
    for (const [path, content] of Object.entries(files)) {
      const file = join(this.at(name), path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
    }
    return this.at(name);
  }

  options(parts: Partial<JobOptions> = {}): JobOptions {
    return {
      threads: 1,
      memoryLimitBytes: null,
      signal: new AbortController().signal,
      onEvent: (event) => void this.events.push(event),
      ...parts,
    };
  }

  compressOptions(
    model: string,
    output: string,
    codec: Codec | Recipe,
    parts: Partial<CompressOptions> = {},
  ): CompressOptions {
    const recipe = typeof codec === 'string' ? recipeOf(codec) : codec;
    return { ...this.options(), model, output, recipe, resume: false, force: false, ...parts };
  }

  compress(model: string, output: string, codec: Codec | Recipe, parts: Partial<CompressOptions> = {}) {
    return this.engine.compress(this.compressOptions(model, output, codec, parts));
  }

  /** As `compress`, with kernels of the caller. */
  compressBy(kernels: Kernels, options: CompressOptions) {
    const unused = () => Promise.reject(new Error('not in this test'));
    const tools = { measure: unused, measureErrors: unused, evaluate: unused };
    return compressJob(options, { kernels: kernels as QuantizeKernels, home: this.home, ...tools });
  }

  restore(model: string, output: string, parts: Partial<Parameters<Engine['restore']>[0]> = {}) {
    return this.engine.restore(this.restoreOptions(model, output, parts));
  }

  restoreBy(kernels: Kernels, options: Parameters<Engine['restore']>[0]) {
    return restoreJob(options, kernels, this.home);
  }

  restoreOptions(model: string, output: string, parts: Partial<Parameters<Engine['restore']>[0]> = {}) {
    return { ...this.options(), model, output, force: false, dtype: null, maxShardBytes: null, ...parts };
  }

  verify(model: string, against: string | null = null, parts: Partial<JobOptions> = {}) {
    return this.engine.verify({ ...this.options(parts), model, against });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A workplace for each test. */
export function useWorkplace(): () => Workplace {
  let place: Workplace | null = null;
  beforeEach(() => {
    place = new Workplace();
  });
  afterEach(() => {
    place?.remove();
    place = null;
  });
  return () => {
    if (!place) throw new Error('there is a workplace only within a test');
    return place;
  };
}

type KernelName = keyof Kernels;

/** The kernels, some of them replaced, with a hook that is called before each call of them; what it throws is what the call throws. */
export function hookedKernels(
  before: (name: KernelName, args: readonly unknown[]) => void | Promise<void>,
  replaced: Partial<Kernels> = {},
): Kernels {
  return new Proxy(
    { ...loadKernels(BINARY), ...replaced },
    {
      get(kernels, name: KernelName) {
        const kernel = (kernels as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!;
        return (...args: unknown[]) => {
          const hook = before(name, args);
          return hook instanceof Promise ? hook.then(() => kernel(...args)) : kernel(...args);
        };
      },
    },
  );
}

/** These do nothing that could be stopped. */
const INSTANT: readonly KernelName[] = [
  'describe',
  'freeDiskBytes',
  'memoryBytes',
  'lockFile',
  'createDigest',
  'predictDfloat11',
];

/** Calls `act` before the call of this number, counted from 1; `calls` tells which there were. */
export function kernelsWith(
  at: number,
  act: (name: KernelName) => void,
  replaced: Partial<Kernels> = {},
): { kernels: Kernels; calls: KernelName[] } {
  const calls: KernelName[] = [];
  const kernels = hookedKernels((name) => {
    if (INSTANT.includes(name)) return;
    calls.push(name);
    if (calls.length === at) act(name);
  }, replaced);
  return { kernels, calls };
}

export function diskError(): ResourceError {
  return new ResourceError({ code: 'FILE_IO', what: 'The disk is gone.', whatToDo: 'Look for it.' });
}
