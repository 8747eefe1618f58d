import type { CalibratedInput, CalibrateResult } from '../../core/contract/calibration-result.ts';
import { formatBytes, formatCount, formatSeconds } from '../../core/units.ts';
import type { CalibrateInvocation } from '../invocation.ts';
import { escapeLine } from '../output/escape-text.ts';
import { formatPairs, formatTable, type Column } from '../output/text-table.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';

/** `lathe calibrate MODEL --text FILE…`. */
export async function runCalibrate(
  { command: _, ...asked }: CalibrateInvocation,
  { engine, job }: CommandContext,
): Promise<CommandOutcome> {
  const document = await (await engine()).calibrate({ ...job, ...asked });
  return { document, summary: () => summarizeCalibration(document), notes: document.notes };
}

const COLUMNS: readonly Column[] = [
  { title: 'block', align: 'right' },
  { title: 'input of', align: 'left' },
  { title: 'columns', align: 'right' },
  { title: 'rms', align: 'right' },
  { title: 'greatest', align: 'right' },
  { title: 'largest column / median', align: 'right' },
  { title: 'outlying columns', align: 'right' },
];

/** A finished calibration, for people. */
export function summarizeCalibration(result: CalibrateResult): string[] {
  const { inputs, sequences, sequenceLength, tokens, measuredBlocks, cachedBlocks, seconds, cpuSeconds } = result;
  const rows = inputs.map((input) => [
    String(input.block),
    escapeLine(shortMaps(input)),
    formatCount(input.columns),
    input.rms.toPrecision(3),
    input.greatest.toPrecision(3),
    input.outlierRatio.toFixed(1),
    formatCount(input.outlierColumns),
  ]);
  return [
    ...formatTable(COLUMNS, rows),
    '',
    ...formatPairs([
      ['Model', escapeLine(result.model)],
      ['Tokens', `${formatCount(tokens)}: ${formatCount(sequences)} sequences of ${formatCount(sequenceLength)}`],
      ['Blocks', `${formatCount(measuredBlocks)} measured, ${formatCount(cachedBlocks)} found in the cache`],
      ['Time', `${formatSeconds(seconds)} (processor ${formatSeconds(cpuSeconds)})`],
      [
        'Peak memory',
        `${formatBytes(result.peakRssBytes)} of ${formatBytes(result.memory.peakMemoryBytes)} at most (limit ${formatBytes(result.memory.limitBytes)})`,
      ],
    ]),
  ];
}

/** The last parts of the names: what stands before is the block. */
function shortMaps({ maps }: CalibratedInput): string {
  return maps.map((map) => map.split('.').slice(-1)[0]).join(', ');
}
