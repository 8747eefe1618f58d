import type { VerifyResult } from '../../core/contract/results.ts';
import { formatBytes, formatCount, formatFraction, formatSeconds } from '../../core/units.ts';
import type { VerifyInvocation } from '../invocation.ts';
import { escapeLine } from '../output/escape-text.ts';
import { formatPairs } from '../output/text-table.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';

/** `lathe verify DIR [--against MODEL]`. */
export async function runVerify(
  { folder, against }: VerifyInvocation,
  { engine, job }: CommandContext,
): Promise<CommandOutcome> {
  const document = await (await engine()).verify({ ...job, model: folder, against });
  return { document, summary: () => summarize(document), notes: document.notes, error: document.error };
}

function summarize({ ok, format, against, tensors, files, ...cost }: VerifyResult): string[] {
  const failedTensors = tensors.filter((tensor) => !tensor.ok);
  const failedFiles = files.filter((file) => file.ok === false);
  const checkedFiles = files.filter((file) => file.ok !== null);
  const exact = tensors.filter(({ bitExact }) => bitExact === true);
  const failures = [
    ...failedFiles.map(({ name }) => `  file ${escapeLine(name)}: not the bytes that were written`),
    ...failedTensors.map(({ name, problem }) => `  tensor ${escapeLine(name)}: ${escapeLine(problem ?? 'differs')}`),
  ];
  return [
    ...formatPairs([
      ['Format', format],
      [
        'Compared with',
        against === null
          ? format === 'gguf' && checkedFiles.length === 0
            ? 'nothing: a GGUF file has no checksums'
            : 'what was recorded when it was written'
          : `the original, ${escapeLine(against)}`,
      ],
      ['Files', `${formatCount(files.length)} read, ${formatCount(checkedFiles.length)} with a recorded SHA-256`],
      ['Tensors', `${formatCount(tensors.length)} decoded, ${formatCount(exact.length)} bit-exact`],
      ...worstError(tensors),
      ['Time', `${formatSeconds(cost.seconds)} (processor ${formatSeconds(cost.cpuSeconds)})`],
      ['Peak memory', formatBytes(cost.peakRssBytes)],
      ['Result', ok ? 'ok' : 'FAILED'],
    ]),
    ...(failures.length === 0 ? [] : ['', 'Failed:', ...failures]),
  ];
}

/** The tensor that is farthest from the original, where errors were measured. */
function worstError(tensors: VerifyResult['tensors']): [string, string][] {
  const measured = tensors.filter(({ relativeError }) => relativeError !== undefined);
  const [first, ...others] = measured;
  if (first === undefined) return [];
  const worst = others.reduce((most, tensor) => {
    return (tensor.relativeError ?? 0) > (most.relativeError ?? 0) ? tensor : most;
  }, first);
  const error = formatFraction(worst.relativeError ?? 0);
  return [['Largest error', `${error} of the root mean square, in ${escapeLine(worst.name)}`]];
}
