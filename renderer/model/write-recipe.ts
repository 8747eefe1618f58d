/** A checked recipe as the YAML that a person would write: defaults left out, short lists on one line. */
import type { Recipe } from '../../core/contract/recipe.ts';

type Plain = string | number | boolean | null | undefined | readonly Plain[] | { readonly [key: string]: Plain };

/** @param before the text that the recipe stood in: its leading comment stays */
export function writeRecipe(recipe: Recipe, before = ''): string {
  const { lathe, name, calibration, steps, overrides, evaluate, limits } = recipe;
  const document: Record<string, Plain> = {
    lathe,
    name,
    calibration,
    steps: steps.map((step) => withoutDefaults(step)),
    overrides: overrides.length === 0 ? undefined : overrides,
    evaluate: evaluate && withoutDefaults(evaluate),
    limits,
  };
  return `${leadingComment(before)}${writeMap(document, 0)}`;
}

const DEFAULTS: Readonly<Record<string, Plain>> = {
  units: 'auto',
  coder: 'smallest',
  reference: 'source',
};

function withoutDefaults(value: Readonly<Record<string, Plain>>): Record<string, Plain> {
  return Object.fromEntries(
    Object.entries(value).filter(
      ([key, entry]) => entry !== DEFAULTS[key] && !(key === 'method' && entry === 'rtn' && 'format' in value),
    ),
  );
}

function leadingComment(text: string): string {
  const lines = text.split('\n');
  const end = lines.findIndex((line) => !line.startsWith('#'));
  return lines
    .slice(0, end === -1 ? 0 : end)
    .map((line) => `${line}\n`)
    .join('');
}

function writeMap(map: Readonly<Record<string, Plain>>, indent: number): string {
  const pad = ' '.repeat(indent);
  return Object.entries(map)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => {
      const name = writeKey(key);
      if (isLong(value)) {
        if (isList(value)) {
          const items = value.map((item) => `${pad}  - ${writeItem(item, indent + 4)}`);
          return `${pad}${name}:\n${items.join('')}`;
        }
        return `${pad}${name}:\n${writeMap(value as Record<string, Plain>, indent + 2)}`;
      }
      return `${pad}${name}: ${writeFlow(value)}\n`;
    })
    .join('');
}

/** Of a list: the first line goes on behind the dash. */
function writeItem(value: Plain, indent: number): string {
  if (isRecord(value) && isLong(value)) return writeMap(value, indent).trimStart();
  return `${writeFlow(value)}\n`;
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value);
}

function isRecord(value: Plain): value is { readonly [key: string]: Plain } {
  return typeof value === 'object' && value !== null && !isList(value);
}

/** Whether it goes over several lines. */
function isLong(value: Plain): boolean {
  if (isList(value)) return value.some((item) => isRecord(item));
  if (!isRecord(value)) return false;
  return 'step' in value || writeFlow(value).length > 80;
}

function writeFlow(value: Plain): string {
  if (isList(value)) return `[${value.map((item) => writeFlow(item)).join(', ')}]`;
  if (isRecord(value)) {
    const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
    return entries.length === 0 ? '{}' : `{ ${entries.map(([k, v]) => `${writeKey(k)}: ${writeFlow(v)}`).join(', ')} }`;
  }
  return typeof value === 'string' ? writeText(value) : String(value);
}

function writeKey(key: string): string {
  return /^[A-Za-z_][\w-]*$/.test(key) ? key : writeText(key);
}

/** Plain where YAML reads it back as the same text, also within brackets; else quoted. */
function writeText(text: string): string {
  const isPlain =
    /^[A-Za-z_./~][\w ./+-]*$/.test(text) &&
    !text.endsWith(' ') &&
    !/^(?:true|false|null|yes|no|on|off|~)$/i.test(text);
  if (isPlain && !/^\.(?:inf|nan)$/i.test(text)) return text;
  // JSON's strings are YAML's; what has backslashes alone reads better in single quotes.
  return /^[\x20-\x7e]*$/.test(text) && text.includes('\\') ? `'${text.replaceAll("'", "''")}'` : JSON.stringify(text);
}
