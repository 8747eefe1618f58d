/** Kills commands at drawn instants, goes on with them, and looks at what is left. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { digestsOf } from './folder-digests.mjs';
import { placeBelow } from './killed-commands.mjs';
import { KEPT_MS, readJournals, runAndKill, runToEnd, strangersAt } from './lathe-child.mjs';

/** A resumed run is killed again so often, at most and on average. */
const MAX_KILLS = 3;
const KILLED_AGAIN = 1 / 3;
const UNDISTURBED_RUNS = 3;

/**
 * Kills one command `kills` times.
 *
 * @returns { name, kills, killedAgain, spanMs, keptItems, doneAgain, problems, … }: problems are sentences
 */
export async function killCommand(work, command, { kills, draw, onKill }) {
  const whole = await runUndisturbed(work, command);
  const counts = {
    kills: 0,
    killedAgain: 0,
    endedBefore: 0,
    keptItems: 0,
    oldItems: 0,
    doneAgain: 0,
    afterEnd: 0,
    begunAnew: 0,
  };
  const problems = [];
  // A run that ends before its instant comes is no kill; one that always does would go on for ever.
  for (let attempt = 0; counts.kills < kills && attempt < 3 * kills; attempt++) {
    const place = placeBelow(work, `kill-${attempt}`, command);
    mkdirSync(place.out, { recursive: true });
    const instants = [];
    try {
      for (const problem of await killOnce(place, command, whole, { draw, counts, instants })) {
        problems.push(`${command.name}, killed after ${instants.join(' and ')}: ${problem}`);
      }
    } finally {
      rmSync(place.folder, { recursive: true, force: true });
    }
    onKill(counts.kills + counts.killedAgain);
  }
  if (counts.kills < kills) problems.push(`${command.name}: only ${counts.kills} of ${kills} instants came in time.`);
  return { name: command.name, spanMs: whole.spanMs, ...counts, problems };
}

/** Span, bytes, figures and the order of items of runs that nothing disturbs. */
async function runUndisturbed(work, command) {
  const spans = [];
  let whole = null;
  for (let run = 0; run < UNDISTURBED_RUNS; run++) {
    const place = placeBelow(work, 'undisturbed', command);
    mkdirSync(place.out, { recursive: true });
    const { code, stdout, spanMs } = await runToEnd(place, command.args(place.output));
    if (code !== 0) throw new Error(`${command.name}, undisturbed, ended with ${code}: ${stdout}`);
    spans.push(spanMs);
    whole = {
      digests: await digestsOf(place.out),
      figures: figuresOf(command, stdout),
      keys: itemsOf(readJournals(place.home)),
    };
    rmSync(place.folder, { recursive: true });
  }
  return { ...whole, spanMs: spans.sort((a, b) => a - b)[UNDISTURBED_RUNS >> 1] };
}

function figuresOf({ figures }, stdout) {
  return JSON.stringify(figures(JSON.parse(stdout)));
}

/** One run, its kills and its end; what is wrong with them. */
async function killOnce(place, command, whole, { draw, counts, instants }) {
  const args = command.args(place.output);
  const problems = [];
  const first = await killAt(args);
  if (!first.isKilled) {
    counts.endedBefore += 1;
    return problems;
  }
  counts.kills += 1;
  problems.push(...lostItems(place.home, first, whole, counts));
  let isKilled = true;
  for (let kill = 1; isKilled && command.isResumable && kill < MAX_KILLS && draw() < KILLED_AGAIN; kill++) {
    ({ isKilled } = await killAt([...args, '--resume']));
    if (isKilled) counts.killedAgain += 1;
  }
  if (isKilled) problems.push(...(await goOn(place, command, args, whole, { draw, counts })));
  problems.push(...(await thingsLeft(place, command, whole)));
  const again = itemsDoneAgain(place.home);
  counts.doneAgain += again.length;
  if (again.length > 0) problems.push(`did ${again.join(', ')} twice, though journaled before the kill`);
  return problems;

  async function killAt(asked) {
    const delayMs = draw() * whole.spanMs;
    instants.push(`${delayMs.toFixed(1)} ms`);
    return runAndKill(place, asked, delayMs);
  }
}

/** Goes on by the run's name, or by the same command; what cannot go on is done anew. */
async function goOn(place, command, args, whole, { draw, counts }) {
  if (command.isResumable && draw() < 0.5) {
    const [last] = readJournals(place.home).reverse();
    const end = await runToEnd(place, ['resume', last.runId]);
    // Killed before it had a folder to work in: it has nothing to go on with, says so, and begins anew by its command.
    if (isDoneBefore(end.stdout)) {
      counts.afterEnd += 1;
      return [];
    }
    const hasNothing = errorCode(end.stdout) === 'RUN_NOT_RESUMABLE' && itemsOf(readJournals(place.home)).length === 0;
    if (!hasNothing) return judgeEnd('lathe resume', end, command, whole);
    counts.begunAnew += 1;
  }
  const end = await runToEnd(place, command.isResumable ? [...args, '--resume'] : args);
  // Killed after its output took its place, or after it noted its end: there is nothing to do, and it says so.
  const isOver = !command.isResumable || journaledEnds(place.home) > 0;
  if (isOver && errorCode(end.stdout) === 'JOB_OUTPUT_EXISTS') {
    counts.afterEnd += 1;
    return [];
  }
  return judgeEnd(command.isResumable ? 'the command with --resume' : 'the command', end, command, whole);
}

function judgeEnd(what, { code, stdout }, command, whole) {
  if (code !== 0) return [`${what} ended with ${code}: ${stdout}`];
  const figures = figuresOf(command, stdout);
  return figures === whole.figures ? [] : [`${what} ended with other figures: ${figures}, expected ${whole.figures}`];
}

/** `lathe resume` of a run that had come to its end tells that run. */
function isDoneBefore(stdout) {
  return parseDocument(stdout)?.run?.state === 'done';
}

function journaledEnds(home) {
  return readJournals(home).filter(({ lines }) => lines.some(({ type }) => type === 'done')).length;
}

function errorCode(stdout) {
  return parseDocument(stdout)?.error?.code;
}

function parseDocument(stdout) {
  try {
    return JSON.parse(stdout);
  } catch {
    return null;
  }
}

/** The output differs, or something lies beside it or in LATHE_HOME. */
async function thingsLeft({ out, home }, { output }, whole) {
  const problems = [];
  const beside = readdirSync(out).filter((name) => name !== output);
  const strangers = strangersAt(home).map((path) => `LATHE_HOME/${path}`);
  if (beside.length + strangers.length > 0) problems.push(`left ${[...beside, ...strangers].join(', ')}`);
  const digests = await digestsOf(out);
  if (beside.length === 0 && digests !== whole.digests) problems.push('ended with other bytes');
  return problems;
}

/**
 * Items that were done more than a second before a first kill, by the run's own events or by its journal as it stood then,
 * and are in no journal now. docs/runs.md promises a fifth of that time.
 */
function lostItems(home, { events, killedAt, journalsBefore }, { keys }, counts) {
  const journaled = new Set(itemsOf(readJournals(home)));
  const isOld = ({ at, event }) => event === 'stage' && at < killedAt - KEPT_MS;
  const stages = events.filter(isOld).map(({ stage }) => stage);
  // An item's stage begins when those before it are done.
  const begun = stages.filter((stage) => stage === 'compress').length;
  const done = stages.includes('verify') ? keys.length : Math.max(0, begun - 1);
  const isCompression = events.some(({ stage }) => stage === 'compress');
  const old = new Set([...itemsOf(journalsBefore), ...(isCompression ? keys.slice(0, done) : [])]);
  counts.keptItems += journaled.size;
  counts.oldItems += old.size;
  return [...old].filter((key) => !journaled.has(key)).map((key) => `lost ${key}, which was done a second before`);
}

/** Items, and windows one by one, as journals tell of them. */
function itemsOf(journals) {
  return journals.flatMap(({ lines }) => lines.flatMap(keysOf));
}

function keysOf(line) {
  if (line.type === 'item') return [line.key];
  if (line.type !== 'windows') return [];
  return Array.from({ length: line.to - line.from }, (_, index) => `${line.task}, window ${line.from + index}`);
}

/** Each finished item must stand in all journals together once: whoever does it again journals it again. */
function itemsDoneAgain(home) {
  const seen = new Set();
  const again = new Set();
  for (const key of itemsOf(readJournals(home))) (seen.has(key) ? again : seen).add(key);
  return [...again];
}
