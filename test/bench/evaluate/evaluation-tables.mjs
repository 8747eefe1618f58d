/** What `npm run bench -- evaluate` measured, as tables. */
import { formatTable } from '../../../scripts/format-table.mjs';
import { mebibytes, seconds } from '../lossless/report-tables.mjs';

function count(value) {
  return Math.round(value).toLocaleString('en');
}

export function passTable(passes) {
  return formatTable(
    'Tokens per CPU second: block by block with weights as inputs, scored, beside one session with constants, logits alone',
    ['model', 'threads', 'block by block', 'one session', 'ratio', 'tokens/s', 'one session, tokens/s'],
    passes.map((pass) => [
      pass.name,
      pass.threads,
      count(pass.blocksPerCpuSecond),
      count(pass.monolithPerCpuSecond),
      pass.ratio.toFixed(3),
      count(pass.blocksPerSecond),
      count(pass.monolithPerSecond),
    ]),
  );
}

const PARTS = [
  'embedding',
  'projections',
  'attention kernel',
  'attended and mlp',
  'final norm',
  'head',
  'vocabulary kernel',
];

export function splitTable(passes) {
  return formatTable(
    'Where the time goes, one thread: share of a round; tokenising and reading weights are done once a run',
    ['model', ...PARTS, 'rest', 'tokenise, per token', 'read weights, once'],
    passes.map(({ name, milliseconds, byBlocks, tokenised, textTokens, weightsMilliseconds }) => {
      const whole = (1000 * byBlocks.reduce((sum, time) => sum + time.seconds, 0)) / byBlocks.length;
      const known = PARTS.map((part) => milliseconds[part] ?? 0);
      const rest = whole - known.reduce((sum, spent) => sum + spent, 0) - (milliseconds.weights ?? 0);
      const share = (spent) => `${((100 * spent) / whole).toFixed(1)} %`;
      return [
        name,
        ...known.map(share),
        share(rest),
        `${((1e6 * tokenised.seconds) / textTokens).toFixed(1)} µs`,
        seconds(weightsMilliseconds / 1000),
      ];
    }),
  );
}

export function kernelTable(lines) {
  const copies = new Map(lines.filter(({ what }) => what === 'copy').map((line) => [line.vocabulary, line]));
  return formatTable(
    'The vocabulary kernel, one thread, logits in memory: GB/s read, and beside a memory copy (bytes copied a second)',
    ['what', 'backend', 'vocabulary', 'MiB read', 'median', 'best', 'of a copy'],
    lines.map(({ what, backend, vocabulary, bytes, median_gb_s, best_gb_s }) => [
      what,
      backend,
      vocabulary.toLocaleString('en'),
      Math.round(bytes / (1 << 20)),
      median_gb_s.toFixed(2),
      best_gb_s.toFixed(2),
      `${((100 * median_gb_s) / copies.get(vocabulary).median_gb_s).toFixed(0)} %`,
    ]),
  );
}

export function processTable(processes) {
  return formatTable(
    'Whole commands, all cores',
    ['model', 'reference', 'tokens', 'mean NLL', 'time', 'CPU', 'tokens/s', 'peak memory'],
    processes.map((result) => [
      result.model,
      result.reference === null ? '' : 'itself',
      count(result.windows * result.context),
      result.meanNegativeLogLikelihood.toFixed(6),
      seconds(result.seconds),
      seconds(result.cpuSeconds),
      count(result.tokensPerSecond),
      mebibytes(result.peakBytes),
    ]),
  );
}

export function largeTable(result) {
  return formatTable(
    'A random Llama under --memory-limit 3GiB',
    ['parameters', 'in float32', 'tokens', 'time', 'CPU', 'tokens/s', 'peak memory', 'limit'],
    [
      [
        count(result.parameters),
        mebibytes(4 * result.parameters),
        count(result.windows * result.context),
        seconds(result.seconds),
        seconds(result.cpuSeconds),
        count(result.tokensPerSecond),
        mebibytes(result.peakBytes),
        '3072 MiB',
      ],
    ],
  );
}
