/** What a schema found wrong, in words for the people who wrote the file. */
import * as z from 'zod';
import { nearestName } from './nearest-name.ts';
import { quoted } from '../quoted.ts';

type Issue = z.core.$ZodIssue;

/** Something wrong at a place. */
export interface DescribedIssue {
  path: PropertyKey[];
  /** Whether it is a key that nobody knows; it stands at the end of the path. */
  isUnknownKey: boolean;
  /** A sentence without its end. */
  what: string;
  /** Null where only the schema can tell. */
  whatToDo: string | null;
}

/**
 * Words the first of some issues that says most.
 *
 * @param schema what the value was checked with: it knows the keys that may have been meant
 * @param value what was checked
 */
export function describeIssues(issues: readonly Issue[], schema: z.ZodType, value: unknown): DescribedIssue {
  // A key that is written wrong is also one that is missing: the wrong one says more.
  const issue = innermost(issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]);
  const path = issue === undefined ? [] : [...issue.path];
  if (issue?.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? '';
    const nearest = nearestName(key, knownKeys(z.toJSONSchema(schema, { io: 'input' }), path, value));
    return {
      path: [...path, key],
      isUnknownKey: true,
      what: `the key ${quoted(key)} is not known here`,
      whatToDo: nearest === null ? 'Remove or correct it.' : `Write ${quoted(nearest)}, or remove it.`,
    };
  }
  const found = valueAt(value, path);
  const { what, whatToDo } = describe(issue, found);
  const place = path.length === 0 ? '' : `${quoted(path.map(String).join('.'))}: `;
  return { path, isUnknownKey: false, what: `${place}${what}`, whatToDo };
}

/** Of a value that fits none of several shapes, the complaint of the shape that it is nearest to. */
function innermost(issue: Issue | undefined): Issue | undefined {
  if (issue?.code !== 'invalid_union' || issue.errors.length === 0) return issue;
  const complaints = (of: readonly Issue[]) =>
    of.length + (of.some(({ code }) => code === 'unrecognized_keys') ? 10 : 0);
  const [nearest = []] = [...issue.errors].sort((one, other) => complaints(one) - complaints(other));
  // A value of another kind altogether is better told what there is to choose from.
  const [inner] = nearest;
  if (inner === undefined || inner.path.length === 0) return issue;
  return innermost({ ...inner, path: [...issue.path, ...inner.path] });
}

function describe(issue: Issue | undefined, found: unknown): { what: string; whatToDo: string | null } {
  const is = found === undefined ? 'missing' : describeValue(found);
  switch (issue?.code) {
    case 'invalid_type':
      return { what: `${is}, expected ${TYPES[issue.expected] ?? issue.expected}`, whatToDo: null };
    case 'invalid_value':
      return choice(is, found, issue.values.map(String));
    case 'invalid_union':
      if ('options' in issue && Array.isArray(issue.options)) return choice(is, found, issue.options.map(String));
      return { what: `${is}, which is none of what it may be`, whatToDo: null };
    case 'too_small': {
      const least = `${issue.inclusive === false ? 'more than' : 'at least'} ${String(issue.minimum)}`;
      return { what: `${is}, expected ${sized(issue.origin, least)}`, whatToDo: null };
    }
    case 'too_big': {
      const most = `${issue.inclusive === false ? 'less than' : 'at most'} ${String(issue.maximum)}`;
      return { what: `${is}, expected ${sized(issue.origin, most)}`, whatToDo: null };
    }
    case 'custom':
      return { what: issue.message, whatToDo: null };
    default:
      return { what: issue?.message ?? 'not valid', whatToDo: null };
  }
}

const TYPES: Readonly<Record<string, string>> = {
  array: 'a list',
  object: 'keys with values',
  record: 'keys with values',
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

function sized(origin: string, bound: string): string {
  if (origin === 'array') return `${bound} in the list`;
  return origin === 'string' ? `${bound} characters` : bound;
}

function choice(is: string, found: unknown, values: readonly string[]): { what: string; whatToDo: string | null } {
  const [only] = values;
  const list = values.length === 1 && only !== undefined ? only : `one of ${values.join(', ')}`;
  const nearest = typeof found === 'string' ? nearestName(found, values) : null;
  return { what: `${is}, expected ${list}`, whatToDo: nearest === null ? null : `Write ${quoted(nearest)}.` };
}

/** What stands there, short enough for a message. */
function describeValue(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return value === null ? 'nothing' : 'keys with values';
  return JSON.stringify(value) ?? '';
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let found = value;
  for (const key of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Record<PropertyKey, unknown>)[key];
  }
  return found;
}

type JsonSchema = z.core.JSONSchema.JSONSchema;

/** The keys that may stand at a place; of several shapes those that the value's own constants fit. */
function knownKeys(root: JsonSchema, path: readonly PropertyKey[], value: unknown): string[] {
  let schemas = alternatives(root, value);
  let at = value;
  for (const key of path) {
    at = valueAt(at, [key]);
    schemas = schemas.flatMap((schema) => childrenOf(schema, key)).flatMap((schema) => alternatives(schema, at));
  }
  return [...new Set(schemas.flatMap(({ properties }) => Object.keys(properties ?? {})))];
}

function childrenOf({ properties, items }: JsonSchema, key: PropertyKey): JsonSchema[] {
  const child = typeof key === 'number' ? items : properties?.[String(key)];
  return typeof child === 'object' && !Array.isArray(child) ? [child] : [];
}

function alternatives(schema: JsonSchema, value: unknown): JsonSchema[] {
  const several = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])];
  if (several.length === 0) return [schema];
  const flat = several.flatMap((one) => (typeof one === 'object' ? alternatives(one, value) : []));
  const fitting = flat.filter((one) =>
    Object.entries(one.properties ?? {}).every(([key, property]) => {
      const wanted = typeof property === 'object' ? property.const : undefined;
      return wanted === undefined || wanted === valueAt(value, [key]);
    }),
  );
  return fitting.length === 0 ? flat : fitting;
}
