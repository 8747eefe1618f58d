/** From the text of a file that people write to a checked value, with line and column for everything that is wrong. */
import { isNode, type Document, type LineCounter } from 'yaml';
import type { ZodType } from 'zod';
import { UsageError, type ErrorCode } from '../errors.ts';
import { printable } from '../quoted.ts';
import { describeIssues } from './describe-issue.ts';
import { readYaml } from './read-yaml.ts';

/** A kind of file: its schema, and how its faults are called. */
export interface DocumentKind<Value> {
  /** As in "the recipe", and as `lathe schema` takes it. */
  noun: string;
  schema: ZodType<Value>;
  codes: { syntax: ErrorCode; unknownKey: ErrorCode; invalidValue: ErrorCode };
  /** Puts what was given elsewhere into the value, before it is checked. */
  amend?: (value: unknown) => unknown;
  /** What no schema can say: throws for a value that cannot be. */
  check?: (value: Value, fail: FailAt) => void;
}

/** Makes the error for what stands at a path of keys and indexes. */
export type FailAt = (path: PropertyKey[], code: ErrorCode, what: string, whatToDo: string) => UsageError;

interface Parsed {
  document: Document;
  lines: LineCounter;
  file: string;
}

/**
 * Parses YAML 1.2 (of which JSON is a part) and checks it against a schema.
 *
 * @param file as it was named, for messages
 * @throws UsageError with the kind's codes; `where` has line and column, counted from 1
 */
export function parseDocument<Value>(text: string, file: string, kind: DocumentKind<Value>): Value {
  const { noun, schema, codes, amend, check } = kind;
  const read = readYaml(text);
  if ('fault' in read) {
    const { line, col } = read.lines.linePos(read.offset);
    throw new UsageError({
      code: codes.syntax,
      what: `"${file}", line ${line}, column ${col}: ${printable(read.fault)}.`,
      where: { file, line, column: col },
      whatToDo: 'Correct the YAML there.',
    });
  }
  const { document, lines } = read;
  const value = amend === undefined ? read.value : amend(read.value);
  const failAt: FailAt = (path, code, what, whatToDo) => fail({ document, lines, file }, path, code, what, whatToDo);
  const result = schema.safeParse(value);
  if (result.success) {
    check?.(result.data, failAt);
    return result.data;
  }
  const { path, isUnknownKey, what, whatToDo } = describeIssues(result.error.issues, schema, value);
  const code = isUnknownKey ? codes.unknownKey : codes.invalidValue;
  const told = path.length === 0 ? `the ${noun} is ${what}` : what;
  throw failAt(path, code, told, whatToDo ?? `See "lathe schema ${noun}" for what is possible.`);
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
