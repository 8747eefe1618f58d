import type { CompressResult } from '../../core/contract/results.ts';
import { bitsPerWeight, formatBytes, formatCount, formatFraction, formatSeconds } from '../../core/units.ts';
import type { CompressInvocation } from '../invocation.ts';
import { escapeLine } from '../output/escape-text.ts';
import { formatPairs, formatTable } from '../output/text-table.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { runDry } from './dry-run.ts';
import { loadRecipe } from './load-recipe.ts';
import { sayHowToResume } from './say-how-to-resume.ts';

/** `lathe compress MODEL -o DIR`, with `--dry-run` only what it would do. */
export async function runCompress(invocation: CompressInvocation, context: CommandContext): Promise<CommandOutcome> {
  const { model, output, resume, force } = invocation;
  const { engine, job, argv } = context;
  const loaded = await loadRecipe(invocation.recipe);
  if (invocation.dryRun) return runDry({ model, output, ...loaded, force }, context);
  try {
    const document = await (await engine()).compress({ ...job, model, output, ...loaded, resume, force });
    const { notes, error } = document;
    return { document, summary: () => summarizeCompression(document), notes, error };
  } catch (error) {
    throw sayHowToResume(error, argv);
  }
}

/** A finished compression, for people. */
export function summarizeCompression(result: CompressResult): string[] {
  const { sourceStoredBytes, storedBytes, sourceFileBytes, fileBytes, parameters, seconds, cpuSeconds } = result;
  return [
    ...formatTable(
      [
        { title: 'method', align: 'left' },
        { title: 'tensors', align: 'right' },
        { title: 'weights', align: 'right' },
        { title: 'stored bytes', align: 'right' },
        { title: 'bits per weight', align: 'right' },
      ],
      sumByMethod(result).map((sum) => [
        sum.method,
        formatCount(sum.tensors),
        formatCount(sum.weights),
        formatCount(sum.storedBytes),
        bitsPerWeight(sum.storedBytes, sum.weights).toFixed(3),
      ]),
    ),
    '',
    ...formatPairs([
      ['Output', escapeLine(result.output)],
      ['Run', `${escapeLine(result.runId)}${result.resumed ? ', resumed' : ''}`],
      ['Weights', formatChange(sourceStoredBytes, storedBytes)],
      ['All files', formatChange(sourceFileBytes, fileBytes)],
      [
        'Bits per weight',
        `${bitsPerWeight(sourceStoredBytes, parameters).toFixed(2)} -> ${result.bitsPerWeight.toFixed(2)}`,
      ],
      ['Time', `${formatSeconds(seconds)} (processor ${formatSeconds(cpuSeconds)})`],
      ['Peak memory', formatBytes(result.peakRssBytes)],
      ...costRows(result),
      ['Verified', 'every file read again, every tensor decoded and compared with the source'],
    ]),
  ];
}

/** What an allocation came to, and what the recipe's evaluation found. */
function costRows({ quantization, metrics = [] }: CompressResult): [string, string][] {
  const rows: [string, string][] = [];
  const allocation = quantization?.allocation ?? null;
  if (allocation !== null) {
    const { averageBits, predictedKlDivergence } = allocation;
    const predicted =
      predictedKlDivergence === null ? '' : `, KL divergence ${predictedKlDivergence.toPrecision(3)} foreseen`;
    rows.push(['Allocated', `${averageBits.toFixed(3)} bits per weight touched${predicted}`]);
  }
  for (const { text, referencePerplexity, perplexity, perplexityRatio, klDivergence, top1Agreement } of metrics) {
    const rise = `${perplexityRatio >= 1 ? '+' : ''}${(100 * (perplexityRatio - 1)).toFixed(2)} %`;
    const { mean, standardError } = klDivergence;
    const spread = standardError === null ? '' : ` ± ${standardError.toPrecision(2)}`;
    rows.push(
      ['Measured on', escapeLine(text)],
      ['Perplexity', `${referencePerplexity.toFixed(4)} -> ${perplexity.toFixed(4)}, ${rise}`],
      [
        'KL divergence',
        `${mean.toPrecision(3)}${spread} nats a token, ${formatFraction(top1Agreement)} same first choice`,
      ],
    );
  }
  return rows;
}

function formatChange(before: number, after: number): string {
  const share = before === 0 ? '' : `, ${formatFraction(after / before)}`;
  return `${formatBytes(before)} -> ${formatBytes(after)}${share}`;
}

interface MethodSum {
  method: string;
  tensors: number;
  weights: number;
  storedBytes: number;
}

function sumByMethod({ tensors }: CompressResult): MethodSum[] {
  const sums = new Map<string, MethodSum>();
  for (const { method, shape, storedBytes } of tensors) {
    const sum = sums.get(method) ?? { method, tensors: 0, weights: 0, storedBytes: 0 };
    sum.tensors += 1;
    sum.weights += shape.reduce((product, dim) => product * dim, 1);
    sum.storedBytes += storedBytes;
    sums.set(method, sum);
  }
  return [...sums.values()];
}
