import { closeSync, ftruncateSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import type { ByteRange, CallOptions, Dfloat11Fields, Plane } from '../../../core/kernels/kernels.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { kernels, makeSparse, placeFields, planOf, useFolder } from './kernels-fixture.ts';

const at = useFolder();

/** What is promised is 100 ms; a busy machine gets more, so that only a call that does not look fails. */
const LIMIT_MS = 1000;
const MANY_BYTES = 2 ** 36;

let zeros: ByteRange;

beforeEach(() => {
  zeros = makeSparse(at('zeros'), MANY_BYTES);
});

/** Cancels a call once it has said that it is under way; it has to end soon, saying that it was cancelled. */
async function cancelMidway(name: string, call: (options: CallOptions) => Promise<unknown>): Promise<void> {
  const controller = new AbortController();
  let cancelledAt = 0;
  const onProgress = (doneBytes: number): void => {
    if (doneBytes === 0 || cancelledAt > 0) return;
    cancelledAt = performance.now();
    controller.abort();
  };
  const error = await errorOf(() => call({ threads: 2, signal: controller.signal, onProgress }));
  const waitedMs = performance.now() - cancelledAt;
  console.info(`${name} stopped ${waitedMs.toFixed(1)} ms after the signal`);
  expect(error.code).toBe('JOB_CANCELLED');
  expect(waitedMs).toBeLessThan(LIMIT_MS);
}

/** Parts of a plane of zeros that all are the same stored byte. */
function constantPlanes(kinds: Plane['kind'][], elements: number, xxh3: string): Plane[] {
  const partElements = 2 ** 31;
  const firsts = Array.from({ length: Math.ceil(elements / partElements) }, (_, part) => part * partElements);
  return kinds.flatMap((kind) =>
    firsts.map((first) => ({
      kind,
      codec: 'const' as const,
      offset: 0,
      bytes: 1,
      elements: Math.min(partElements, elements - first),
      first,
      xxh3,
    })),
  );
}

/** A unit of one exponent in one-bit code words, all zero: every block has as many elements as bits. */
function sparseUnit(path: string, elements: number): Dfloat11Fields {
  const blocks = elements / 32_768;
  const luts = Buffer.alloc(512, 127);
  luts.fill(0, 256);
  luts.writeUInt8(1, 256 + 127);
  const positions = Buffer.from(Uint32Array.from({ length: blocks + 1 }, (_, block) => 32_768 * block).buffer);
  const file = openSync(path, 'w');
  writeSync(file, luts, 0, luts.length, 0);
  writeSync(file, positions, 0, positions.length, luts.length);
  const sparseAt = luts.length + positions.length;
  ftruncateSync(file, sparseAt + elements);
  closeSync(file);
  return {
    luts: { path, offsetBytes: 0, sizeBytes: luts.length },
    outputPositions: { path, offsetBytes: luts.length, sizeBytes: positions.length },
    encodedExponent: { path, offsetBytes: sparseAt, sizeBytes: elements / 8 },
    gaps: { path, offsetBytes: sparseAt, sizeBytes: 320 * blocks },
    signMantissa: { path, offsetBytes: sparseAt, sizeBytes: elements },
  };
}

describe('a cancelled call stops soon', () => {
  test('over whole files and ranges', async () => {
    await cancelMidway('digestFile', (options) => kernels.digestFile(zeros.path, options));
    const digest = kernels.createDigest();
    await cancelMidway('feedDigest', (options) => kernels.feedDigest(digest, zeros, options));
    await cancelMidway('compareRanges', (options) => kernels.compareRanges(zeros, zeros, options));
    await cancelMidway('copyFile', (options) => kernels.copyFile(zeros.path, at('copy'), options));
    await cancelMidway('copyRange', (options) => kernels.copyRange(zeros, at('copy'), 0, options));
  });

  test('over statistics', async () => {
    await cancelMidway('tensorStatistics', (options) => kernels.tensorStatistics([zeros], 'F32', options));
  });

  test('over DFloat11', async () => {
    const weights = { ...zeros, sizeBytes: 2 ** 32 - 2 };
    await cancelMidway('measureDfloat11', (options) => kernels.measureDfloat11([weights], options));
    const source = [{ ...zeros, sizeBytes: 2 ** 30 }];
    const plan = await planOf(source);
    const fields = placeFields(at('unit'), plan);
    await cancelMidway('encodeDfloat11', (options) => kernels.encodeDfloat11(source, plan, fields, options));
    const elements = 2 ** 31 - 32_768;
    const unit = sparseUnit(at('sparse-unit'), elements);
    const target = { kind: 'discard', sizeBytes: 2 * elements } as const;
    await cancelMidway('decodeDfloat11', (options) => kernels.decodeDfloat11(unit, elements, target, options));
  });

  test('over split-plane', async () => {
    const output = { path: at('coded'), dataStart: 0, offset: 0 };
    await cancelMidway('encodeSplitPlane', (options) =>
      kernels.encodeSplitPlane([zeros], 'bf16', 'smallest', output, null, options),
    );
    writeFileSync(at('byte'), Buffer.alloc(1));
    const byte = { path: at('byte'), offsetBytes: 0, sizeBytes: 1 };
    const small = await kernels.encodeSplitPlane([byte], 'bytes', 'smallest', output, null, { threads: 1 });
    const planes = constantPlanes(['exp', 'sm'], MANY_BYTES / 2, small.planes[0]?.xxh3 ?? '');
    const target = { kind: 'discard', sizeBytes: MANY_BYTES } as const;
    const input = { path: at('coded'), dataStart: 0 };
    await cancelMidway('decodeSplitPlane', (options) =>
      kernels.decodeSplitPlane(input, planes, 'bf16', MANY_BYTES, target, true, options),
    );
  });
});

test('a signal that has fired before lets no call begin', async () => {
  const controller = new AbortController();
  controller.abort();
  const options = { threads: 1, signal: controller.signal };
  expect((await errorOf(() => kernels.digestFile(zeros.path, options))).code).toBe('JOB_CANCELLED');
  expect((await errorOf(() => kernels.syncFile(zeros.path, options))).code).toBe('JOB_CANCELLED');
});

test('a cancelled call takes no other with it', async () => {
  const controller = new AbortController();
  const part = { ...zeros, sizeBytes: 2 ** 28 };
  const kept = kernels.tensorStatistics([part], 'BF16', { threads: 2 });
  const stopped = errorOf(() => kernels.digestFile(zeros.path, { threads: 2, signal: controller.signal }));
  controller.abort();
  expect((await stopped).code).toBe('JOB_CANCELLED');
  expect((await kept).elements).toBe(2 ** 27);
});
