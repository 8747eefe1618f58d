import type { RestoreResult } from '../../core/contract/results.ts';
import { formatBytes, formatCount, formatSeconds } from '../../core/units.ts';
import type { RestoreInvocation } from '../invocation.ts';
import { escapeLine } from '../output/escape-text.ts';
import { formatPairs, formatTable } from '../output/text-table.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';

/** `lathe restore MODEL -o DIR`. */
export async function runRestore(
  { model, output, dtype, maxShardBytes, force }: RestoreInvocation,
  { engine, job }: CommandContext,
): Promise<CommandOutcome> {
  const document = await (await engine()).restore({ ...job, model, output, dtype, maxShardBytes, force });
  return { document, summary: () => summarize(document), notes: document.notes };
}

function summarize({ output, files, filesIdentical, lossless, ...cost }: RestoreResult): string[] {
  const sizeBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const identical = filesIdentical
    ? 'every file has the bytes of the original: weight files by XXH3-64, the others by SHA-256'
    : lossless
      ? 'every tensor is exact; the bytes of the original files are not known'
      : 'the weights are rounded';
  return [
    ...formatTable(
      [
        { title: 'file', align: 'left' },
        { title: 'bytes', align: 'right' },
        { title: 'SHA-256', align: 'left' },
      ],
      files.map(({ name, bytes, sha256 }) => [escapeLine(name), formatCount(bytes), sha256]),
    ),
    '',
    ...formatPairs([
      ['Output', escapeLine(output)],
      ['Restored', `${formatCount(files.length)} files, ${formatBytes(sizeBytes)}`],
      ['Identical', identical],
      ['Time', `${formatSeconds(cost.seconds)} (processor ${formatSeconds(cost.cpuSeconds)})`],
      ['Peak memory', formatBytes(cost.peakRssBytes)],
    ]),
  ];
}
