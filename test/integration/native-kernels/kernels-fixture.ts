/** What the tests of the native door share: the loaded kernels, a temporary folder, tensors of the sample model. */
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach } from 'vitest';
import type { Dtype } from '../../../core/formats/safetensors/dtypes.ts';
import type { ByteRange, Dfloat11Fields, Dfloat11Plan } from '../../../core/kernels/kernels.ts';
import { loadKernels } from '../../../native-kernels/index.ts';

export const BINARY = fileURLToPath(new URL('../../../dist/native/lathe-kernels.node', import.meta.url));
export const kernels = loadKernels(BINARY);

const MODEL = fileURLToPath(new URL('../../../examples/models/docs-llama-7m/model.safetensors', import.meta.url));

interface SampleTensor {
  name: string;
  dtype: Dtype;
  range: ByteRange;
}

/** Every tensor of the sample model, all BF16, the largest first. */
export const sampleTensors: SampleTensor[] = readSample();

function readSample(): SampleTensor[] {
  const file = readFileSync(MODEL);
  const dataStart = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, dataStart)) as Record<
    string,
    { dtype: Dtype; data_offsets: [number, number] }
  >;
  const tensors = Object.entries(header).filter(([name]) => name !== '__metadata__');
  return tensors
    .map(
      ([
        name,
        {
          dtype,
          data_offsets: [from, to],
        },
      ]) => ({
        name,
        dtype,
        range: { path: MODEL, offsetBytes: dataStart + from, sizeBytes: to - from },
      }),
    )
    .sort((a, b) => b.range.sizeBytes - a.range.sizeBytes);
}

/** A folder for each test, removed after it. The answer gives paths in it. */
export function useFolder(): (name: string) => string {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lathe-kernels-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  return (name) => join(folder, name);
}

/** The bytes of ranges, one after the other. */
export function bytesOf(...ranges: ByteRange[]): Buffer {
  return Buffer.concat(
    ranges.map(({ path, offsetBytes, sizeBytes }) => readFileSync(path).subarray(offsetBytes, offsetBytes + sizeBytes)),
  );
}

export function totalBytes(ranges: ByteRange[]): number {
  return ranges.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** Makes a file of zeros that takes no room on the disk. */
export function makeSparse(path: string, sizeBytes: number): ByteRange {
  const file = openSync(path, 'w');
  ftruncateSync(file, sizeBytes);
  closeSync(file);
  return { path, offsetBytes: 0, sizeBytes };
}

/** Places for the five fields, one after the other in a file. */
export function placeFields(path: string, plan: Dfloat11Plan): Dfloat11Fields {
  let end = 0;
  function place(sizeBytes: number): ByteRange {
    const range = { path, offsetBytes: end, sizeBytes };
    end += sizeBytes;
    return range;
  }
  return {
    luts: place(256 * plan.lutRows),
    encodedExponent: place(plan.streamBytes),
    signMantissa: place(plan.elements),
    outputPositions: place(4 * plan.positionEntries),
    gaps: place(320 * plan.blocks),
  };
}

/** The plan of weights that DFloat11 can hold. */
export async function planOf(source: ByteRange[]): Promise<Dfloat11Plan> {
  const measured = await kernels.measureDfloat11(source, { threads: 2 });
  if ('refusal' in measured) throw new Error(measured.refusal);
  return measured.plan;
}
