import { CALIBRATION_DEFAULTS } from '../../core/contract/calibration-result.ts';
import type { InspectedTensor, InspectResult } from '../../core/contract/results.ts';
import { formatBytes, formatCount, formatFraction } from '../../core/units.ts';
import type { InspectInvocation } from '../invocation.ts';
import { escapeLine } from '../output/escape-text.ts';
import { formatPairs, formatTable, type Column } from '../output/text-table.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';

/** `lathe inspect MODEL [--statistics [--text FILE…]]`. */
export async function runInspect(
  { model, statistics, texts }: InspectInvocation,
  { engine, job }: CommandContext,
): Promise<CommandOutcome> {
  const inputs = texts.length === 0 ? null : { texts, ...CALIBRATION_DEFAULTS };
  const document = await (await engine()).inspect({ ...job, model, statistics, inputs });
  return { document, summary: () => summarize(document, statistics), notes: document.notes };
}

const COLUMNS: readonly Column[] = [
  { title: 'tensor', align: 'left' },
  { title: 'dtype', align: 'left' },
  { title: 'shape', align: 'left' },
  { title: 'stored bytes', align: 'right' },
];

const STATISTICS_COLUMNS: readonly Column[] = [
  { title: 'entropy', align: 'right' },
  { title: 'min', align: 'right' },
  { title: 'max', align: 'right' },
  { title: 'rms', align: 'right' },
  { title: 'zeros', align: 'right' },
  { title: 'NaN or infinite', align: 'right' },
];

/** Of the input of its linear map. */
const INPUT_COLUMNS: readonly Column[] = [
  { title: 'input rms', align: 'right' },
  { title: 'input greatest', align: 'right' },
  { title: 'largest column / median', align: 'right' },
];

const LAST_COLUMNS: readonly Column[] = [
  { title: 'stored', align: 'left' },
  { title: 'file', align: 'left' },
];

function summarize(result: InspectResult, statistics: boolean): string[] {
  const { calibration } = result;
  const columns = [
    ...COLUMNS,
    ...(statistics ? STATISTICS_COLUMNS : []),
    ...(calibration ? INPUT_COLUMNS : []),
    ...LAST_COLUMNS,
  ];
  const rows = result.tensors.map((tensor) => [
    escapeLine(tensor.name),
    tensor.dtype,
    formatShape(tensor.shape),
    formatCount(tensor.storedBytes),
    ...(statistics ? statisticsCells(tensor) : []),
    ...(calibration ? inputCells(tensor) : []),
    tensor.method,
    escapeLine(tensor.file),
  ]);
  const table = rows.length === 0 ? [] : [...formatTable(columns, rows), ''];
  const { format, architecture, parameters, storedBytes, fileBytes, bitsPerWeight, losslessEstimate } = result;
  const pairs: [string, string][] = [
    ['Format', format],
    ['Architecture', architecture === null ? 'not known' : escapeLine(architecture)],
    ['Weights', `${formatCount(parameters)} in ${formatCount(rows.length)} tensors`],
    ['Stored', `${formatExactBytes(storedBytes)}, ${bitsPerWeight.toFixed(2)} bits per weight`],
    ['All files', formatExactBytes(fileBytes)],
  ];
  if (losslessEstimate !== undefined) {
    const { dfloat11Bytes, splitPlaneBytes } = losslessEstimate;
    pairs.push(['With DFloat11', dfloat11Bytes === null ? 'cannot hold this model' : formatGain(dfloat11Bytes)]);
    pairs.push(['With split-plane', formatGain(splitPlaneBytes)]);
  }
  if (calibration !== undefined) {
    const { sequences, sequenceLength, measuredBlocks, cachedBlocks } = calibration;
    const shown = `${formatCount(sequences)} sequences of ${formatCount(sequenceLength)} tokens`;
    pairs.push([
      'Inputs',
      `${shown}; ${formatCount(measuredBlocks)} blocks measured, ${formatCount(cachedBlocks)} known`,
    ]);
  }
  function formatGain(bytes: number): string {
    const share = storedBytes === 0 ? '' : `, ${formatFraction(bytes / storedBytes)} of what is stored now`;
    return `about ${formatExactBytes(bytes)}${share}`;
  }
  return [...table, ...formatPairs(pairs)];
}

function formatShape(shape: readonly number[]): string {
  return shape.length === 0 ? '()' : shape.join(' x ');
}

function formatExactBytes(bytes: number): string {
  return bytes < 1024 ? formatBytes(bytes) : `${formatBytes(bytes)} (${formatCount(bytes)} bytes)`;
}

function statisticsCells(tensor: InspectedTensor): string[] {
  const { exponentEntropyBits, min, max, rms, zeroFraction, nanCount = 0, infiniteCount = 0 } = tensor;
  return [
    typeof exponentEntropyBits === 'number' ? `${exponentEntropyBits.toFixed(3)} bits` : '-',
    ...[min, max, rms].map((value) => (typeof value === 'number' ? value.toPrecision(4) : '-')),
    typeof zeroFraction === 'number' ? formatFraction(zeroFraction) : '-',
    formatCount(nanCount + infiniteCount),
  ];
}

function inputCells({ input }: InspectedTensor): string[] {
  if (!input) return ['-', '-', '-'];
  const { rms, greatest, outlierRatio } = input;
  return [rms.toPrecision(3), greatest.toPrecision(3), outlierRatio.toFixed(1)];
}
