/** What a soak found, as tables for the terminal and (the same text) for docs/benchmarks/soak.md. */
import { formatTable } from '../../scripts/format-table.mjs';

const MEBI = 1 << 20;

function mebibytes(bytes) {
  return `${(bytes / MEBI).toFixed(1)} MiB`;
}

function verdict(problems) {
  return problems.length === 0 ? 'ok' : `${problems.length} FAILED`;
}

export function killTable(rows) {
  const kills = rows.reduce((sum, row) => sum + row.kills, 0);
  const again = rows.reduce((sum, row) => sum + row.killedAgain, 0);
  return formatTable(
    `Killed at ${kills} drawn instants, and ${again} times again after a resume`,
    [
      'command',
      'journal spans',
      'kills',
      'killed again',
      'items in the journal',
      'of these 1 s before',
      'done again',
      '',
    ],
    rows.map((row) => [
      row.name,
      `${Math.round(row.spanMs)} ms`,
      row.kills,
      row.killedAgain,
      row.isResumable ? row.keptItems : 'done anew',
      row.isResumable ? row.oldItems : '',
      row.isResumable ? row.doneAgain : '',
      verdict(row.problems),
    ]),
  );
}

export function leakTable({ jobs, found, warmFrom, growth, bounds, problems }) {
  const rows = found.map((each) => [
    `after ${each.jobs.toLocaleString('en')} jobs`,
    mebibytes(each.heapBytes),
    mebibytes(each.residentBytes),
    each.fileHandles,
    each.threads,
    each.resources,
  ]);
  const row = (what, each) => [
    what,
    mebibytes(each.heapBytes),
    mebibytes(each.residentBytes),
    ...[each.fileHandles, each.threads, each.resources].map((value) => value.toFixed(1)),
  ];
  rows.push(row(`growth from ${warmFrom} jobs on, by the trend`, growth), row('allowed', bounds));
  return formatTable(
    `${jobs.toLocaleString('en')} jobs in one engine: ${verdict(problems)}`,
    ['', 'heap after gc', 'resident', 'file handles', 'threads', 'timers and the like'],
    rows,
  );
}

export function limitTable({ modelBytes, largestBytes, limitBytes, rows, problems }) {
  return formatTable(
    `A model of ${mebibytes(modelBytes)}, largest tensor ${mebibytes(largestBytes)}, --memory-limit ${mebibytes(limitBytes)}: ${verdict(problems)}`,
    ['codec', 'what', 'peak (VmHWM)', 'of the limit', 'time'],
    rows.map(({ codec, what, peakBytes, seconds }) => [
      codec,
      what,
      mebibytes(peakBytes),
      `${Math.round((100 * peakBytes) / limitBytes)} %`,
      `${seconds.toFixed(1)} s`,
    ]),
  );
}

export function sameBytesTable(rows) {
  return formatTable(
    'Threads 1, 2 and 3, and an interruption on 1 thread gone on with on 3',
    ['command', 'runs', 'different outputs', ''],
    rows.map(({ name, runs, digests, problems }) => [name, runs, digests, verdict(problems)]),
  );
}
