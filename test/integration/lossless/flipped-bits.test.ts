import {
  cpSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  closeSync,
  readSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
  readdirSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exitCodeOf, EXIT, WorkbenchError } from '../../../core/errors.ts';
import { openEngine, type Engine } from '../../../workers/engine/index.ts';
import { CompressPlace, makeFolder, type Codec } from './compress-place.ts';
import { snapshotOf } from './folder-snapshot.ts';
import { randomNumbers, writeMixedModel } from './mixed-model.ts';

const KERNELS = fileURLToPath(new URL('../../../dist/native/lathe-kernels.node', import.meta.url));
/** LATHE_FLIPS=20000 looks harder; a number that fails is found again with LATHE_SEED. */
const FLIPS = Number(process.env['LATHE_FLIPS'] ?? 800);
const PROGRAM_FLIPS = 12;
const SEED = Number(process.env['LATHE_SEED'] ?? Date.now() % 1_000_000);
const HANG_MS = 20_000;
const MINUTE_MS = 60_000;

interface Flip {
  file: string;
  offset: number;
  bit: number;
}

describe.each<Codec>(['dfloat11', 'split-plane'])(`a %s folder with one bit changed (seed ${SEED})`, (codec) => {
  const shared = makeFolder('flips');
  const model = join(shared, 'model');
  const sound = join(shared, 'sound');
  const bare = join(shared, 'bare');
  const restored = join(shared, 'restored');
  const next = randomNumbers(SEED);
  let engine: Engine;

  beforeAll(async () => {
    writeMixedModel(model);
    const place = new CompressPlace(model, codec);
    const run = await place.compress();
    expect(run.code, run.stderr).toBe(0);
    cpSync(place.output, sound, { recursive: true });
    cpSync(place.output, bare, { recursive: true });
    unlinkSync(join(bare, 'lathe.json'));
    place.remove();
    engine = openEngine({ kernelsPath: KERNELS, home: join(shared, 'home') });
  });

  afterAll(() => rmSync(shared, { recursive: true, force: true }));

  /** Any file, any place in it; every second one among the first 2 KiB, where headers are. */
  function draw(folder: string): Flip {
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
    for (;;) {
      const file = files[next() % files.length]!;
      const facts = statSync(join(folder, file));
      if (!facts.isFile() || facts.size === 0) continue;
      const reach = next() % 2 === 0 ? facts.size : Math.min(facts.size, 2048);
      return { file, offset: next() % reach, bit: next() % 8 };
    }
  }

  /** Flips the bit for as long as `look` takes. */
  async function withFlip(folder: string, flip: Flip, look: () => Promise<void>): Promise<void> {
    apply(folder, flip);
    try {
      await look();
    } finally {
      apply(folder, flip);
    }
  }

  function apply(folder: string, { file, offset, bit }: Flip): void {
    const handle = openSync(join(folder, file), 'r+');
    const byte = Buffer.alloc(1);
    readSync(handle, byte, 0, 1, offset);
    byte[0] = byte[0]! ^ (1 << bit);
    writeSync(handle, byte, 0, 1, offset);
    closeSync(handle);
  }

  /** The exit code that the command line would give; a hang or a bug of ours fails the test. */
  async function exitCode(run: (signal: AbortSignal) => Promise<{ ok?: boolean }>, what: string): Promise<number> {
    try {
      const result = await run(AbortSignal.timeout(HANG_MS));
      return result.ok === false ? EXIT.verification : EXIT.done;
    } catch (error) {
      expect(error, what).toBeInstanceOf(WorkbenchError);
      const code = exitCodeOf(error);
      expect([EXIT.failed, EXIT.input, EXIT.resources, EXIT.verification], `${what}: ${String(error)}`).toContain(code);
      return code;
    }
  }

  function jobOptions(signal: AbortSignal) {
    return { threads: 2, memoryLimitBytes: null, signal, onEvent: () => undefined };
  }

  function verify(model: string, what: string): Promise<number> {
    return exitCode((signal) => engine.verify({ ...jobOptions(signal), model, against: null }), what);
  }

  it(
    'and lathe.json beside it makes verify end with exit code 3 or 5, wherever the bit is',
    async () => {
      expect(await verify(sound, 'sound')).toBe(EXIT.done);
      for (let count = 0; count < FLIPS; count++) {
        const flip = draw(sound);
        const what = `flip ${count}: bit ${flip.bit} of byte ${flip.offset} of ${flip.file}`;
        await withFlip(sound, flip, async () => {
          expect([EXIT.input, EXIT.verification], what).toContain(await verify(sound, what));
        });
      }
      expect(await verify(sound, 'sound again')).toBe(EXIT.done);
    },
    20 * MINUTE_MS,
  );

  it(
    'and no lathe.json is verified or restored without crash, hang or overrun',
    async () => {
      for (let count = 0; count < FLIPS; count++) {
        const flip = draw(bare);
        const what = `flip ${count}: bit ${flip.bit} of byte ${flip.offset} of ${flip.file}`;
        await withFlip(bare, flip, async () => {
          await verify(bare, what);
          if (count % 8 === 0) {
            const options = { output: restored, force: true, dtype: null, maxShardBytes: null };
            await exitCode(async (signal) => {
              await engine.restore({ ...jobOptions(signal), model: bare, ...options });
              return {};
            }, what);
          }
        });
      }
    },
    20 * MINUTE_MS,
  );

  it(
    'or cut short or made longer makes verify end with exit code 3 or 5',
    async () => {
      const files = readdirSync(sound, { recursive: true, encoding: 'utf8' }).filter((file) =>
        statSync(join(sound, file)).isFile(),
      );
      const changed = join(shared, 'changed');
      for (const file of files) {
        const size = statSync(join(sound, file)).size;
        for (const newSize of [0, 7, size - 1, next() % (size + 1), size + 1, size + 64].filter(
          (each) => each >= 0 && each !== size,
        )) {
          rmSync(changed, { recursive: true, force: true });
          cpSync(sound, changed, { recursive: true });
          const handle = openSync(join(changed, file), 'r+');
          ftruncateSync(handle, newSize);
          closeSync(handle);
          const what = `${file}: ${newSize} in place of ${size} bytes`;
          expect([EXIT.input, EXIT.verification], what).toContain(await verify(changed, what));
          unlinkSync(join(changed, 'lathe.json'));
          await verify(changed, `${what}, no lathe.json`);
        }
      }
    },
    10 * MINUTE_MS,
  );

  it('or without one of its files makes verify end with exit code 3 or 5', async () => {
    const files = readdirSync(sound, { recursive: true, encoding: 'utf8' }).filter(
      (file) => statSync(join(sound, file)).isFile() && file !== 'lathe.json',
    );
    const changed = join(shared, 'changed');
    for (const file of files) {
      rmSync(changed, { recursive: true, force: true });
      cpSync(sound, changed, { recursive: true });
      unlinkSync(join(changed, file));
      expect([EXIT.input, EXIT.verification], `without ${file}`).toContain(await verify(changed, file));
    }
  });

  it('in the key of config.json that tells its kind makes verify end with exit code 3 or 5', async () => {
    const text = readFileSync(join(sound, 'config.json'), 'utf8');
    const offset = Math.max(0, text.indexOf('dfloat11_config'));
    const flip = { file: 'config.json', offset: offset + 7, bit: 1 };
    await withFlip(sound, flip, async () => {
      expect([EXIT.input, EXIT.verification]).toContain(await verify(sound, 'key'));
    });
  });

  it('is refused by the program with one JSON document and no trace of a crash', async () => {
    const place = new CompressPlace(sound, codec);
    mkdirSync(place.home);
    for (let count = 0; count < PROGRAM_FLIPS; count++) {
      const flip = draw(sound);
      const what = `bit ${flip.bit} of byte ${flip.offset} of ${flip.file}`;
      await withFlip(sound, flip, async () => {
        const run = await place.run(['verify', sound]);
        expect([EXIT.input, EXIT.verification], `${what}: ${run.stdout}${run.stderr}`).toContain(run.code);
        expect(run.json<{ error: unknown }>().error, what).toBeDefined();
        const restore = await place.run(['restore', sound, '-o', place.output]);
        if (restore.code === 0) expect(snapshotOf(place.output), what).toEqual(snapshotOf(model));
        else expect([EXIT.input, EXIT.verification], `${what}: ${restore.stdout}`).toContain(restore.code);
        rmSync(place.output, { recursive: true, force: true });
        expect(place.leftovers(), what).toEqual([]);
      });
    }
    place.remove();
  });
});
