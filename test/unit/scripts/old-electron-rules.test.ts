import { ESLint, type Linter } from 'eslint';
import tseslint from 'typescript-eslint';
import { expect, test } from 'vitest';
import { oldElectronRules } from '../../../scripts/old-electron-rules.mjs';

const eslint = new ESLint({
  overrideConfigFile: true,
  overrideConfig: [
    {
      files: ['**/*.ts'],
      languageOptions: { parser: tseslint.parser },
      rules: oldElectronRules as unknown as Linter.RulesRecord,
    },
  ],
});

async function rulesThatFire(code: string): Promise<(string | null)[]> {
  const [result] = await eslint.lintText(code, { filePath: 'core/snippet.ts' });
  return result!.messages.map(({ ruleId, message }) => ruleId ?? message);
}

test.each([
  'const copy = structuredClone(value);',
  'const answer = await1(fetch(url));',
  'const answer = await1(globalThis.fetch(url));',
  'const request = new Request(url);',
  'const response = new Response(body);',
  'const headers = new Headers();',
  'const blob = new Blob([]);',
  'const channel = new BroadcastChannel("a");',
  'const isAbort = error instanceof DOMException;',
  'const stream = new ReadableStream();',
  'const stream = new TransformStream();',
  'const id = crypto.randomUUID();',
  'const cores = navigator.hardwareConcurrency;',
  'const sorted = list.toSorted();',
  'const reversed = list.toReversed();',
  'const spliced = list.toSpliced(0, 1);',
  'const changed = list.with(0, 1);',
  'const groups = Object.groupBy(list, key);',
  'const groups = Map.groupBy(list, key);',
  'const { promise } = Promise.withResolvers();',
  'const both = a.union(b);',
  'const both = a.intersection(b);',
  'const rest = a.difference(b);',
  'const rest = a.symmetricDifference(b);',
  'const isPart = a.isSubsetOf(b);',
  'const names = map.keys().map(upper);',
  'const first = text.matchAll(pattern).take(1);',
  'const all = Iterator.from(list);',
  'function run() { using handle = open(); }',
  'async function run() { await using handle = open(); }',
  'const signal = AbortSignal.any([a, b]);',
  'const isUrl = URL.canParse(text);',
  'const list = Array.fromAsync(source);',
  'const pattern = /[a--b]/v;',
  'const pattern = new RegExp("a", "v");',
  'readdir(path, { recursive: true });',
  'fs.readdirSync(path, { withFileTypes: true, recursive: true });',
  'const space = fs.statfsSync(path);',
  'import { statfs } from "node:fs/promises";',
  'const paths = fs.globSync("*");',
  'import { glob } from "fs/promises";',
  'import { createInterface } from "node:readline/promises";',
  'const source = Readable.fromWeb(stream);',
  'const stream = Readable.toWeb(source);',
  'import { styleText } from "node:util";',
  'const red = util.styleText("red", text);',
  'import { availableParallelism } from "node:os";',
  'const cores = os.availableParallelism();',
  'const limit = process.constrainedMemory();',
  'const free = process.availableMemory();',
  'import { DatabaseSync } from "node:sqlite";',
  'const check = zlib.crc32(bytes);',
  'import { crc32 } from "node:zlib";',
  'const packed = zlib.zstdCompressSync(bytes);',
  'import { createZstdCompress } from "node:zlib";',
  'const hash = createHash("blake2b512");',
  'const hash = crypto1.createHash("sha3-256");',
  'const buffer = new ArrayBuffer(8, { maxByteLength: 16 });',
  'const value = await load();',
  'for await (const part of parts) use(part);',
  'const here = import.meta.url;',
])('refuses %s', async (code) => {
  const fired = await rulesThatFire(code);
  expect(fired).toHaveLength(1);
  expect(fired[0]).toMatch(/^no-restricted-/);
});

test.each([
  'async function run() { await load(); for await (const part of parts) use(part); }',
  'const run = async () => await load();',
  'const last = list.findLast(isOdd) ?? list.at(-1);',
  'const schema = z.union([z.string(), z.number()]);',
  'const names = Object.keys(map).map(upper);',
  'const names = [...map.keys()].map(upper);',
  'const hash = createHash("sha256");',
  'mkdir(path, { recursive: true });',
  'const bytes = new ArrayBuffer(8);',
  'import { crypto } from "./own.ts"; use(crypto);',
  'import { parseArgs } from "node:util"; import { cpus } from "node:os";',
])('lets %s through', async (code) => {
  expect(await rulesThatFire(code)).toEqual([]);
});

test.each(['core/formats/a.ts', 'workers/engine/a.ts', 'native-kernels/index.ts'])(
  'the project lints %s by these rules',
  async (path) => {
    const config = (await new ESLint().calculateConfigForFile(path)) as { rules: Record<string, unknown[]> };
    for (const [name, [, ...expected]] of Object.entries(oldElectronRules)) {
      const [severity, ...entries] = config.rules[name]!;
      expect(severity).toBe(2);
      expect(entries).toEqual(expect.arrayContaining(expected));
    }
  },
);

test('the project does not lint the command line by these rules', async () => {
  const config = (await new ESLint().calculateConfigForFile('cli/lathe.ts')) as { rules: Record<string, unknown> };
  expect(config.rules['no-restricted-globals']).toBeUndefined();
});
