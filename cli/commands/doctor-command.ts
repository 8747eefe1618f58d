import type { DoctorResult } from '../../core/contract/results.ts';
import { formatBytes, formatCount } from '../../core/units.ts';
import { escapeLine } from '../output/escape-text.ts';
import { formatPairs } from '../output/text-table.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';

/** `lathe doctor`: what is wrong is in the result, not in the exit code. */
export async function runDoctor({ engine }: CommandContext): Promise<CommandOutcome> {
  const document = await (await engine()).doctor();
  return { document, summary: () => summarize(document), notes: [] };
}

function summarize(result: DoctorResult): string[] {
  const { cpu, kernels, gpus, providers, limits, versions } = result;
  const pairs: [string, string][] = [
    ['Lathe', result.version],
    ['Node', `${versions.node} (V8 ${versions.v8}) on ${versions.platform}`],
    ['Processor', `${cpu.model}, ${cpu.cores} logical processors, ${cpu.architecture}`],
    ['Instructions', listOr(cpu.features, 'none that Lathe looks for')],
    ['Kernels', `${kernels.version}, using ${kernels.backend} of ${listOr(kernels.backends, 'none')}`],
    [
      'GPUs',
      listOr(
        gpus.map(({ name }) => name),
        'none used by this release',
      ),
    ],
    ['Providers', listOr(providers, 'none used by this release')],
    ['Memory', `${formatBytes(limits.memoryBytes)}, ${formatBytes(limits.freeMemoryBytes)} free`],
    ['Threads', formatCount(limits.threads)],
    ['Open files', limits.openFiles === null ? 'limit not known' : `at most ${formatCount(limits.openFiles)}`],
    ['Home', result.home],
  ];
  const lines = formatPairs(pairs.map(([label, value]) => [label, escapeLine(value)]));
  if (result.problems.length === 0) return [...lines, '', 'No problems found.'];
  const problems = result.problems.flatMap(({ message, whatToDo }) => [
    `  ${escapeLine(message)}`,
    `    ${escapeLine(whatToDo)}`,
  ]);
  return [...lines, '', 'Problems:', ...problems];
}

function listOr(words: readonly string[], otherwise: string): string {
  return words.length === 0 ? otherwise : words.join(', ');
}
