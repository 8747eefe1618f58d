import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { writeLatheFile, type LatheFile } from '../../../core/contract/lathe-file.ts';
import type { ErrorCode } from '../../../core/errors.ts';
import { buildSafetensors } from '../../helpers/build-safetensors.ts';
import { sha256OfText } from '../../helpers/build-lathe-file.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { snapshotOutsideHome } from '../lossless/folder-snapshot.ts';
import { writeMixedModel } from '../lossless/mixed-model.ts';
import { CODECS, hookedKernels, useWorkplace, type Codec } from './engine-fixture.ts';

type Content = Omit<LatheFile, 'integrity'>;

const place = useWorkplace();
const SHARD = 'model-00001-of-00002.safetensors';
const HUGE_BYTES = 2 ** 45;

function sourceFile({ source }: Content, path: string) {
  const file = source.files.find((each) => each.path === path);
  if (!file) throw new Error(`${path} is not listed`);
  return file;
}

/** The header of a file of one tensor of so many bytes, in base64. */
function headerOf(sizeBytes: number): string {
  const entry = { dtype: 'U8', shape: [sizeBytes], data_offsets: [0, sizeBytes] };
  return Buffer.from(buildSafetensors({ json: JSON.stringify({ huge: entry }) })).toString('base64');
}

/** What somebody may write into a lathe.json, sealed as it must be, and what then happens. */
const EDITS: Record<string, { code: ErrorCode; codecs?: Codec[]; edit: (content: Content) => void }> = {
  'names a file outside the output': {
    code: 'FORMAT_LATHE_JSON_INVALID',
    edit: (content) => (sourceFile(content, 'README.md').path = '../README.md'),
  },
  'names a file by its absolute path': {
    code: 'FORMAT_LATHE_JSON_INVALID',
    edit: (content) => (sourceFile(content, 'README.md').path = '/tmp/lathe-README.md'),
  },
  'names a file with a backslash or a drive': {
    code: 'FORMAT_LATHE_JSON_INVALID',
    edit: (content) => (sourceFile(content, 'README.md').path = 'C:\\README.md'),
  },
  'takes a file from outside the folder': {
    code: 'FORMAT_LATHE_JSON_INVALID',
    edit: ({ original }) => (original.renamed['README.md'] = '../../secret'),
  },
  'has an empty folder outside the output': {
    code: 'FORMAT_LATHE_JSON_INVALID',
    edit: ({ source }) => source.emptyFolders.push('empty/../../outside'),
  },
  'names a file twice': {
    code: 'MODEL_NAME_COLLISION',
    edit: ({ source }) => source.files.push({ ...source.files[0]! }),
  },
  'names a file below another file': {
    code: 'MODEL_NAME_COLLISION',
    edit: ({ source, original }) => {
      source.files.push({ ...source.files[0]!, path: 'README.md/below' });
      original.renamed['README.md/below'] = 'README.md';
    },
  },
  'has a folder where a file is': {
    code: 'MODEL_NAME_COLLISION',
    edit: ({ source }) => source.emptyFolders.push('README.md'),
  },
  'has a folder below a file': {
    code: 'MODEL_NAME_COLLISION',
    edit: ({ source }) => source.emptyFolders.push('README.md/deep/folder'),
  },
  'takes a file from where none is': {
    code: 'MODEL_SHARD_MISSING',
    edit: ({ original }) => (original.renamed['README.md'] = 'extras/nowhere'),
  },
  'takes a file from where a folder is': {
    code: 'MODEL_SHARD_MISSING',
    edit: ({ original }) => (original.renamed['README.md'] = 'extras'),
  },
  'gives a weight file another checksum': {
    code: 'VERIFY_FAILED',
    edit: (content) => (sourceFile(content, SHARD).xxh3 = '0'.repeat(16)),
  },
  'gives a weight file another hash, and no checksum': {
    code: 'VERIFY_FAILED',
    codecs: ['dfloat11'],
    edit: (content) => Object.assign(sourceFile(content, SHARD), { sha256: '0'.repeat(64), xxh3: undefined }),
  },
  'gives a weight file another hash than its own header': {
    code: 'FORMAT_LATHE_JSON_INVALID',
    codecs: ['split-plane'],
    edit: (content) => (sourceFile(content, SHARD).sha256 = '0'.repeat(64)),
  },
  'gives another file another hash': {
    code: 'VERIFY_FAILED',
    edit: (content) => (sourceFile(content, 'README.md').sha256 = '0'.repeat(64)),
  },
  'does not name a file whose weights are stored': {
    code: 'FORMAT_LATHE_JSON_INVALID',
    edit: ({ source }) => (source.files = source.files.filter(({ path }) => path !== SHARD)),
  },
  'gives a kept file other bytes': {
    code: 'VERIFY_FAILED',
    codecs: ['dfloat11'],
    edit: ({ original }) => (original.files['config.json'] = Buffer.from('{}').toString('base64')),
  },
  'claims a weight file of 32 TiB': {
    code: 'FORMAT_SHAPE_MISMATCH',
    codecs: ['dfloat11'],
    edit: (content) => {
      content.original.headers[SHARD] = headerOf(HUGE_BYTES);
      sourceFile(content, SHARD).bytes = HUGE_BYTES + Buffer.from(headerOf(HUGE_BYTES), 'base64').length;
    },
  },
  'has a header that is longer than its tensors leave room for': {
    code: 'FORMAT_TRAILING_BYTES',
    codecs: ['dfloat11'],
    edit: (content) => (sourceFile(content, SHARD).bytes += 1),
  },
  'has a header that is cut': {
    code: 'FORMAT_HEADER_INVALID',
    codecs: ['dfloat11'],
    edit: ({ original }) =>
      (original.headers[SHARD] = Buffer.from(original.headers[SHARD]!, 'base64').subarray(0, -8).toString('base64')),
  },
  'has a header in place of another file': {
    code: 'FORMAT_SHAPE_MISMATCH',
    codecs: ['dfloat11'],
    edit: (content) => {
      content.original.headers['README.md'] = headerOf(8);
      sourceFile(content, 'README.md').bytes = 8 + Buffer.from(headerOf(8), 'base64').length;
    },
  },
  'has a tensor of a shape that its bits do not fill': {
    code: 'FORMAT_SHAPE_MISMATCH',
    codecs: ['dfloat11'],
    edit: ({ tensors }) => (tensors.find(({ method }) => method === 'dfloat11')!.shape = [2 ** 40]),
  },
};

function seal(folder: string, edit: (content: Content) => void): void {
  const path = join(folder, 'lathe.json');
  const { integrity, ...content } = JSON.parse(readFileSync(path, 'utf8')) as LatheFile;
  edit(content);
  writeFileSync(path, writeLatheFile(content, sha256OfText));
  expect(integrity).toMatch(/^[0-9a-f]{64}$/);
}

describe.each(CODECS)('a %s folder whose lathe.json', (codec) => {
  const edits = Object.entries(EDITS).filter(([, { codecs = CODECS }]) => codecs.includes(codec));

  beforeEach(async () => {
    writeMixedModel(place().at('model'));
    await place().compress(place().at('model'), place().at('coded'), codec);
    rmSync(place().at('model'), { recursive: true });
    rmSync(place().at('home'), { recursive: true });
  });

  it.each(edits.map(([name]) => name))('%s is refused by restore, and nothing stays behind', async (name) => {
    const { edit, code } = EDITS[name]!;
    seal(place().at('coded'), edit);
    const before = snapshotOutsideHome(place().folder);
    const error = await errorOf(() => place().restore(place().at('coded'), place().at('deep/er/restored')));
    expect(error, error.message).toMatchObject({ code });
    expect(snapshotOutsideHome(place().folder)).toEqual(before);
  });

  it('lies about sizes is refused before anything is made', async () => {
    const touched: string[] = [];
    const kernels = hookedKernels((name) => void touched.push(name));
    seal(place().at('coded'), ({ source }) => source.files.push({ ...source.files[0]! }));
    const options = place().restoreOptions(place().at('coded'), place().at('restored'));
    expect((await errorOf(() => place().restoreBy(kernels, options))).code).toBe('MODEL_NAME_COLLISION');
    expect(touched).not.toContain('lockFile');
    expect(readdirSync(place().folder)).toEqual(['coded']);
  });
});

describe('a DFloat11 folder whose lathe.json claims huge weight files', () => {
  it('is refused before a file of that size is made', async () => {
    writeMixedModel(place().at('model'));
    await place().compress(place().at('model'), place().at('coded'), 'dfloat11');
    seal(place().at('coded'), EDITS['claims a weight file of 32 TiB']!.edit);
    const kernels = hookedKernels((name) => {
      if (name === 'lockFile') throw new Error('something would have been written');
    });
    const options = place().restoreOptions(place().at('coded'), place().at('restored'));
    expect((await errorOf(() => place().restoreBy(kernels, options))).code).toBe('FORMAT_SHAPE_MISMATCH');
  });
});

describe('lathe.json itself', () => {
  it.each<[string, (text: string) => string | Uint8Array]>([
    ['is cut', (text) => text.slice(0, -20)],
    ['is no JSON', () => 'x'],
    ['is empty', () => ''],
    ['was changed after it was sealed', (text) => text.replace('"lossless": true', '"lossless":  true')],
    ['is of a later version', (text) => text.replace('"schema": 1', '"schema": 2')],
    ['is not UTF-8', () => Uint8Array.of(0x7b, 0xff, 0x7d)],
  ])('that %s is refused by restore, verify and inspect', async (_, change) => {
    writeMixedModel(place().at('model'));
    await place().compress(place().at('model'), place().at('coded'), 'dfloat11');
    const path = join(place().at('coded'), 'lathe.json');
    writeFileSync(path, change(readFileSync(path, 'utf8')));
    const inspect = { ...place().options(), model: place().at('coded'), statistics: false };
    for (const call of [
      () => place().restore(place().at('coded'), place().at('restored')),
      () => place().verify(place().at('coded')),
      () => place().engine.inspect(inspect),
    ]) {
      expect((await errorOf(call)).code).toBe('FORMAT_LATHE_JSON_INVALID');
    }
  });
});
