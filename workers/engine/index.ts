/**
 * The engine's front door: every job that a face (command line, window) can start.
 *
 * A call resolves with the result document of `core/contract/results.ts`, or rejects with a `WorkbenchError`. When its
 * signal fires it stops within a fraction of a second: with JOB_INTERRUPTED if the job can be resumed, else with
 * JOB_CANCELLED. Nothing is printed; progress goes to `onEvent`.
 */
import type { BatchResult } from '../../core/contract/batch-result.ts';
import type { CacheClearResult, CacheShowResult, CalibrateResult } from '../../core/contract/calibration-result.ts';
import type { ExplainResult } from '../../core/contract/explain-result.ts';
import type { ExportResult } from '../../core/contract/export-result.ts';
import type { EvaluateResult, EvaluationPlan } from '../../core/contract/evaluation-result.ts';
import type {
  CompressResult,
  DoctorResult,
  EstimateResult,
  InspectResult,
  RestoreResult,
  VerifyResult,
} from '../../core/contract/results.ts';
import type {
  RunsCleanResult,
  RunsCompareResult,
  RunsListResult,
  RunsShowResult,
} from '../../core/contract/runs-result.ts';
import { KernelError } from '../../core/errors.ts';
import type { QuantizeKernels } from '../../core/kernels/quantize-kernels.ts';
import type { OnJobEvent } from '../../core/contract/progress.ts';
import { loadKernels } from '../../native-kernels/index.ts';
import type { OpenScorer } from '../inference/scorer.ts';
import type { CleanRunsOptions } from '../jobs/clean-runs.ts';
import type { AllocationTools } from '../jobs/allocate-formats.ts';
import type { CalibrateTools } from '../jobs/calibrate-job.ts';
import type { ListRunsOptions } from '../jobs/list-runs.ts';
import type { ResumeOptions, ResumeOutcome } from '../jobs/resume-run.ts';
import type {
  BatchOptions,
  CalibrateOptions,
  CompressOptions,
  EstimateOptions,
  EvaluateOptions,
  ExplainOptions,
  ExportGgufOptions,
  InspectOptions,
  JobOptions,
  RestoreOptions,
} from './job-options.ts';
import type { MeasurementCache } from './measurement-cache.ts';

export type {
  BatchOptions,
  CalibrateOptions,
  CompressOptions,
  EstimateOptions,
  EvaluateOptions,
  ExplainOptions,
  ExportGgufOptions,
  InspectOptions,
  JobOptions,
  RestoreOptions,
} from './job-options.ts';

export interface EngineOptions {
  /** The built `lathe-kernels.node`. */
  kernelsPath: string;
  /** The built `inference-worker` file; jobs that run a model need it. */
  inferenceWorkerPath?: string;
  /** LATHE_HOME: runs and settings. Made when first needed. */
  home: string;
  /** Of the measurement cache; null: 50 GiB. */
  cacheLimitBytes?: number | null;
}

export interface Engine {
  /** With `inputs` it is calibrated, and each matrix told with what its linear map is given. */
  inspect(options: InspectOptions): Promise<InspectResult>;
  compress(options: CompressOptions): Promise<CompressResult>;
  /** Many recipes on many models. */
  runBatch(options: BatchOptions): Promise<BatchResult>;
  exportGguf(options: ExportGgufOptions): Promise<ExportResult>;
  restore(options: RestoreOptions): Promise<RestoreResult>;
  verify(options: JobOptions & { model: string; against: string | null }): Promise<VerifyResult>;
  estimate(options: EstimateOptions): Promise<EstimateResult>;
  /** From headers alone. */
  explain(options: ExplainOptions): Promise<ExplainResult>;
  evaluate(options: EvaluateOptions): Promise<EvaluateResult>;
  /** Measures what linear maps are given, once: figures are kept in the measurement cache. */
  calibrate(options: CalibrateOptions): Promise<CalibrateResult>;
  showCache(): Promise<CacheShowResult>;
  clearCache(options: { dryRun: boolean }): Promise<CacheClearResult>;
  /** Past runs and those that go on. One whose journal cannot be read is in the result. */
  listRuns(options: ListRunsOptions): Promise<RunsListResult>;
  showRun(id: string): Promise<RunsShowResult>;
  compareRuns(ids: readonly string[]): Promise<RunsCompareResult>;
  cleanRuns(options: CleanRunsOptions): Promise<RunsCleanResult>;
  /** Goes on with an interrupted run, from anywhere. */
  resumeRun(options: ResumeOptions): Promise<ResumeOutcome>;
  /** What `evaluate` would do, every check of it included; runs no token and writes nothing. */
  planEvaluation(options: EvaluateOptions): Promise<EvaluationPlan>;
  /** What is wrong with this machine is in the result, missing kernels included; never rejects. */
  doctor(): Promise<DoctorResult>;
}

/**
 * Opens the engine. Cheap: kernels are loaded by the first job that needs them, and the code of a job with it.
 *
 * Jobs reject with KernelError KERNEL_UNAVAILABLE where the kernels cannot be loaded.
 */
export function openEngine({ kernelsPath, inferenceWorkerPath, home, cacheLimitBytes }: EngineOptions): Engine {
  let loaded: QuantizeKernels | null = null;
  function kernels(): QuantizeKernels {
    loaded ??= loadKernels(kernelsPath);
    return loaded;
  }
  function workerPath(): string {
    if (inferenceWorkerPath !== undefined) return inferenceWorkerPath;
    throw new KernelError({
      code: 'INFERENCE_UNAVAILABLE',
      what: 'This engine was opened without the file that its inference threads run.',
      whatToDo: 'Open it with "inferenceWorkerPath".',
    });
  }
  async function scorers(): Promise<OpenScorer> {
    const path = workerPath();
    return (await import('../inference/thread-scorer.ts')).threadScorers(path, { kernelsPath });
  }
  async function openCache(onEvent: OnJobEvent): Promise<MeasurementCache> {
    const { DEFAULT_CACHE_BYTES, MeasurementCache } = await import('./measurement-cache.ts');
    return new MeasurementCache(home, cacheLimitBytes ?? DEFAULT_CACHE_BYTES, kernels(), (message) => {
      onEvent({ event: 'warning', message });
    });
  }
  async function compress(options: CompressOptions): Promise<CompressResult> {
    const { compressJob } = await import('../jobs/compress-job.ts');
    return withMeasuring((tools) => compressJob(options, { kernels: kernels(), home, ...tools, evaluate }));
  }
  async function evaluate(options: EvaluateOptions): Promise<EvaluateResult> {
    return (await import('../jobs/evaluate-job.ts')).evaluateJob(options, kernels(), home, await scorers());
  }
  async function calibrateTools(onEvent: OnJobEvent): Promise<CalibrateTools> {
    const path = workerPath();
    const { threadCalibrators } = await import('../inference/thread-calibrator.ts');
    return {
      kernels: kernels(),
      cache: await openCache(onEvent),
      openCalibrator: threadCalibrators(path, { kernelsPath }),
    };
  }
  /** What a job finds in the measurement cache stays there until the job is done. */
  async function withMeasuring<Result>(work: (tools: AllocationTools) => Promise<Result>): Promise<Result> {
    const caches: MeasurementCache[] = [];
    try {
      return await work({
        async measure(options) {
          const tools = await calibrateTools(options.onEvent);
          caches.push(tools.cache);
          return (await import('../jobs/calibrate-job.ts')).measureInputs(options, tools);
        },
        async measureErrors(tensors, importance, options) {
          const path = workerPath();
          const { threadProbers } = await import('../inference/thread-prober.ts');
          const { measureFormatErrors } = await import('../jobs/measure-format-errors.ts');
          const cache = await openCache(options.onEvent);
          caches.push(cache);
          const tools = { kernels: kernels(), cache, openProber: threadProbers(path, { kernelsPath }) };
          return measureFormatErrors(tensors, importance, options, tools);
        },
      });
    } finally {
      for (const cache of caches) await cache.close();
    }
  }
  async function calibrate(options: CalibrateOptions): Promise<CalibrateResult> {
    const tools = await calibrateTools(options.onEvent);
    try {
      return await (await import('../jobs/calibrate-job.ts')).calibrateJob(options, tools);
    } finally {
      await tools.cache.close();
    }
  }
  return {
    inspect: async ({ inputs = null, ...options }) => {
      const inspected = await (await import('../jobs/inspect-job.ts')).inspectJob(options, kernels);
      if (inputs === null) return inspected;
      const { signal, onEvent, threads, memoryLimitBytes, scheduling, model } = options;
      const calibration = await calibrate({
        signal,
        onEvent,
        threads,
        memoryLimitBytes,
        scheduling,
        model,
        ...inputs,
        gram: false,
      });
      return (await import('../jobs/inspect-inputs.ts')).withInputs(inspected, calibration);
    },
    compress,
    runBatch: async (options) => {
      const { batchJob } = await import('../jobs/batch-job.ts');
      return batchJob(options, kernels(), compress);
    },
    exportGguf: async (options) => {
      const { type } = options;
      if (type === null) return (await import('../jobs/copy-gguf-job.ts')).copyGgufJob(options, kernels());
      const { exportGgufJob } = await import('../jobs/export-gguf-job.ts');
      return withMeasuring((tools) => exportGgufJob({ ...options, type }, kernels(), tools.measure));
    },
    restore: async (options) => (await import('../jobs/restore-job.ts')).restoreJob(options, kernels(), home),
    verify: async (options) => (await import('../jobs/verify-job.ts')).verifyJob(options, kernels()),
    estimate: async (options) => (await import('../jobs/estimate-job.ts')).estimateJob(options, kernels()),
    explain: async (options) => (await import('../jobs/explain-job.ts')).explainJob(options),
    evaluate,
    calibrate,
    showCache: async () => (await import('../jobs/cache-jobs.ts')).showCache(await openCache(() => undefined)),
    clearCache: async ({ dryRun }) =>
      (await import('../jobs/cache-jobs.ts')).clearCache(await openCache(() => undefined), dryRun),
    listRuns: async (options) => (await import('../jobs/list-runs.ts')).listRuns(options, kernels, home),
    showRun: async (id) => (await import('../jobs/list-runs.ts')).showRun(id, kernels, home),
    compareRuns: async (ids) => (await import('../jobs/compare-runs.ts')).compareRuns(ids, kernels, home),
    cleanRuns: async (options) => (await import('../jobs/clean-runs.ts')).cleanRuns(options, kernels(), home),
    resumeRun: async (options) =>
      (await import('../jobs/resume-run.ts')).resumeRun(options, { kernels, compress, evaluate }, home),
    planEvaluation: async (options) =>
      (await import('../jobs/plan-evaluation-job.ts')).planEvaluationJob(options, kernels(), await scorers()),
    doctor: async () => (await import('../jobs/doctor-job.ts')).doctorJob(kernels, home),
  };
}
