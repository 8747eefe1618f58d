import { expect, test } from 'vitest';
import { parseSafetensorsHeader, readHeaderLength } from '../../core/formats/safetensors/safetensors-header.ts';
import { buildSafetensors, concatBytes, type SafetensorsSpec } from '../helpers/build-safetensors.ts';
import { mutateBytes, mutateValue } from '../helpers/fuzz-mutations.ts';
import type { FuzzRandom } from '../helpers/fuzz-random.ts';
import { runFuzz, showBytes } from '../helpers/run-fuzz.ts';

const SPEC: SafetensorsSpec = {
  tensors: [
    { name: 'model.layers.0.mlp.up_proj.weight', dtype: 'BF16', shape: [4, 8] },
    { name: 'empty', dtype: 'F32', shape: [0, 3] },
    { name: 'scalar', dtype: 'I64', shape: [] },
    { name: 'packed', dtype: 'F4', shape: [2, 8] },
  ],
  metadata: { format: 'pt', note: 'größe' },
};
const SOUND = buildSafetensors(SPEC);
const HEADER_BYTES = 8 + Number(new DataView(SOUND.buffer, SOUND.byteOffset).getBigUint64(0, true));
const JSON_VALUE: unknown = JSON.parse(new TextDecoder().decode(SOUND.subarray(8, HEADER_BYTES)));

function makeFile(random: FuzzRandom): Uint8Array {
  if (random.once(3)) return mutateBytes(random, SOUND);
  const text = new TextEncoder().encode(JSON.stringify(mutateValue(random, JSON_VALUE)));
  const json = random.once(4) ? mutateBytes(random, text) : text;
  return concatBytes([buildSafetensors({ json }), SOUND.subarray(HEADER_BYTES)]);
}

function readFile(file: Uint8Array): void {
  const origin = { file: 'x.safetensors', fileSizeBytes: file.length };
  const length = readHeaderLength(file.subarray(0, 8), origin);
  const { tensors, headerBytes } = parseSafetensorsHeader(file.subarray(8, 8 + length), origin);
  expect(headerBytes + tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)).toBe(file.length);
  expect(new Set(tensors.map(({ name }) => name)).size).toBe(tensors.length);
}

test('safetensors headers', async () => {
  const { outcomes } = await runFuzz(makeFile, readFile, showBytes);
  expect(outcomes.get('accepted')).toBeGreaterThan(0);
});
