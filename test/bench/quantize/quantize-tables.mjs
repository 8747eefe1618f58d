/** The benchmark's results as tables, and beside what was asked for. */
import { formatTable } from '../../../scripts/format-table.mjs';
import { goal } from '../lossless/judge-goals.mjs';
import { mebibytes, seconds } from '../lossless/report-tables.mjs';

const MEBI = 2 ** 20;
const NOT_MEASURED = 'not measured';

const times = (value) => (value === null ? NOT_MEASURED : `${value.toFixed(2)}x`);
const percent = (value) => (value === null ? NOT_MEASURED : `${(100 * value).toFixed(3)} %`);

function rateCell(row, time) {
  return time === null ? NOT_MEASURED : (row.weights / time.cpuSeconds / 1e6).toFixed(1);
}

function timeCell(time) {
  return time === null ? NOT_MEASURED : `${seconds(time.cpuSeconds)} (${seconds(time.wallSeconds)})`;
}

export function formatsTable(rows) {
  return formatTable(
    'Whole processes; millions of weights a CPU second, medians',
    [
      'type',
      'weights',
      'threads',
      'Lathe',
      'llama-quantize',
      'ratio',
      'Lathe, CPU (wall)',
      'llama-quantize, CPU (wall)',
      'ratio of wall',
    ],
    rows.map((row) => [
      row.name,
      `${Math.round(row.weights / 1e6)} M`,
      row.threads,
      rateCell(row, row.ours),
      rateCell(row, row.theirs),
      times(row.ratio),
      timeCell(row.ours),
      timeCell(row.theirs),
      times(row.wallRatio),
    ]),
  );
}

export function errorsTable(rows) {
  return formatTable(
    'Relative error of what was timed (root of the mean square), no importance given; the same types in both files',
    ['type', 'Lathe', 'llama-quantize', 'tensors where ours is greater'],
    rows
      .filter(({ threads }) => threads === 1)
      .map(({ name, ourError, theirError, worseTensors }) => [
        name,
        percent(ourError),
        percent(theirError),
        worseTensors ?? NOT_MEASURED,
      ]),
  );
}

export function feedbackTable({ size, kernels, product, rows }) {
  const parts = [
    ['matrix product, ONNX Runtime', product.seconds, product.gflopPerSecond],
    ['Gram matrix, our kernel (not counted in the goal)', kernels.gram.median_seconds, kernels.gram.gflop_s],
    ['factor, double precision', kernels.factor.median_seconds, kernels.factor.gflop_s],
    ['feedback and rounding beside it, groups of 128', kernels.groups.median_seconds, kernels.groups.gflop_s],
    ['feedback and rounding beside it, Q4_K', kernels.q4_k.median_seconds, kernels.q4_k.gflop_s],
  ].map(([what, time, rate]) => [what, seconds(time), `${rate.toFixed(1)} GFLOP/s`, '']);
  const whole = rows.map((row) => [
    `factor and feedback, ${row.what}; the formula asks ${seconds(row.formulaSeconds)}`,
    seconds(row.seconds),
    '',
    times(row.ratio),
  ]);
  const title = `GPTQ of a layer of ${size} x ${size}, one thread, CPU seconds; rates in the textbook's count of operations`;
  return formatTable(title, ['what', 'time', 'rate', 'of the formula'], [...parts, ...whole]);
}

export function largeTable({ skipped, sourceBytes, weights, isCold, copies, rows }) {
  if (skipped !== undefined) return `\nA model of 4 GiB: not measured, ${skipped}.\n`;
  const rate = (time) => `${Math.round(sourceBytes / time / 1e6)} MB/s`;
  const title =
    `A model in the shapes of a 7 B one, ${mebibytes(sourceBytes)}, ${(weights / 1e9).toFixed(2)} G weights, ` +
    `${isCold ? 'from disk (out of the page cache before each)' : 'page cache as it was'}, all threads, one run each`;
  return formatTable(
    title,
    ['what', '--memory-limit', 'time', 'read', 'CPU', 'peak (VmHWM)', 'written'],
    [
      ...copies.map(({ what, seconds: time }) => [what, '', seconds(time), rate(time), '', '', '']),
      ...rows.map(({ preset, limit, seconds: time, cpuSeconds, peakBytes, storedBytes }) => [
        `compress --preset ${preset}`,
        limit ?? 'none',
        seconds(time),
        rate(time),
        seconds(cpuSeconds),
        mebibytes(peakBytes),
        mebibytes(storedBytes),
      ]),
    ],
  );
}

/** `1GiB` in bytes. */
function limitBytes(limit) {
  return Number.parseInt(limit, 10) * 1024 * MEBI;
}

export function judgeQuantizeGoals({ formats = [], feedback, large }) {
  const goals = formats
    .filter(({ threads }) => threads === 1)
    .map(({ name, isPlain, ratio }) =>
      goal(`${name} against llama-quantize, one thread, per CPU second`, ratio, 1.5, isPlain ? null : 5, times),
    );
  for (const row of feedback?.rows ?? []) {
    goals.push(goal(`GPTQ of one layer, ${row.what}, over the formula's time`, row.ratio, 2, null, times, false));
  }
  if (large?.rows === undefined) return goals;
  const [, copy] = large.copies;
  for (const { preset, limit, seconds: time, peakBytes } of large.rows) {
    const what = `${preset} of 4 GiB, ${limit === null ? 'no limit' : `--memory-limit ${limit}`}`;
    goals.push(goal(`${what}, over the time of cp`, time / copy.seconds, 1, null, times, false));
    if (limit !== null) goals.push(goal(`${what}, peak memory`, peakBytes, limitBytes(limit), null, mebibytes, false));
  }
  return goals;
}
