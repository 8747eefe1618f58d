import { describe, expect, test } from 'vitest';
import { ModelError } from '../../../../core/errors.ts';
import { withModelNamed } from '../../../../workers/engine/name-model.ts';
import { errorOf } from '../../../helpers/error-of.ts';

async function placeOf(path: string, where: { file?: string; tensor?: string }) {
  const cause = new ModelError({ code: 'MODEL_SHAPE_MISMATCH', what: 'Wrong.', where, whatToDo: 'Look.' });
  const error = await errorOf(() => withModelNamed(path, () => Promise.reject(cause)));
  expect(error).toMatchObject({ code: 'MODEL_SHAPE_MISMATCH', what: 'Wrong.', whatToDo: 'Look.' });
  return error.where;
}

describe('an error of a model', () => {
  test('says of which model it is', async () => {
    expect(await placeOf('models/a', { tensor: 'w' })).toEqual({ file: 'models/a', tensor: 'w' });
    expect(await placeOf('models/a/', { file: 'config.json' })).toEqual({ file: 'models/a/config.json' });
    expect(await placeOf('models/a.gguf', { file: 'a.gguf', tensor: 'w' })).toEqual({
      file: 'models/a.gguf',
      tensor: 'w',
    });
  });

  test('keeps a place that tells already', async () => {
    expect(await placeOf('models/a', { file: '/models/a/tokenizer.json' })).toEqual({
      file: '/models/a/tokenizer.json',
    });
    expect(await placeOf('models/a', { file: 'models/a' })).toEqual({ file: 'models/a' });
  });

  test('that is none of ours stays what it is', async () => {
    const bug = new TypeError('a bug');
    await expect(withModelNamed('a', () => Promise.reject(bug))).rejects.toBe(bug);
    expect(await withModelNamed('a', () => Promise.resolve(7))).toBe(7);
  });
});
