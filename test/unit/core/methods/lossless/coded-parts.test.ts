import { describe, expect, it } from 'vitest';
import type { DecodeTarget, Kernels } from '../../../../../core/kernels/kernels.ts';
import { readCodedParts, type CodedPart } from '../../../../../core/methods/lossless/coded-parts.ts';
import type { WorkTools } from '../../../../../core/methods/lossless/work.ts';
import { openModel } from '../../../../../core/model/open-model.ts';
import { buildSafetensors, type TensorSpec } from '../../../../helpers/build-safetensors.ts';
import { buildSplitPlane, describeSplitPlane } from '../../../../helpers/build-split-plane.ts';
import { errorOf } from '../../../../helpers/error-of.ts';
import { MemoryFiles, type MemoryNode } from '../../../../helpers/memory-files.ts';

async function partsOf(nodes: Record<string, MemoryNode>, shapes?: Map<string, number[]>): Promise<CodedPart[]> {
  const files = new MemoryFiles(nodes);
  return readCodedParts(await openModel('/m', files), files, shapes);
}

/** Kernels that note how they are called; a split-plane tensor decodes to this hash. */
function toolsWith(sha256: string | null = null): { tools: WorkTools; calls: unknown[][] } {
  const calls: unknown[][] = [];
  const kernels = new Proxy({} as Kernels, {
    get: (_, name: string) => {
      return (...args: unknown[]) => {
        calls.push([name, ...args.slice(0, -1)]);
        return Promise.resolve(name === 'decodeSplitPlane' ? sha256 : undefined);
      };
    },
  });
  return { tools: { kernels, call: () => ({ threads: 1 }) } as unknown as WorkTools, calls };
}

const TARGET = { path: '/out', offsetBytes: 7, sizeBytes: 8 };
const WRITE: DecodeTarget = { kind: 'write', ranges: [TARGET] };
const COMPARE: DecodeTarget = { kind: 'compare', ranges: [TARGET] };
const DISCARD: DecodeTarget = { kind: 'discard', sizeBytes: 8 };

describe('a plain tensor', () => {
  const nodes = { '/m/model.safetensors': buildSafetensors({ tensors: [{ name: 'a', dtype: 'F32', shape: [2] }] }) };

  it('is a part of its own, stored as it is', async () => {
    const [part, ...others] = await partsOf(nodes);
    expect(others).toEqual([]);
    expect(part).toMatchObject({
      method: 'plain',
      file: 'model.safetensors',
      sizeBytes: 8,
      tensors: [{ name: 'a', dtype: 'F32', shape: [2], sizeBytes: 8, storedBytes: 8 }],
    });
  });

  it('is copied, compared, or not looked at', async () => {
    const [part] = await partsOf(nodes);
    const stored = {
      path: '/m/model.safetensors',
      offsetBytes: nodes['/m/model.safetensors'].length - 8,
      sizeBytes: 8,
    };
    const { tools, calls } = toolsWith();
    for (const target of [WRITE, COMPARE, DISCARD]) await part?.decode(target, tools);
    expect(calls).toEqual([
      ['copyRange', stored, '/out', 7],
      ['compareRanges', stored, TARGET],
    ]);
  });
});

describe('a split-plane tensor', () => {
  const description = describeSplitPlane();
  const json = JSON.stringify({ format: 'split-plane', version: 1, ...description });
  const nodes = { '/m/model.safetensors.splane': buildSplitPlane(json) };

  it('counts its blobs, and three bytes for each entry of a book', async () => {
    const parts = await partsOf(nodes);
    expect(parts.map(({ method, sizeBytes, tensors }) => [method, sizeBytes, tensors[0]?.storedBytes])).toEqual([
      ['split-plane', 8, 5],
      ['split-plane', 0, 0],
    ]);
  });

  it('is decoded from the place that its file says, and hashed only where it goes nowhere', async () => {
    const [part] = await partsOf(nodes);
    const [tensor] = description.tensors;
    const { tools, calls } = toolsWith(tensor?.sha256);
    for (const target of [WRITE, DISCARD]) await part?.decode(target, tools);
    const input = { path: '/m/model.safetensors.splane', dataStart: nodes['/m/model.safetensors.splane'].length - 256 };
    expect(calls).toEqual([
      ['decodeSplitPlane', input, tensor?.planes, 'bf16', 8, WRITE, false],
      ['decodeSplitPlane', input, tensor?.planes, 'bf16', 8, DISCARD, true],
    ]);
  });

  it('that decodes to another hash than its file says is told by name', async () => {
    const [part] = await partsOf(nodes);
    const error = await errorOf(() => part?.decode(DISCARD, toolsWith('f'.repeat(64)).tools));
    expect(error).toMatchObject({ code: 'VERIFY_FAILED', where: { tensor: 'a', file: 'model.safetensors.splane' } });
  });
});

describe('a DFloat11 unit', () => {
  const positions = new Uint8Array(new BigInt64Array([4n]).buffer);
  const field = (name: string, bytes: number, shape = [bytes]): TensorSpec => ({
    name: `l.0.${name}`,
    dtype: 'U8',
    shape,
  });
  const tensors: TensorSpec[] = [
    { name: 'l.0.split_positions', dtype: 'I64', shape: [1], data: positions },
    { name: 'l.0.norm.weight', dtype: 'BF16', shape: [2] },
    field('encoded_exponent', 3),
    field('gaps', 320),
    field('luts', 512, [2, 256]),
    field('output_positions', 8),
    field('sign_mantissa', 12),
  ];
  const config = {
    dfloat11_config: {
      version: '0.5.0',
      threads_per_block: [512],
      bytes_per_thread: 8,
      pattern_dict: { 'l\\.0': ['a', 'b'] },
    },
  };
  const nodes = { '/m/l_0.safetensors': buildSafetensors({ tensors }), '/m/config.json': JSON.stringify(config) };
  const shapes = new Map([
    ['l.0.a.weight', [2, 2]],
    ['l.0.b.weight', [4, 2]],
  ]);

  it('is one part of several tensors, which share its stored bytes by their elements; others of its file are plain', async () => {
    const parts = await partsOf(nodes, shapes);
    const stored = 8 + 3 + 320 + 512 + 8 + 12;
    expect(parts.map(({ method, file, sizeBytes }) => [method, file, sizeBytes])).toEqual([
      ['dfloat11', 'l_0.safetensors', 24],
      ['plain', 'l_0.safetensors', 4],
    ]);
    expect(parts[0]?.tensors).toEqual([
      { name: 'l.0.a.weight', dtype: 'BF16', shape: [2, 2], sizeBytes: 8, storedBytes: Math.round(stored / 3) },
      {
        name: 'l.0.b.weight',
        dtype: 'BF16',
        shape: [4, 2],
        sizeBytes: 16,
        storedBytes: stored - Math.round(stored / 3),
      },
    ]);
  });

  it('is decoded from its fields', async () => {
    const [part] = await partsOf(nodes, shapes);
    const { tools, calls } = toolsWith();
    await part?.decode(WRITE, tools);
    const file = nodes['/m/l_0.safetensors'];
    const signs = { path: '/m/l_0.safetensors', offsetBytes: file.length - 12, sizeBytes: 12 };
    expect(calls).toMatchObject([['decodeDfloat11', { signMantissa: signs }, 12, WRITE]]);
  });
});
