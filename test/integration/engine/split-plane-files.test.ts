import { closeSync, ftruncateSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { reserveHeaderBytes } from '../../../core/formats/split-plane/split-plane-writer.ts';
import { openModel } from '../../../core/model/open-model.ts';
import { nodeFileAccess } from '../../../workers/engine/node-file-access.ts';
import { buildSafetensors, type TensorSpec } from '../../helpers/build-safetensors.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { snapshotOf } from '../lossless/folder-snapshot.ts';
import { randomNumbers } from '../lossless/mixed-model.ts';
import { hookedKernels, kernelsWith, useWorkplace } from './engine-fixture.ts';

const place = useWorkplace();
const MIB = 2 ** 20;

/** Half of the weights have one exponent, the others any of 120: a coder's book for them is larger than a usual one. */
function wideTensors(count: number): TensorSpec[] {
  const next = randomNumbers(3);
  return Array.from({ length: count }, (_, index): TensorSpec => {
    const words = Uint16Array.from({ length: 4096 }, () => ((next() & 1 ? 100 : next() % 120) << 7) | (next() & 127));
    return { name: `t.${index}.weight`, dtype: 'BF16', shape: [64, 64], data: new Uint8Array(words.buffer) };
  });
}

async function dataStartOf(name: string): Promise<number> {
  const model = await openModel(place().at(name), nodeFileAccess);
  return model.kind === 'split-plane' ? (model.weightFiles[0]?.header.dataStart ?? 0) : 0;
}

describe('a split-plane file whose header outgrows its reserve', () => {
  function writeModel(): string {
    return place().write('model', {
      'model.safetensors': buildSafetensors({ tensors: wideTensors(30) }),
      'model.safetensors.splane.moved': 'a file of the model',
      'z.txt': 'last',
    });
  }

  function optionsOf(resume: boolean, signal?: AbortSignal) {
    return place().compressOptions(place().at('model'), place().at('out'), 'split-plane', {
      resume,
      ...(signal ? { signal } : {}),
    });
  }

  it('is moved behind a longer one, and nothing of the move stays', async () => {
    const model = writeModel();
    await place().compress(model, place().at('out'), 'split-plane');
    const source = await openModel(model, nodeFileAccess);
    const [file] = source.kind === 'safetensors' ? source.weightFiles : [];
    if (!file) throw new Error('no weight file');
    const { tensors, headerBytes } = file.header;
    const reserved = reserveHeaderBytes({ tensors, headerBytes, fileSizeBytes: file.sizeBytes });
    expect(await dataStartOf('out')).toBeGreaterThan(reserved);
    expect(readdirSync(place().at('out')).sort()).toEqual([
      'lathe.json',
      'model.safetensors.splane',
      'model.safetensors.splane.moved.kept',
      'z.txt',
    ]);
    await place().restore(place().at('out'), place().at('restored'));
    expect(snapshotOf(place().at('restored'))).toEqual(snapshotOf(model));
  });

  it('is finished to the same bytes after a stop at any kernel call', async () => {
    writeModel();
    const { kernels: counting, calls } = kernelsWith(0, () => undefined);
    await place().compressBy(counting, optionsOf(false));
    const whole = snapshotOf(place().at('out'));
    rmSync(place().at('out'), { recursive: true });
    const coded = calls.lastIndexOf('encodeSplitPlane');
    for (let at = coded; at <= calls.length; at++) {
      const controller = new AbortController();
      const { kernels } = kernelsWith(at, () => controller.abort());
      const error = await errorOf(() => place().compressBy(kernels, optionsOf(false, controller.signal)));
      expect(error.code, `${at}: ${calls[at - 1]}`).toBe('JOB_INTERRUPTED');
      const resumed = await place().compressBy(kernelsWith(0, () => undefined).kernels, optionsOf(true));
      expect(resumed.resumed).toBe(true);
      expect(snapshotOf(place().at('out'))).toEqual(whole);
      rmSync(place().at('out'), { recursive: true });
    }
  });
});

describe('a weight file of several groups', () => {
  /** Zeros take no room on the disk, and are coded in no time. */
  function writeZeros(): string {
    const sizes = [160 * MIB, 160 * MIB, 96 * MIB];
    let end = 0;
    const header = Object.fromEntries(
      sizes.map((bytes, index) => {
        const entry = { dtype: 'U8', shape: [bytes], data_offsets: [end, end + bytes] };
        end += bytes;
        return [`zeros.${index}`, entry];
      }),
    );
    const folder = place().write('model', { 'notes.txt': '' });
    const text = buildSafetensors({ json: JSON.stringify(header) });
    const file = openSync(join(folder, 'model.safetensors'), 'w');
    writeSync(file, text);
    ftruncateSync(file, text.length + end);
    closeSync(file);
    return folder;
  }

  it('is gone on with at the group that was not finished, and has the hash of the whole file', async () => {
    const model = writeZeros();
    const options = place().compressOptions(model, place().at('out'), 'split-plane');
    const controller = new AbortController();
    let coded = 0;
    const stop = hookedKernels((name) => {
      if (name === 'encodeSplitPlane' && ++coded === 3) controller.abort();
    });
    const error = await errorOf(() => place().compressBy(stop, { ...options, signal: controller.signal }));
    expect(error.code).toBe('JOB_INTERRUPTED');
    const { kernels, calls: resumedCalls } = kernelsWith(0, () => undefined);
    await place().compressBy(kernels, { ...options, resume: true });
    expect(resumedCalls.filter((name) => name === 'encodeSplitPlane')).toHaveLength(1);
    expect(resumedCalls).toContain('feedDigest');
    const lathe = JSON.parse(readFileSync(place().at('out/lathe.json'), 'utf8')) as {
      source: { files: { path: string; sha256: string }[] };
    };
    const hashes = Object.fromEntries(lathe.source.files.map(({ path, sha256 }) => [path, sha256]));
    expect(hashes).toEqual(snapshotOf(model));
  });
});
