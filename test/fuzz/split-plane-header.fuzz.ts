import { expect, test } from 'vitest';
import {
  parseSplitPlaneHeader,
  readSplitPlaneHeaderLength,
} from '../../core/formats/split-plane/split-plane-header.ts';
import { buildSplitPlane, describeSplitPlane } from '../helpers/build-split-plane.ts';
import { mutateBytes, mutateValue } from '../helpers/fuzz-mutations.ts';
import type { FuzzRandom } from '../helpers/fuzz-random.ts';
import { runFuzz, showBytes } from '../helpers/run-fuzz.ts';

const DATA_BYTES = 1024;

/** Planes of every codec. */
function describe(): unknown {
  const { source, tensors } = describeSplitPlane();
  const [bf16, empty] = tensors;
  const plane = { ...bf16!.planes[1]!, kind: 'bytes' as const };
  const coded = [
    {
      codec: 'rans12x32',
      bytes: 136,
      book: [
        [3, 1],
        [120, 4095],
      ],
    },
    {
      codec: 'huff12',
      bytes: 9,
      book: [
        [3, 1],
        [7, 2],
        [9, 2],
      ],
    },
    { codec: 'pal4', bytes: 12, book: Array(16).fill([1, 0]) },
  ].map((form, index) => ({
    name: `coded ${index}`,
    dtype: 'U8',
    shape: [4],
    bytes: 4,
    sha256: source.sha256,
    planes: [{ ...plane, ...form, offset: 256 + 192 * index }],
  }));
  const total = source.bytes + 4 * coded.length;
  return { format: 'split-plane', version: 1, source: { ...source, bytes: total }, tensors: [bf16, ...coded, empty] };
}

const SOUND = describe();

function makeFile(random: FuzzRandom): Uint8Array {
  if (random.once(4)) return mutateBytes(random, buildSplitPlane(JSON.stringify(SOUND), DATA_BYTES));
  const text = JSON.stringify(mutateValue(random, SOUND));
  if (!random.once(4)) return buildSplitPlane(text, DATA_BYTES);
  const changed = mutateBytes(random, new TextEncoder().encode(text));
  return buildSplitPlane(new TextDecoder().decode(changed), DATA_BYTES);
}

function readFile(file: Uint8Array): void {
  const origin = { file: 'x.splane', fileSizeBytes: file.length };
  const length = readSplitPlaneHeaderLength(file.subarray(0, 16), origin);
  const { source, tensors, dataStart } = parseSplitPlaneHeader(file.subarray(16, 16 + length), origin);
  expect(tensors.reduce((sum, { bytes }) => sum + bytes, source.header.bytes)).toBe(source.bytes);
  for (const plane of tensors.flatMap(({ planes }) => planes)) {
    expect(dataStart + plane.offset + plane.bytes).toBeLessThanOrEqual(file.length);
  }
}

test('split-plane headers', async () => {
  const { outcomes } = await runFuzz(makeFile, readFile, showBytes);
  expect(outcomes.get('accepted')).toBeGreaterThan(0);
});
