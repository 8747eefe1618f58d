import type { BatchedJob, BatchResult } from '../../core/contract/batch-result.ts';
import type { EstimateResult } from '../../core/contract/results.ts';
import { JobError, serializeError, type SerializedError, WorkbenchError } from '../../core/errors.ts';
import { formatBytes, formatCount, formatSeconds } from '../../core/units.ts';
import type { RunInvocation } from '../invocation.ts';
import { escapeLine } from '../output/escape-text.ts';
import { formatPairs, formatTable, type Column } from '../output/text-table.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { loadBatch, type LoadedBatch } from './load-batch.ts';

/** `lathe run BATCH`: every recipe on every model; with `--dry-run` only what each would take. */
export async function runBatch(
  { batch, force, dryRun }: RunInvocation,
  context: CommandContext,
): Promise<CommandOutcome> {
  const loaded = await loadBatch(batch);
  if (dryRun) return planRun(loaded, force, context);
  const { name, concurrency, jobs } = loaded;
  const engine = await context.engine();
  const document = await engine.runBatch({ ...context.job, name, jobs, concurrency, force });
  const failed = document.jobs.filter(({ status }) => status === 'failed' || status === 'cancelled');
  const outcome: CommandOutcome = { document, summary: () => summarizeBatch(document), notes: [] };
  return failed.length === 0 ? outcome : { ...outcome, error: serializeError(failure(failed, document)) };
}

const COLUMNS: readonly Column[] = [
  { title: 'job', align: 'left' },
  { title: 'status', align: 'left' },
  { title: 'stored', align: 'right' },
  { title: 'bits per weight', align: 'right' },
  { title: 'time', align: 'right' },
  { title: 'tries', align: 'right' },
];

/** A finished batch, for people. */
export function summarizeBatch({ jobs, seconds, cpuSeconds, peakRssBytes }: BatchResult): string[] {
  const rows = jobs.map((job) => [
    escapeLine(job.name),
    job.status,
    job.storedBytes === null ? '-' : formatBytes(job.storedBytes),
    job.bitsPerWeight === null ? '-' : job.bitsPerWeight.toFixed(3),
    formatSeconds(job.seconds),
    formatCount(job.attempts),
  ]);
  const faults = jobs.flatMap(({ name, error }) =>
    error === undefined ? [] : [`${escapeLine(name)}: ${escapeLine(error.what)} ${escapeLine(error.whatToDo)}`],
  );
  return [
    ...formatTable(COLUMNS, rows),
    '',
    ...(faults.length === 0 ? [] : [...faults, '']),
    ...formatPairs([
      ['Time', `${formatSeconds(seconds)} (processor ${formatSeconds(cpuSeconds)})`],
      ['Peak memory', formatBytes(peakRssBytes)],
    ]),
  ];
}

function wouldFail(refused: readonly JobPlan[], plans: readonly JobPlan[]): JobError {
  return new JobError({
    code: 'BATCH_JOBS_FAILED',
    what: `${refused.length} of the ${plans.length} jobs of the batch would fail: ${refused.map(({ name }) => name).join(', ')}.`,
    whatToDo: 'Mend what each of them says.',
  });
}

function failure(failed: readonly BatchedJob[], { jobs }: BatchResult): JobError {
  return new JobError({
    code: 'BATCH_JOBS_FAILED',
    what: `${failed.length} of the ${jobs.length} jobs of the batch failed: ${failed.map(({ name }) => name).join(', ')}.`,
    whatToDo: 'Mend what each of them says, then run the same batch again: only what is missing is done.',
  });
}

const IS_THERE = 'there already: kept if it is sound and of this model and recipe, else refused without --force';

/** What one job of a batch would do. */
interface JobPlan {
  name: string;
  model: string;
  recipe: string;
  output: string;
  /** Null where the output is there already, and where it would fail. */
  estimate: EstimateResult | null;
  /** Why it would fail. */
  error?: Omit<SerializedError, 'stack'>;
}

/** From headers alone, and without writing. */
async function planRun(
  { name, jobs, output }: LoadedBatch,
  force: boolean,
  { engine, job }: CommandContext,
): Promise<CommandOutcome> {
  const plans: JobPlan[] = [];
  for (const planned of jobs) {
    const { model, recipe, recipeFolder, recipeFile } = planned;
    const plan = { name: planned.name, model, recipe: recipeFile, output: planned.output };
    try {
      const place = { path: planned.output, force };
      const asked = { model, recipe, recipeFolder, output: place };
      plans.push({ ...plan, estimate: await (await engine()).estimate({ ...job, ...asked }) });
    } catch (error) {
      if (!(error instanceof WorkbenchError) || job.signal.aborted) throw error;
      const { stack: _, ...parts } = serializeError(error);
      plans.push({ ...plan, estimate: null, ...(error.code === 'JOB_OUTPUT_EXISTS' ? {} : { error: parts }) });
    }
  }
  function summary(): string[] {
    const rows = plans.map(({ name: title, estimate, error }) => [
      escapeLine(title),
      estimate === null ? '-' : formatBytes(estimate.storedBytes),
      estimate === null ? '-' : formatBytes(estimate.peakMemoryBytes),
      (error && escapeLine(error.what)) ??
        estimate?.problems.map(({ message }) => escapeLine(message)).join(' ') ??
        IS_THERE,
    ]);
    const columns: Column[] = [
      { title: 'job', align: 'left' },
      { title: 'stored, estimated', align: 'right' },
      { title: 'memory', align: 'right' },
      { title: 'problems', align: 'left' },
    ];
    return [`A dry run: nothing was written to ${escapeLine(output)}.`, '', ...formatTable(columns, rows)];
  }
  const outcome: CommandOutcome = { document: { schema: 1, name, jobs: plans }, summary, notes: [] };
  const refused = plans.filter(({ error }) => error !== undefined);
  return refused.length === 0 ? outcome : { ...outcome, error: serializeError(wouldFail(refused, plans)) };
}
