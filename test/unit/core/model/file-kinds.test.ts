import { expect, test } from 'vitest';
import {
  isGgufName,
  isPickleName,
  isSafetensorsName,
  isShardIndexName,
  isSplitPlaneName,
} from '../../../../core/model/file-kinds.ts';

test.each([
  'pytorch_model.bin',
  'model.PT',
  'a.pth',
  'layer_0.pkl',
  'x.pickle',
  'epoch=3.ckpt',
  'pytorch_model-00001-of-00002.bin',
])('%s is a pickle by its name', (name) => {
  expect(isPickleName(name)).toBe(true);
});

test.each(['model.safetensors', 'pt', 'binary', 'model.bin.md', 'tokenizer.json'])('%s is no pickle', (name) => {
  expect(isPickleName(name)).toBe(false);
});

test('kinds are told apart by their endings', () => {
  const kindsOf = (name: string) =>
    [isSafetensorsName, isShardIndexName, isSplitPlaneName, isGgufName].map((isKind) => isKind(name));
  expect(kindsOf('model.safetensors')).toEqual([true, false, false, false]);
  expect(kindsOf('model.safetensors.index.json')).toEqual([false, true, false, false]);
  expect(kindsOf('model.safetensors.splane')).toEqual([false, false, true, false]);
  expect(kindsOf('model.Q4_K.GGUF')).toEqual([false, false, false, true]);
  expect(kindsOf('model.safetensors.kept')).toEqual([false, false, false, false]);
});
