import { cpSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CompressPlace, makeFolder } from './compress-place.ts';
import { snapshotOf } from './folder-snapshot.ts';
import { writeMixedModel } from './mixed-model.ts';

const UNIT_FILE = 'model_layers_0.safetensors';
const UNIT = 'model.layers.0';
/** Long before a loop would be noticed by the tests' own limit. */
const LIMIT_MS = 15_000;

type Field = 'luts' | 'encoded_exponent' | 'gaps' | 'output_positions' | 'split_positions' | 'sign_mantissa';

describe('verify and restore refuse a DFloat11 folder without lathe.json', () => {
  const shared = makeFolder('hostile');
  const sound = join(shared, 'sound');
  const changed = join(shared, 'changed');
  let place: CompressPlace;

  beforeAll(async () => {
    const model = join(shared, 'model');
    writeMixedModel(model);
    place = new CompressPlace(model, 'dfloat11');
    const run = await place.compress();
    expect(run.code, run.stderr).toBe(0);
    cpSync(place.output, sound, { recursive: true });
    unlinkSync(join(sound, 'lathe.json'));
    rmSync(place.output, { recursive: true });
    expect((await place.run(['verify', sound])).code).toBe(0);
  });

  beforeEach(() => {
    rmSync(changed, { recursive: true, force: true });
    cpSync(sound, changed, { recursive: true });
  });

  afterAll(() => {
    place.remove();
    rmSync(shared, { recursive: true, force: true });
  });

  /** Rewrites one field of the first unit in place. */
  function change(field: Field, edit: (bytes: Uint8Array) => void): void {
    const path = join(changed, UNIT_FILE);
    const file = readFileSync(path);
    const headerEnd = 8 + Number(file.readBigUInt64LE(0));
    const header = JSON.parse(file.subarray(8, headerEnd).toString()) as Record<string, { data_offsets: number[] }>;
    const [begin = 0, end = 0] = header[`${UNIT}.${field}`]!.data_offsets;
    edit(file.subarray(headerEnd + begin, headerEnd + end));
    writeFileSync(path, file);
  }

  async function expectRefused(): Promise<void> {
    for (const args of [
      ['verify', changed],
      ['restore', changed, '-o', place.output],
    ]) {
      const run = await place.run(args, undefined, { limitMs: LIMIT_MS });
      expect(run.json<{ error: { code: string } }>().error.code, run.stderr).toMatch(/^(FORMAT_|VERIFY_FAILED)/);
      expect([3, 5], run.stdout).toContain(run.code);
      expect(snapshotOf(place.output)).toBeNull();
      expect(place.leftovers()).toEqual([]);
    }
  }

  it('whose code lengths are all zero, so that a decoder would never get on', async () => {
    change('luts', (bytes) => bytes.fill(0, bytes.length - 256));
    await expectRefused();
  });

  it('with one reachable code of length zero', async () => {
    change('luts', (bytes) => {
      bytes[bytes.length - 256 + bytes[0]!] = 0;
    });
    await expectRefused();
  });

  it('whose first table points to itself or beyond the tables', async () => {
    for (const pointer of [255, 240]) {
      change('luts', (bytes) => bytes.fill(pointer, 0, bytes.length - 256));
      await expectRefused();
    }
  });

  it('whose gaps lead past their windows', async () => {
    change('gaps', (bytes) => bytes.fill(255));
    await expectRefused();
  });

  it('whose output positions decrease, or claim more than there is', async () => {
    change('output_positions', (bytes) => bytes.reverse());
    await expectRefused();
    change('output_positions', (bytes) => bytes.fill(255));
    await expectRefused();
  });

  it('whose split positions lie beyond the weights', async () => {
    change('split_positions', (bytes) => bytes.fill(127));
    await expectRefused();
  });

  it('whose stream is another one', async () => {
    change('encoded_exponent', (bytes) => bytes.fill(0));
    await expectRefused();
  });
});
