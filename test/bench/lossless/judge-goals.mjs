/** What was asked for, beside what was measured. */
import { rateOf } from './kernel-rates.mjs';
import { formatTable } from '../../../scripts/format-table.mjs';
import { mebibytes, percent, seconds } from './report-tables.mjs';

const MEBI = 1 << 20;

/** One goal. `atLeast` says which side of the bounds is the good one; a value of null was not measured, a bound of null not set. */
export function goal(name, value, must, aim, format, atLeast = true) {
  const reaches = (bound) => bound === null || (atLeast ? value >= bound : value <= bound);
  const best = aim !== null && reaches(aim) ? 'aim reached' : 'must reached';
  const verdict = value === null ? 'not measured' : reaches(must) ? best : 'MISSED';
  const [measured, mustBe, better] = [value, must, aim].map((number) => (number === null ? '' : format(number)));
  const sign = atLeast ? '>= ' : '<= ';
  return { name, value, must, aim, verdict, shown: [measured, mustBe && sign + mustBe, better && sign + better] };
}

/** Both passes over the weights: the histogram first, then the coding. */
function bothPasses(first, second) {
  return first === null || second === null ? null : 1 / (1 / first + 1 / second);
}

function kernelGoals(lines) {
  const mega = (value) => `${Math.round(value)} M weights/s`;
  const ofDfloat11 = (what) => rateOf(lines, { family: 'dfloat11', what });
  const ofRans = (what) => rateOf(lines, { family: 'split-plane', what, codec: 'rans12x32' });
  return [
    goal(
      'DFloat11 encode, histogram and coding, one core',
      bothPasses(ofDfloat11('measure'), ofDfloat11('encode')),
      300,
      500,
      mega,
    ),
    goal('DFloat11 decode, one core', ofDfloat11('decode'), 400, 700, mega),
    goal('split-plane encode (rans12x32), one core', ofRans('encode in memory'), 300, 500, mega),
    goal('split-plane decode (rans12x32), one core', ofRans('decode in memory'), 1000, 2000, mega),
  ];
}

function sizeGoals(where, { dfloat11, 'split-plane': splitPlane }) {
  const bits = (value) => `${value.toFixed(4)} bits`;
  const { bitsPerWeight, formulaBitsPerWeight } = dfloat11;
  const excess = splitPlane.bitsPerWeight - splitPlane.entropyBitsPerWeight;
  return [
    goal(`DFloat11 above its formula, ${where}`, bitsPerWeight - formulaBitsPerWeight, 0.03, 0.01, bits, false),
    goal(`split-plane above 8 + exponent entropy, ${where}`, excess, 0.03, 0, bits, false),
  ];
}

function processGoals(rows) {
  const times = (value) => `${value.toFixed(2)}x`;
  const of = (coder) => rows.find((row) => row.coder === coder);
  const zstd = of('zstd -3');
  if (zstd === undefined) return [];
  return ['dfloat11', 'split-plane'].flatMap((codec) => [
    goal(
      `${codec} restore against zstd -d, 256 MiB, one thread`,
      zstd.restore.wallSeconds / of(codec).restore.wallSeconds,
      1,
      1.5,
      times,
    ),
    goal(
      `${codec} compress (verified) against zstd -3, 256 MiB, one thread`,
      zstd.compress.wallSeconds / of(codec).compress.wallSeconds,
      2,
      3,
      times,
    ),
  ]);
}

function smallestGoals(rows) {
  const best = rows.find(({ coder }) => coder === 'zstd -19');
  if (best === undefined) return [];
  return ['dfloat11', 'split-plane'].map((codec) => {
    const row = rows.find(({ coder }) => coder === codec);
    return goal(`${codec} on the sample model, against zstd -19`, row.ratio, best.ratio, null, percent, false);
  });
}

function memoryGoals({ rows, largestTensorBytes }) {
  return rows.map(({ codec, what, limit, peakBytes, reportedPeakBytes }) => {
    const peak = peakBytes === null ? reportedPeakBytes : Math.max(peakBytes, reportedPeakBytes);
    const bound = limit === null ? 500 * MEBI + 2 * largestTensorBytes : null;
    const limitBytes = limit === null ? null : Number.parseInt(limit, 10) * MEBI;
    return goal(
      `peak memory, ${codec} ${what}, ${limit === null ? 'no limit' : `--memory-limit ${limit}`}`,
      peak,
      bound,
      limitBytes,
      mebibytes,
      false,
    );
  });
}

function startGoals({ inspect, help }) {
  return [
    goal('inspect of 100 shards, 5,000 tensors', inspect.wallSeconds, 1, 0.2, seconds, false),
    goal('lathe --help', help.wallSeconds, 0.15, 0.08, seconds, false),
  ];
}

/** Every goal whose part was measured. */
export function judgeGoals({ kernels, sample, processes, sizes, scaling, memory, starts }) {
  return [
    ...(kernels ? kernelGoals(kernels) : []),
    ...(sizes ? Object.entries(sizes).flatMap(([where, parts]) => sizeGoals(where, parts)) : []),
    ...(sample ? smallestGoals(sample) : []),
    ...(processes ? processGoals(processes) : []),
    ...(scaling
      ? scaling.map(({ codec, what, speedup }) =>
          goal(`${codec} ${what}, 2 threads against 1`, speedup, 1.8, null, (value) => `${value.toFixed(2)}x`),
        )
      : []),
    ...(memory ? memoryGoals(memory) : []),
    ...(starts ? startGoals(starts) : []),
  ];
}

export function goalTable(goals) {
  return formatTable(
    'Goals',
    ['what', 'measured', 'must', 'aim', ''],
    goals.map(({ name, shown, verdict }) => [name, ...shown, verdict]),
  );
}
