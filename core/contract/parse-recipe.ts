/** From the text of a recipe file to a checked recipe, with line and column for everything that is wrong. */
import { isNode, type Document, type LineCounter } from 'yaml';
import { UsageError, type ErrorCode } from '../errors.ts';
import { printable, quoted } from '../quoted.ts';
import { readYaml } from './read-yaml.ts';
import { LATER_KEYS, LATER_STEPS, recipeSchema, type Recipe } from './recipe.ts';

/** Room for 10,000 paths of experts; a larger file is something else given by mistake. */
export const MAX_RECIPE_BYTES = 512 << 10;

interface Parsed {
  document: Document;
  lines: LineCounter;
  file: string;
}

/**
 * Parses YAML 1.2 (of which JSON is a part) and checks it against the recipe schema.
 *
 * @param text at most `MAX_RECIPE_BYTES`
 * @throws UsageError RECIPE_SYNTAX, RECIPE_UNKNOWN_KEY, RECIPE_INVALID_VALUE, RECIPE_NOT_SUPPORTED; `where` has line and
 *   column, counted from 1
 */
export function parseRecipe(text: string, file: string): Recipe {
  const read = readYaml(text);
  if ('fault' in read) {
    const { line, col } = read.lines.linePos(read.offset);
    throw new UsageError({
      code: 'RECIPE_SYNTAX',
      what: `"${file}", line ${line}, column ${col}: ${printable(read.fault)}.`,
      where: { file, line, column: col },
      whatToDo: 'Correct the YAML there.',
    });
  }
  const { value, document, lines } = read;
  const parsed = { document, lines, file };
  refuseWhatComesLater(parsed, value);
  const result = recipeSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue?.path ?? [];
  if (issue?.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? '';
    throw fail(
      parsed,
      [...path, key],
      'RECIPE_UNKNOWN_KEY',
      `the key ${quoted(key)} is not known here`,
      'Remove or correct it.',
    );
  }
  throw fail(
    parsed,
    path,
    'RECIPE_INVALID_VALUE',
    `${path.length === 0 ? 'the recipe' : quoted(path.join('.'))}: ${issue?.message ?? 'not valid'}`,
    'See "lathe schema recipe" for what is possible.',
  );
}

function refuseWhatComesLater(parsed: Parsed, value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  const recipe = value as Record<string, unknown>;
  for (const key of LATER_KEYS) {
    if (Object.hasOwn(recipe, key)) {
      throw fail(parsed, [key], 'RECIPE_NOT_SUPPORTED', `"${key}" is not supported by this release`, 'Remove it.');
    }
  }
  const steps = recipe['steps'];
  if (!Array.isArray(steps)) return;
  for (const [index, step] of (steps as unknown[]).entries()) {
    const kind = typeof step === 'object' && step !== null ? (step as Record<string, unknown>)['step'] : undefined;
    if (typeof kind === 'string' && LATER_STEPS.includes(kind)) {
      const what = `the step "${kind}" is not supported by this release`;
      throw fail(parsed, ['steps', index, 'step'], 'RECIPE_NOT_SUPPORTED', what, 'Use one step "encode".');
    }
  }
}

function fail(parsed: Parsed, path: PropertyKey[], code: ErrorCode, what: string, whatToDo: string): UsageError {
  const { line, column } = positionOf(parsed, path);
  return new UsageError({
    code,
    what: `"${parsed.file}", line ${line}, column ${column}: ${what}.`,
    where: { file: parsed.file, line, column },
    whatToDo,
  });
}

/** The place of the deepest part of the path that exists in the text; a key's own place rather than its value's. */
function positionOf({ document, lines }: Parsed, path: PropertyKey[]): { line: number; column: number } {
  for (let length = path.length; length > 0; length -= 1) {
    const parent: unknown = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const last = path[length - 1];
    if (typeof parent === 'object' && parent !== null && 'items' in parent && Array.isArray(parent.items)) {
      for (const item of parent.items as unknown[]) {
        const key = typeof item === 'object' && item !== null && 'key' in item ? item.key : undefined;
        if (isNode(key) && key.range && 'value' in key && key.value === last) {
          const { line, col } = lines.linePos(key.range[0]);
          return { line, column: col };
        }
      }
    }
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) {
      const { line, col } = lines.linePos(node.range[0]);
      return { line, column: col };
    }
  }
  return { line: 1, column: 1 };
}
