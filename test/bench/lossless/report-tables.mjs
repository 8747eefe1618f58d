/** The benchmark's results as tables, for the terminal and (the same text) for docs/benchmarks. */
import { formatTable } from '../../../scripts/format-table.mjs';

export function percent(fraction) {
  return `${(100 * fraction).toFixed(2)} %`;
}

export function seconds(value) {
  return value < 1 ? `${Math.round(1000 * value)} ms` : `${value.toFixed(2)} s`;
}

export function mebibytes(bytes) {
  return bytes === null ? 'not measured here' : `${Math.round(bytes / (1 << 20))} MiB`;
}

export function rate(bytes, time) {
  return `${Math.round(bytes / time.wallSeconds / 1e6)} MB/s`;
}

function timeCell(time, sourceBytes) {
  if (time === null || time === undefined) return 'not timed';
  return `${seconds(time.wallSeconds)}, ${rate(sourceBytes, time)} (CPU ${seconds(time.cpuSeconds)})`;
}

export function processTable(title, rows) {
  return formatTable(
    title,
    ['coder', 'bytes', 'of original', 'bits/weight', 'compress', 'restore'],
    rows.map(({ coder, bytes, sourceBytes, ratio, bitsPerWeight, compress, restore }) => [
      coder,
      bytes.toLocaleString('en'),
      percent(ratio),
      bitsPerWeight === undefined ? '' : bitsPerWeight.toFixed(3),
      timeCell(compress, sourceBytes),
      timeCell(restore, sourceBytes),
    ]),
  );
}

export function kernelTable(lines) {
  return formatTable(
    'Coders on their own (Rust benches; millions of weights a second)',
    ['family', 'what', 'codec', 'backend', 'threads', 'median', 'best'],
    lines.map((line) => [
      line.family,
      line.what,
      line.codec ?? '',
      line.backend,
      line.threads,
      line.median_mweights_s,
      line.best_mweights_s,
    ]),
  );
}

export function scalingTable(rows) {
  return formatTable(
    'Two threads against one, whole processes, 1 GiB',
    ['codec', 'what', '1 thread', '2 threads', 'speedup'],
    rows.map(({ codec, what, one, two, speedup }) => [
      codec,
      what,
      seconds(one.wallSeconds),
      seconds(two.wallSeconds),
      `${speedup.toFixed(2)}x`,
    ]),
  );
}

export function memoryTable(rows, modelBytes, largestTensorBytes) {
  return formatTable(
    `Peak memory of the whole process, model of ${mebibytes(modelBytes)}, largest tensor ${mebibytes(largestTensorBytes)}`,
    ['codec', 'what', '--memory-limit', 'peak (VmHWM)', 'peak as Lathe says', 'time'],
    rows.map(({ codec, what, limit, peakBytes, reportedPeakBytes, seconds: time }) => [
      codec,
      what,
      limit ?? 'none',
      mebibytes(peakBytes),
      mebibytes(reportedPeakBytes),
      seconds(time),
    ]),
  );
}
