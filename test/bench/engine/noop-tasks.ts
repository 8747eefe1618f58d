/**
 * A program: `node noop-tasks.mjs FOLDER KERNELS TASKS ROUNDS`; runs tasks that do nothing through the scheduler, with the journal
 * and the progress of a real run, and prints the times as JSON.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { JobEvent } from '../../../core/contract/progress.ts';
import { ResourcePool } from '../../../core/scheduling/resource-pool.ts';
import { runTasks } from '../../../core/scheduling/run-tasks.ts';
import type { Task } from '../../../core/scheduling/task.ts';
import { loadKernels } from '../../../native-kernels/index.ts';
import { createProgressTracker } from '../../../workers/engine/progress-tracker.ts';
import { openRunFolder } from '../../../workers/engine/run-folder.ts';
import { RunRecorder } from '../../../workers/engine/run-recorder.ts';

const [folder = '', kernelsPath = '', taskCount, roundCount] = process.argv.slice(2);
const kernels = loadKernels(kernelsPath);
const TASKS = Number(taskCount);
const WORK = 1 << 20;

/** Each needs the one before, as the tasks of `compress` do; or none needs any. */
function tasksOf(isChain: boolean): Task[] {
  return Array.from({ length: TASKS }, (_, index): Task => ({
    key: `tensor:${index}`,
    stage: 'compress',
    label: `model.layers.${index}.mlp.down_proj.weight`,
    needs: isChain && index > 0 ? [`tensor:${index - 1}`] : [],
    demand: { threads: 1, memoryBytes: () => 1 << 20 },
    work: WORK,
    run: () => Promise.resolve({ bytes: index, storedBytes: index, sha256: 'f'.repeat(64) }),
    holds: () => Promise.resolve(true),
  }));
}

interface Round {
  seconds: number;
  cpuSeconds: number;
  journalBytes: number;
  events: { at: number; event: string }[];
}

async function run(name: string, isChain: boolean, threads: number, isJournaled: boolean): Promise<Round> {
  const tasks = tasksOf(isChain);
  const events: Round['events'] = [];
  const onEvent = ({ event }: JobEvent) => void events.push({ at: performance.now(), event });
  const recorder = new RunRecorder(onEvent);
  const runFolder = await openRunFolder(folder, name, kernels);
  recorder.begin(runFolder);
  const { signal } = new AbortController();
  const tracker = createProgressTracker(threads, signal, recorder.onEvent);
  tracker.expect(TASKS * WORK);
  const cpuAtStart = process.cpuUsage();
  const startedAt = performance.now();
  await runTasks(tasks, {
    pool: new ResourcePool({ threads, memoryBytes: 1 << 30 }),
    signal,
    known: new Map(),
    onStart: ({ stage, label }) => tracker.stage(stage, label),
    onRecord: ({ key }, record) =>
      isJournaled ? runFolder.journal.append({ type: 'item', key, record }) : Promise.resolve(),
    onEnd: ({ work }) => tracker.settle(work),
  });
  await runFolder.journal.flush();
  tracker.finish();
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpuAtStart);
  const journal = join(folder, 'runs', name, 'journal.jsonl');
  await recorder.close(runFolder);
  if (isJournaled) checkJournal(journal);
  return { seconds, cpuSeconds: (user + system) / 1e6, journalBytes: statSync(journal).size, events };
}

function checkJournal(path: string): void {
  const items = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{"type":"item"'));
  if (items.length !== TASKS) throw new Error(`The journal has ${items.length} of ${TASKS} items.`);
}

/** Most events of a kind within any one second. */
function mostPerSecond(events: Round['events'], kind: string): number {
  const times = events.filter(({ event }) => event === kind).map(({ at }) => at);
  let most = 0;
  for (let from = 0, to = 0; to < times.length; to++) {
    while ((times[to] ?? 0) - (times[from] ?? 0) >= 1000) from++;
    most = Math.max(most, to - from + 1);
  }
  return most;
}

const rows = [];
for (const [what, isChain, threads, isJournaled] of [
  ['each needs the one before, 1 thread', true, 1, true],
  ['each needs the one before, 2 threads', true, 2, true],
  ['none needs another, 2 threads', false, 2, true],
  ['none needs another, 2 threads, no journal', false, 2, false],
] as const) {
  const rounds: Round[] = [];
  // The first is to warm up.
  for (let round = -1; round < Number(roundCount); round++) {
    const found = await run(`${rows.length}-${round + 1}`, isChain, threads, isJournaled);
    if (round >= 0) rounds.push(found);
  }
  const events = rounds.map((round) => round.events);
  rows.push({
    what,
    tasks: TASKS,
    seconds: rounds.map(({ seconds }) => seconds),
    cpuSeconds: rounds.map(({ cpuSeconds }) => cpuSeconds),
    journalBytes: rounds[0]?.journalBytes ?? 0,
    progressPerSecond: Math.max(...events.map((each) => mostPerSecond(each, 'progress'))),
    stagePerSecond: Math.max(...events.map((each) => mostPerSecond(each, 'stage'))),
  });
}
console.log(JSON.stringify(rows));
