import { EXIT, exitCodeOf, JobError, serializeError, WorkbenchError } from '../core/errors.ts';
import type { Engine } from '../workers/engine/index.ts';
import { parseCommandLine } from './command-line.ts';
import { parsePositiveBytes } from './flag-values.ts';
import type { CommandContext, CommandOutcome } from './commands/command-context.ts';
import type { Flags, Invocation } from './invocation.ts';
import { latheHome } from './lathe-home.ts';
import { escapeLine, escapeText, toSafeJson } from './output/escape-text.ts';
import { ProgressView, type ProgressMode } from './output/progress-view.ts';
import { formatError, toPublicError } from './output/report-error.ts';
import { createStyle, isAnimatable } from './output/style.ts';
import type { Surroundings } from './surroundings.ts';

/** Help wider than this is hard to read. */
const MAX_HELP_COLUMNS = 120;
const MIN_HELP_COLUMNS = 60;
const DEFAULT_HELP_COLUMNS = 100;

/**
 * Runs one command line to its end and answers with the exit code; everything it prints has been handed to the streams.
 * Never rejects.
 */
export async function runCli(surroundings: Surroundings): Promise<number> {
  const { argv, version, stdout, stderr, env } = surroundings;
  const columns = Math.min(MAX_HELP_COLUMNS, Math.max(MIN_HELP_COLUMNS, stdout.columns || DEFAULT_HELP_COLUMNS));
  try {
    const request = parseCommandLine(argv, version, columns);
    if (request.kind === 'run') return await runInvocation(surroundings, request.flags, request.invocation);
    const text = request.text.trimEnd();
    stdout.write(`${beforeDashes(argv).includes('--json') ? toSafeJson({ schema: 1, [request.key]: text }) : text}\n`);
    return EXIT.done;
  } catch (error) {
    // The arguments could not be parsed, so the flags that say how to speak are looked for by eye.
    const given = beforeDashes(argv);
    const flags = { json: given.includes('--json'), verbose: given.includes('--verbose') };
    const events = /(^| )--events[= ]ndjson( |$)/.test(given.join(' '));
    const mode = events ? 'ndjson' : 'none';
    const view = new ProgressView({
      stderr,
      mode,
      showsNotes: false,
      showsLog: false,
      style: createStyle(stderr, env),
      now: surroundings.now,
    });
    return reportFailure(surroundings, view, flags, error);
  }
}

/** Arguments after `--` are never flags. */
function beforeDashes(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end === -1 ? argv : argv.slice(0, end);
}

async function runInvocation(surroundings: Surroundings, flags: Flags, invocation: Invocation): Promise<number> {
  const { stdout, stderr, env, now } = surroundings;
  const style = createStyle(stderr, env);
  const showsNotes = !flags.quiet && !flags.json;
  const showsLog = flags.verbose;
  const mode = progressMode(surroundings, flags);
  const view = new ProgressView({ stderr, mode, showsNotes, showsLog, style, now });
  const controller = new AbortController();
  const stopListening = listenForSignals(surroundings, view, controller);
  const crash = new Promise<never>((_, reject) => surroundings.onCrash(reject));
  try {
    const command = runCommand(invocation, createContext(surroundings, flags, view, controller.signal));
    const outcome = await Promise.race([command, crash]);
    view.clear();
    const error = outcome.error === undefined ? null : new WorkbenchError(outcome.error);
    if (outcome.document === null) {
      // All was printed while it ran.
    } else if (flags.json) {
      const document = error === null ? outcome.document : { ...outcome.document, error: toPublicError(error) };
      stdout.write(`${toSafeJson(document)}\n`);
    } else {
      stdout.write(`${escapeText(outcome.summary().join('\n'))}\n`);
      for (const note of outcome.notes) view.showNote(note);
    }
    if (error === null) return EXIT.done;
    reportOnStderr(surroundings, view, flags, error);
    return exitCodeOf(error);
  } catch (error) {
    return reportFailure(surroundings, view, flags, error);
  } finally {
    stopListening();
  }
}

function progressMode({ stderr, env }: Surroundings, { events, quiet, json }: Flags): ProgressMode {
  if (events) return 'ndjson';
  if (quiet) return 'none';
  if (isAnimatable(stderr, env)) return 'line';
  return json ? 'none' : 'plain';
}

function createContext(
  surroundings: Surroundings,
  flags: Flags,
  view: ProgressView,
  signal: AbortSignal,
): CommandContext {
  const { argv, env, logicalProcessors, kernelsPath, inferenceWorkerPath, openEngine, stdout } = surroundings;
  const limit = env['LATHE_CACHE_LIMIT'] ?? '';
  const cacheLimitBytes = limit === '' ? null : parsePositiveBytes(limit, 'LATHE_CACHE_LIMIT');
  const home = latheHome(surroundings);
  const options = { kernelsPath, inferenceWorkerPath, home, cacheLimitBytes };
  let engine: Promise<Engine> | null = null;
  return {
    engine: () => (engine ??= openEngine(options)),
    job: {
      threads: flags.threads ?? Math.max(1, logicalProcessors),
      memoryLimitBytes: flags.memoryLimitBytes,
      signal,
      onEvent: (event) => view.onEvent(event),
    },
    argv,
    serving: {
      home,
      userFolder: surroundings.homeFolder,
      examplesFolder: surroundings.examplesFolder,
      rendererFolder: surroundings.rendererFolder,
      threads: flags.threads,
      memoryLimitBytes: flags.memoryLimitBytes,
      logicalProcessors: Math.max(1, logicalProcessors),
      announce: (document, line) => stdout.write(`${flags.json ? toSafeJson(document) : escapeLine(line)}\n`),
    },
  };
}

/** Loads a command's code only now. */
async function runCommand(invocation: Invocation, context: CommandContext): Promise<CommandOutcome> {
  switch (invocation.command) {
    case 'inspect':
      return (await import('./commands/inspect-command.ts')).runInspect(invocation, context);
    case 'compress':
      return (await import('./commands/compress-command.ts')).runCompress(invocation, context);
    case 'export':
      return (await import('./commands/export-command.ts')).runExport(invocation, context);
    case 'restore':
      return (await import('./commands/restore-command.ts')).runRestore(invocation, context);
    case 'verify':
      return (await import('./commands/verify-command.ts')).runVerify(invocation, context);
    case 'estimate':
      return (await import('./commands/estimate-command.ts')).runEstimate(invocation, context);
    case 'explain':
      return (await import('./commands/explain-command.ts')).runExplain(invocation, context);
    case 'evaluate':
      return (await import('./commands/evaluate-command.ts')).runEvaluate(invocation, context);
    case 'runs-list':
      return (await import('./commands/runs-list-command.ts')).runRunsList(invocation, context);
    case 'runs-show':
      return (await import('./commands/runs-show-command.ts')).runRunsShow(invocation, context);
    case 'runs-compare':
      return (await import('./commands/runs-compare-command.ts')).runRunsCompare(invocation, context);
    case 'runs-clean':
      return (await import('./commands/runs-clean-command.ts')).runRunsClean(invocation, context);
    case 'calibrate':
      return (await import('./commands/calibrate-command.ts')).runCalibrate(invocation, context);
    case 'cache-show':
      return (await import('./commands/cache-command.ts')).runCacheShow(context);
    case 'cache-clear':
      return (await import('./commands/cache-command.ts')).runCacheClear(invocation, context);
    case 'run':
      return (await import('./commands/run-batch-command.ts')).runBatch(invocation, context);
    case 'resume':
      return (await import('./commands/resume-command.ts')).runResume(invocation, context);
    case 'serve':
      return (await import('./commands/serve-command.ts')).runServe(invocation, context);
    case 'doctor':
      return (await import('./commands/doctor-command.ts')).runDoctor(context);
    case 'schema':
      return (await import('./commands/schema-command.ts')).runSchema(invocation);
  }
}

/** The first signal asks the job to stop, the second ends the process. */
function listenForSignals(surroundings: Surroundings, view: ProgressView, controller: AbortController): () => void {
  const stopListening = surroundings.onSignal(() => {
    if (controller.signal.aborted) {
      // Node waits for calls into the system at its end; a third signal then has the system's own effect.
      stopListening();
      view.clear();
      surroundings.exitNow(EXIT.cancelled);
      return;
    }
    const message = 'Stopping cleanly; a second signal ends the program at once.';
    if (!view.writeEvent({ event: 'note', message })) view.writeLine(`lathe: ${message}`);
    controller.abort(new JobError({ code: 'JOB_CANCELLED', what: 'Cancelled.', whatToDo: 'Run it again.' }));
  });
  return stopListening;
}

/** Prints a failure that left no document, and answers with its exit code. */
function reportFailure(
  surroundings: Surroundings,
  view: ProgressView,
  flags: { json: boolean; verbose: boolean },
  error: unknown,
): number {
  view.clear();
  if (flags.json) surroundings.stdout.write(`${toSafeJson({ schema: 1, error: toPublicError(error) })}\n`);
  reportOnStderr(surroundings, view, flags, error);
  return exitCodeOf(error);
}

function reportOnStderr(
  { stderr, env }: Surroundings,
  view: ProgressView,
  flags: { verbose: boolean },
  error: unknown,
): void {
  // A fault of ours is only worth reporting with its stack.
  const stack = exitCodeOf(error) === EXIT.bug ? { stack: serializeError(error).stack } : {};
  const isEvent = view.writeEvent({ event: 'error', ...toPublicError(error), ...stack });
  if (!isEvent) view.writeLine(formatError(error, flags.verbose, createStyle(stderr, env)));
}
