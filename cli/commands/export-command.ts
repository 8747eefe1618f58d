import type { ExportedTensor, ExportResult } from '../../core/contract/export-result.ts';
import { bitsPerWeight, formatBytes, formatCount, formatFraction, formatSeconds } from '../../core/units.ts';
import type { ExportInvocation } from '../invocation.ts';
import { escapeLine } from '../output/escape-text.ts';
import { formatPairs, formatTable } from '../output/text-table.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';

/** `lathe export MODEL --to gguf --type T -o FILE`. */
export async function runExport(
  { command: _, ...asked }: ExportInvocation,
  { engine, job }: CommandContext,
): Promise<CommandOutcome> {
  const document = await (await engine()).exportGguf({ ...job, ...asked });
  return { document, summary: () => summarize(document), notes: document.notes };
}

function summarize(result: ExportResult): string[] {
  const { path, fileBytes, sourceStoredBytes, storedBytes, sha256, seconds, cpuSeconds, peakRssBytes } = result;
  return [
    ...formatTable(
      [
        { title: 'type', align: 'left' },
        { title: 'tensors', align: 'right' },
        { title: 'weights', align: 'right' },
        { title: 'stored bytes', align: 'right' },
        { title: 'bits per weight', align: 'right' },
        { title: 'relative error', align: 'right' },
      ],
      sumByType(result.tensors).map(({ type, tensors, weights, bytes, worst }) => [
        type,
        formatCount(tensors),
        formatCount(weights),
        formatCount(bytes),
        bitsPerWeight(bytes, weights).toFixed(3),
        worst === 0 ? '0' : `up to ${worst.toExponential(2)}`,
      ]),
    ),
    '',
    ...formatPairs([
      ['Output', escapeLine(path)],
      [
        'Weights',
        `${formatBytes(sourceStoredBytes)} -> ${formatBytes(storedBytes)}, ${formatFraction(storedBytes / sourceStoredBytes)}`,
      ],
      ['File', `${formatBytes(fileBytes)}, SHA-256 ${sha256}`],
      [
        'Bits per weight',
        `${result.bitsPerWeight.toFixed(3)}, of the blocks' matrices ${result.bitsPerBlockWeight.toFixed(3)}`,
      ],
      ['Time', `${formatSeconds(seconds)} (processor ${formatSeconds(cpuSeconds)})`],
      ['Peak memory', formatBytes(peakRssBytes)],
      ['Verified', 'opened again: every tensor decoded and compared with the original, texts given to its tokenizer'],
    ]),
  ];
}

interface TypeSum {
  type: string;
  tensors: number;
  weights: number;
  bytes: number;
  /** The greatest relative error of a tensor. */
  worst: number;
}

function sumByType(tensors: readonly ExportedTensor[]): TypeSum[] {
  const sums = new Map<string, TypeSum>();
  for (const { type, shape, storedBytes, relativeError } of tensors) {
    const sum = sums.get(type) ?? { type, tensors: 0, weights: 0, bytes: 0, worst: 0 };
    sum.tensors += 1;
    sum.weights += shape.reduce((product, dimension) => product * dimension, 1);
    sum.bytes += storedBytes;
    sum.worst = Math.max(sum.worst, relativeError);
    sums.set(type, sum);
  }
  return [...sums.values()];
}
