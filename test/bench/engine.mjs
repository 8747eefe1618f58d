/**
 * `npm run bench -- engine [--quick] [--report]`: what the engine itself costs: ten thousand tasks that do nothing, a model
 * of ten thousand tiny tensors from end to end, and how many events a face is sent meanwhile.
 *
 * Tables go to the terminal, all figures to bench-results/engine.json; `--report` puts the tables into
 * docs/benchmarks/engine-overhead.md. Ends with 1 if a goal is missed.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundleProgram } from '../../scripts/bundle-program.mjs';
import { describeMachine } from '../../scripts/describe-machine.mjs';
import { formatTable } from '../../scripts/format-table.mjs';
import { replaceFigures } from '../../scripts/replace-figures.mjs';
import { inRepository, isProgram, runProgram, Stop } from '../../scripts/run-command.mjs';
import { outputOf } from '../../scripts/time-process.mjs';
import { measureTinyTensors } from './engine/tiny-tensors.mjs';

const TASKS = 10_000;
const GOAL_SECONDS_A_TASK = 1e-3;
const GOAL_SECONDS_END_TO_END = 15;
/** workers/engine/progress-tracker.ts tells progress every 100 ms at most, and the end in any case; one may be read late. */
const MOST_PROGRESS = 10 + 2;
/** Besides details, which come with progress, each stage of a job is told as it begins. */
const MOST_STAGES = 10 + 5;

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

async function measureTasks(work, rounds) {
  const program = await bundleProgram('test/bench/engine/noop-tasks.ts');
  const kernels = inRepository('dist/native/lathe-kernels.node');
  const args = [program, join(work, 'home'), kernels, String(TASKS), String(rounds)];
  return JSON.parse(await outputOf(process.execPath, args));
}

function taskTable(rows) {
  const microseconds = (values, { tasks }) => `${((1e6 * median(values)) / tasks).toFixed(1)} µs`;
  return formatTable(
    `${TASKS.toLocaleString('en')} tasks that do nothing (goal: less than 1 ms a task)`,
    ['tasks', 'a task', 'CPU a task', 'all', 'journal', 'progress events in 1 s', 'stage events in 1 s'],
    rows.map((row) => [
      row.what,
      microseconds(row.seconds, row),
      microseconds(row.cpuSeconds, row),
      `${median(row.seconds).toFixed(2)} s`,
      `${(row.journalBytes / 1e6).toFixed(2)} MB`,
      row.progressPerSecond,
      row.stagePerSecond,
    ]),
  );
}

function tensorTable(rows) {
  return formatTable(
    `A model of ${TASKS.toLocaleString('en')} tensors of 128 weights, whole processes (goal: less than ${GOAL_SECONDS_END_TO_END} s)`,
    ['model', 'codec', 'what', 'median', 'best', 'progress events in 1 s', 'events in all'],
    rows.map((row) => [
      row.model,
      row.codec,
      row.what,
      `${median(row.seconds).toFixed(2)} s`,
      `${Math.min(...row.seconds).toFixed(2)} s`,
      row.progressPerSecond,
      row.events,
    ]),
  );
}

/** Goals that were missed, as sentences. */
function misses(tasks, tensors) {
  const slow = tasks.filter((row) => median(row.seconds) / row.tasks >= GOAL_SECONDS_A_TASK);
  const slowModels = tensors.filter(({ seconds }) => median(seconds) >= GOAL_SECONDS_END_TO_END);
  const loud = [...tasks, ...tensors].filter(({ progressPerSecond }) => progressPerSecond > MOST_PROGRESS);
  const loudStages = tasks.filter(({ stagePerSecond }) => stagePerSecond > MOST_STAGES);
  return [
    ...slow.map(({ what }) => `${what}: a millisecond a task or more`),
    ...slowModels.map(({ model, codec, what }) => `${what} of ${model} with ${codec}: too slow`),
    ...loud.map(({ what }) => `${what}: more than ${MOST_PROGRESS} progress events within a second`),
    ...loudStages.map(({ what }) => `${what}: more than ${MOST_STAGES} stage events within a second`),
  ];
}

async function bench() {
  const { values } = parseArgs({ options: { quick: { type: 'boolean' }, report: { type: 'boolean' } } });
  const rounds = values.quick ? 3 : 7;
  const work = mkdtempSync(join(tmpdir(), 'lathe-bench-'));
  process.once('SIGINT', () => {
    rmSync(work, { recursive: true, force: true });
    process.exit(130);
  });
  const machine = await describeMachine();
  console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.kernel}, Node ${machine.node}`);
  console.log(`commit ${machine.commit}, ${machine.date}, ${rounds} rounds, medians`);
  const tables = [];
  function show(table) {
    tables.push(table);
    console.log(table);
  }
  const results = {};
  try {
    results.tasks = await measureTasks(work, rounds);
    show(taskTable(results.tasks));
    results.tensors = await measureTinyTensors(work, TASKS, rounds);
    show(tensorTable(results.tensors));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  mkdirSync(inRepository('bench-results'), { recursive: true });
  writeFileSync(
    inRepository('bench-results/engine.json'),
    `${JSON.stringify({ schema: 1, machine, rounds, ...results }, null, 1)}\n`,
  );
  const facts = [`\`npm run bench -- engine\`, medians of ${rounds} rounds; files on a disk, so that syncs are real`];
  if (values.report) replaceFigures('engine-overhead', { machine, facts, tables });
  const missed = misses(results.tasks, results.tensors);
  if (missed.length > 0) throw new Stop(`bench: goals missed:\n${missed.join('\n')}`);
  console.log('All goals are reached. All figures: bench-results/engine.json');
}

if (isProgram(import.meta.url)) await runProgram(bench);
