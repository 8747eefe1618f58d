import { describe, expect, test } from 'vitest';
import {
  assertNever,
  exitCodeOf,
  FormatError,
  JobError,
  KernelError,
  ModelError,
  ResourceError,
  serializeError,
  UsageError,
  VerificationError,
  WorkbenchError,
} from '../../../core/errors.ts';
import { errorOf } from '../../helpers/error-of.ts';

const PARTS = { what: 'Tensor "a" ends at byte 9.', whatToDo: 'Download it again.' };

test('an error keeps its parts, its class and its cause', () => {
  const cause = new Error('read failed');
  const where = { file: 'a.safetensors', tensor: 'a', byteOffset: 9 };
  const error = new FormatError({ code: 'FORMAT_TENSOR_OUT_OF_FILE', ...PARTS, where, cause });
  expect(error).toBeInstanceOf(WorkbenchError);
  expect(error).toMatchObject({ ...PARTS, name: 'FormatError', where, retryable: false, cause });
  expect(error.message).toBe('Tensor "a" ends at byte 9. Download it again.');
});

test('an error without place or cause has an empty place and no cause', () => {
  const error = new ResourceError({ code: 'RESOURCE_DISK_FULL', ...PARTS, retryable: true });
  expect(error.where).toEqual({});
  expect(error.retryable).toBe(true);
  expect('cause' in error).toBe(false);
});

test.each([
  [new UsageError({ code: 'RECIPE_SYNTAX', ...PARTS }), 2],
  [new ModelError({ code: 'MODEL_PICKLE_REFUSED', ...PARTS }), 3],
  [new ModelError({ code: 'MODEL_NOT_FOUND', ...PARTS }), 1],
  [new ResourceError({ code: 'RESOURCE_OUT_OF_MEMORY', ...PARTS }), 4],
  [new VerificationError({ code: 'VERIFY_FAILED', ...PARTS }), 5],
  [new KernelError({ code: 'BUG_KERNEL_PANIC', ...PARTS }), 70],
  [new JobError({ code: 'JOB_INTERRUPTED', ...PARTS }), 75],
  [new JobError({ code: 'JOB_CANCELLED', ...PARTS }), 130],
  [new RangeError('out of range'), 70],
  ['a text', 70],
])('exits by the code alone: %s', (error, expected) => {
  expect(exitCodeOf(error)).toBe(expected);
});

describe('serialized', () => {
  test('an error keeps every part but its cause', () => {
    const where = { tensor: 'a' };
    const error = new ModelError({ code: 'MODEL_DUPLICATE_TENSOR', ...PARTS, where, cause: new Error('x') });
    const { stack, ...rest } = serializeError(error);
    expect(rest).toEqual({ code: 'MODEL_DUPLICATE_TENSOR', ...PARTS, where, retryable: false });
    expect(stack).toContain('errors.test.ts');
    expect(JSON.parse(JSON.stringify(rest))).toEqual(rest);
  });

  test('a stranger is a bug of ours, and keeps its text', () => {
    expect(serializeError(new RangeError('out of range'))).toMatchObject({
      code: 'BUG_UNEXPECTED',
      what: 'RangeError: out of range',
      where: {},
    });
    expect(serializeError(undefined)).toMatchObject({ code: 'BUG_UNEXPECTED', what: 'undefined', stack: undefined });
  });
});

test('a member that a switch does not know is a bug that names it', async () => {
  const error = await errorOf(() => assertNever('pal8' as never, 'codec'));
  expect(error).toMatchObject({ code: 'BUG_UNEXPECTED', what: '"pal8" is not a known codec.' });
});

test('codes are AREA_WHAT by their type', () => {
  // @ts-expect-error -- codes are a closed list
  const error = new FormatError({ code: 'FORMAT_NO_SUCH_CODE', ...PARTS });
  expect(exitCodeOf(error)).toBeUndefined();
});
