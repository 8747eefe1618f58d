/** Calibrators in this thread, over the sample model. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { afterEach, expect, test, vi } from 'vitest';
import type { Calibrator } from '../../../workers/inference/calibrator.ts';
import { openCalibrator } from '../../../workers/inference/open-calibrator.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { SAMPLE_MODEL } from '../../helpers/sample-gguf.ts';
import { kernels, sampleTensors, useFolder } from '../native-kernels/kernels-fixture.ts';

const at = useFolder();
const { signal } = new AbortController();
const opened: Calibrator[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const calibrator of opened.splice(0)) await calibrator.close();
});

const LENGTH = 32;

/** Before the first block, with three windows. */
async function begin(model: string): Promise<Calibrator> {
  const calibrator = await openCalibrator({ model, threads: 1 }, kernels);
  opened.push(calibrator);
  const windows = [1, 2, 3].map((first) => Int32Array.from({ length: LENGTH }, (_, index) => 40 + first * index));
  const shape = { windows: windows.length, length: LENGTH, withGram: false };
  await calibrator.reserve({ ...shape, processBytes: 0, limitBytes: 2 ** 32 });
  await calibrator.begin(windows, signal);
  return calibrator;
}

test('blocks that are passed by take the same sessions, and leave the same bits, as those that are measured', async () => {
  const create = vi.spyOn(InferenceSession, 'create');
  const passing = await begin(SAMPLE_MODEL);
  expect(await passing.advance({ block: 0, measured: 'nothing', folder: null }, signal)).toEqual([]);
  const passed = await passing.advance({ block: 1, measured: 'columns', folder: null }, signal);
  // The embedding, and both parts of the blocks, which have one outline.
  expect(create).toHaveBeenCalledTimes(3);
  const measuring = await begin(SAMPLE_MODEL);
  await measuring.advance({ block: 0, measured: 'columns', folder: null }, signal);
  expect(await measuring.advance({ block: 1, measured: 'columns', folder: null }, signal)).toEqual(passed);
});

test('tells which runtime it is', async () => {
  expect((await begin(SAMPLE_MODEL)).facts.runtime).toMatch(/^onnxruntime \d+\.\d+\.\d+$/);
});

test('an input that is no number names its map and block', async () => {
  const name = 'model.layers.1.post_attention_layernorm.weight';
  cpSync(SAMPLE_MODEL, at('model'), { recursive: true });
  const { range } = sampleTensors.find((tensor) => tensor.name === name)!;
  const path = join(at('model'), 'model.safetensors');
  const bytes = readFileSync(path);
  // The largest numbers of BF16: what is normed and above 1 becomes infinite.
  for (let offset = 0; offset < range.sizeBytes; offset += 2) bytes.writeUInt16LE(0x7f7f, range.offsetBytes + offset);
  writeFileSync(path, bytes);
  const calibrator = await begin(at('model'));
  await calibrator.advance({ block: 0, measured: 'columns', folder: null }, signal);
  const error = await errorOf(() => calibrator.advance({ block: 1, measured: 'columns', folder: null }, signal));
  expect(error).toMatchObject({
    code: 'NUMERICS_NOT_FINITE',
    where: { tensor: 'model.layers.1.mlp.gate_proj.weight' },
  });
  expect(error.message).toMatch(/^In block 1, what "model\.layers\.1\.mlp\.gate_proj" .* Row \d+ .* column \d+/);
});
