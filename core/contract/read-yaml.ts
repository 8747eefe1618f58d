/** From YAML text to plain values, in time and memory that no text of the allowed length can blow up. */
import { Composer, isMap, isScalar, isSeq, LineCounter, Parser, type CST, type Document, type Node } from 'yaml';

/** Recipes have 6 levels. The library recurses, and a stack that is nearly full can end the process. */
const MAX_DEPTH = 32;
/** Aliases are a way to write a small file that unfolds into a huge one. */
const MAX_ALIASES = 100;

export interface YamlText {
  value: unknown;
  /** Its nodes know where they stand. */
  document: Document;
  lines: LineCounter;
}

/** What is wrong, as a sentence without its full stop, and where, in characters from the beginning. */
export interface YamlFault {
  fault: string;
  offset: number;
  lines: LineCounter;
}

/**
 * Reads one YAML 1.2 document (JSON is a part of YAML). Stricter than the library: keys are texts or numbers, none stands
 * twice in a map, and nothing is nested deeper than 32 levels.
 *
 * Cost: linear in the text, about 600 bytes of memory a character at worst; the library's own check for repeated keys is
 * quadratic, so it is off.
 */
export function readYaml(text: string): YamlText | YamlFault {
  const lines = new LineCounter();
  const tokens: CST.Token[] = [];
  for (const token of new Parser(lines.addNewLine).parse(text)) {
    const deep = findDeepToken(token);
    if (deep) return { fault: `More than ${MAX_DEPTH} levels within one another`, offset: deep.offset, lines };
    tokens.push(token);
  }
  const composer = new Composer({ version: '1.2', strict: true, uniqueKeys: false, prettyErrors: false });
  const documents = composer.compose(tokens, true, text.length);
  const document = documents.next().value;
  const second = documents.next().value;
  if (!document) throw new Error('the YAML library gave no document');
  if (second) return { fault: 'A second document begins', offset: second.range[0], lines };
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem) return { fault: problem.message, offset: problem.pos[0], lines };
  const badKey = findBadKey(document.contents);
  if (badKey) return { ...badKey, lines };
  try {
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }), document, lines };
  } catch (error) {
    if (error instanceof ReferenceError) return { fault: `${error.message.split('\n')[0] ?? ''}`, offset: 0, lines };
    throw error;
  }
}

/** The first token below the limit; walks with a list of its own instead of recursion. */
function findDeepToken(root: CST.Token): CST.Token | null {
  const queue: { token: CST.Token; depth: number }[] = [{ token: root, depth: 0 }];
  for (let next = queue.pop(); next; next = queue.pop()) {
    const { token, depth } = next;
    if (depth > MAX_DEPTH) return token;
    if (token.type === 'document' && token.value) queue.push({ token: token.value, depth });
    if (!('items' in token)) continue;
    for (const { key, value } of token.items) {
      if (key) queue.push({ token: key, depth: depth + 1 });
      if (value) queue.push({ token: value, depth: depth + 1 });
    }
  }
  return null;
}

/** The first key that is a list or a map, or that its map has already. */
function findBadKey(node: unknown): { fault: string; offset: number } | null {
  if (isSeq(node)) return firstOf(node.items, findBadKey);
  if (!isMap<Node | null, unknown>(node)) return null;
  const keys = new Set<string>();
  return firstOf(node.items, ({ key, value }) => {
    const offset = key?.range?.[0] ?? node.range?.[0] ?? 0;
    if (!isScalar(key)) return { fault: 'A key is neither a text nor a number', offset };
    const text = String(key.value);
    if (keys.has(text)) return { fault: 'A key stands a second time in its map', offset };
    keys.add(text);
    return findBadKey(value);
  });
}

function firstOf<T, R>(items: readonly T[], find: (item: T) => R | null): R | null {
  for (const item of items) {
    const found = find(item);
    if (found !== null) return found;
  }
  return null;
}
