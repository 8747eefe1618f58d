import type { FuzzRandom } from './fuzz-random.ts';

/** Texts that parsers trip over, next to those that every format here is made of. */
const TOKENS = [
  ...'{}[]",:\\/\'#&*!|>?-%@`~ \n\t\r\0.+eE0123456789',
  'null',
  'true',
  'NaN',
  '-Infinity',
  '1e309',
  '-0',
  '0.5',
  '01',
  '9007199254740993',
  '18446744073709551616',
  '""',
  '[]',
  '{}',
  '"__proto__":',
  '"toString":',
  '\\ud800',
  '\\u0000',
  '\\u001b[2J',
  '\ufeff',
  '\u{1f600}',
  '../',
  'C:\\',
  '[[[[[[[[',
  '{"a":{"a":',
];

const KEYS = [
  '__proto__',
  'toString',
  'valueOf',
  'constructor',
  'length',
  '',
  '0',
  '10',
  'a',
  '\u001b[2J',
  '\u{1f600}',
];

/** Changes bytes: flips, cuts, doubles, moves, and puts in texts that parsers trip over. */
export function mutateBytes(random: FuzzRandom, bytes: Uint8Array): Uint8Array {
  let result = bytes;
  for (let changes = 1 + random.below(4); changes > 0; changes--) result = mutateOnce(random, result);
  return result;
}

function mutateOnce(random: FuzzRandom, bytes: Uint8Array): Uint8Array {
  const at = random.below(bytes.length + 1);
  const end = Math.min(bytes.length, at + random.below(random.once(4) ? bytes.length + 1 : 12));
  const [before, part, after] = [bytes.subarray(0, at), bytes.subarray(at, end), bytes.subarray(end)];
  switch (random.below(6)) {
    case 0:
      return joined(before, after);
    case 1:
      return joined(before, part, part, after);
    case 2:
      return joined(before, new TextEncoder().encode(random.of(TOKENS)), bytes.subarray(at));
    case 3:
      return joined(before, new TextEncoder().encode(random.of(TOKENS)), after);
    case 4:
      return joined(
        before,
        Uint8Array.from(part, (byte) => byte ^ (1 << random.below(8))),
        after,
      );
    default:
      return joined(before, new TextEncoder().encode(random.of(TOKENS).repeat(1 + random.below(2000))), after);
  }
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Changes parts of a value as JSON has it: other types, other keys, missing, doubled and huge parts. */
export function mutateValue(random: FuzzRandom, value: unknown): unknown {
  const copy: unknown = JSON.parse(JSON.stringify(value) ?? 'null');
  const holder = { root: copy };
  for (let changes = 1 + random.below(4); changes > 0; changes--) changeOnePart(random, holder);
  return holder.root;
}

type Holder = Record<string, unknown> | unknown[];

function isHolder(value: unknown): value is Holder {
  return typeof value === 'object' && value !== null;
}

function changeOnePart(random: FuzzRandom, root: Holder): void {
  let holder: Holder = root;
  let key = 'root';
  // Walks down until it stops by chance, or at a leaf.
  for (;;) {
    const value = (holder as Record<string, unknown>)[key];
    const keys = isHolder(value) ? Object.keys(value) : [];
    if (!isHolder(value) || keys.length === 0 || random.once(5)) break;
    holder = value;
    key = random.of(keys);
  }
  const parent = holder as Record<string, unknown>;
  switch (random.below(6)) {
    case 0:
      if (holder !== root) delete parent[key];
      break;
    case 1:
      if (holder !== root && Array.isArray(holder)) holder.push(parent[key]);
      else if (holder !== root) parent[random.of(KEYS)] = parent[key];
      break;
    case 2:
      parent[key] = changedLeaf(random, parent[key]);
      break;
    default:
      parent[key] = oddValue(random);
  }
}

function changedLeaf(random: FuzzRandom, value: unknown): unknown {
  if (typeof value === 'string') {
    const changed = mutateBytes(random, new TextEncoder().encode(value));
    return new TextDecoder().decode(changed.subarray(0, 5000));
  }
  if (typeof value !== 'number') return oddValue(random);
  return random.of([value + 1, value - 1, -value, value * 2, value / 2, value + 0.5, value * 2 ** 32, 2 ** 53 - value]);
}

function oddValue(random: FuzzRandom): unknown {
  return random.of<() => unknown>([
    () => null,
    () => random.of([0, 1, -1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 1e300]),
    () => random.of(['', 'a', '../x', 'a/b', '\0', '\u001b[2J', 'x'.repeat(5000), '\ud800', 'BF16', 'raw', 'null']),
    () => random.once(2),
    () => [],
    () => ({}),
    () => ({ toString: 1, valueOf: 1 }),
    () => Array.from({ length: random.below(200) }, () => random.below(300)),
    () => Array.from({ length: random.below(30) }, () => [random.below(256), random.below(4097)]),
    () => nested(random.of([5, 20, 100, 500])),
    () =>
      Object.fromEntries(Array.from({ length: random.below(50) }, (_, index) => [`${random.of(KEYS)}${index}`, []])),
  ])();
}

function nested(levels: number): unknown {
  return JSON.parse('['.repeat(levels) + ']'.repeat(levels));
}
