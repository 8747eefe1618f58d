import type { ExplainResult } from '../../core/contract/explain-result.ts';
import type { ExplainInvocation } from '../invocation.ts';
import { escapeLine } from '../output/escape-text.ts';
import { formatTable } from '../output/text-table.ts';
import type { CommandContext, CommandOutcome } from './command-context.ts';
import { loadRecipe } from './load-recipe.ts';

/** `lathe explain MODEL --recipe FILE [--tensor T]`. */
export async function runExplain(
  { model, recipe: choice, tensor }: ExplainInvocation,
  { engine, job }: CommandContext,
): Promise<CommandOutcome> {
  const { recipe } = await loadRecipe(choice);
  const document = await (await engine()).explain({ ...job, model, recipe, tensor });
  return { document, summary: () => summarize(document), notes: document.notes };
}

function summarize({ tensors }: ExplainResult): string[] {
  return formatTable(
    [
      { title: 'tensor', align: 'left' },
      { title: 'shape', align: 'right' },
      { title: 'is', align: 'left' },
      { title: 'becomes', align: 'left' },
      { title: 'by', align: 'left' },
      { title: 'because', align: 'left' },
    ],
    tensors.map(({ name, shape, dtype, becomes, choices, method, rule }) => [
      escapeLine(name),
      shape.join(' x '),
      dtype,
      choices === undefined ? becomes : choices.join('|'),
      method ?? '-',
      escapeLine(rule),
    ]),
  );
}
