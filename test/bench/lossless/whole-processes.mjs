/** `lathe compress` and `lathe restore` beside zstd: whole processes, one thread each, files in the page cache. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf, timeInTurn } from '../../../scripts/time-process.mjs';
import { CODECS, compressCommand, proveRoundTrip, restoreCommand, storedBytesOf } from './lathe-commands.mjs';

function zstdCommands(file, work, level) {
  const [packed, back] = [join(work, `${level}.zst`), join(work, `${level}.back`)];
  return {
    packed,
    back,
    compress: {
      command: 'zstd',
      args: [`-${level}`, '--single-thread', '--no-asyncio', '-q', '-f', '-k', file, '-o', packed],
    },
    decompress: {
      command: 'zstd',
      args: ['-d', '--single-thread', '--no-asyncio', '-q', '-f', '-k', packed, '-o', back],
    },
  };
}

/**
 * Sizes and times of every coder on one model; each output is decoded and compared before anything is timed.
 *
 * @param levels zstd's; empty where there is no zstd
 * @returns rows { coder, bytes, ratio, compress, restore, bitsPerWeight? }; times as of `timeInTurn`
 */
export async function measureProcesses(work, model, weightFile, { levels, runs, threads = 1 }) {
  const sourceBytes = storedBytesOf(weightFile);
  const [compressing, restoring, rows] = [{}, {}, []];
  for (const level of levels) {
    const { packed, back, compress, decompress } = zstdCommands(weightFile, work, level);
    await outputOf(compress.command, compress.args);
    await outputOf(decompress.command, decompress.args);
    await outputOf('cmp', [weightFile, back]);
    const coder = `zstd -${level}`;
    // zstd -19 is here for its size; its time would take most of the benchmark's.
    if (level !== 19) compressing[coder] = compress;
    restoring[coder] = decompress;
    rows.push({ coder, bytes: storedBytesOf(packed), sourceBytes, files: [packed, back] });
  }
  for (const codec of CODECS) {
    const [compressed, restored, again] = ['', '.restored', '.again'].map((end) => join(work, `${codec}${end}`));
    const result = await proveRoundTrip(work, model, compressed, restored, codec);
    const one = ['--threads', String(threads)];
    compressing[codec] = compressCommand(work, model, again, codec, ...one);
    restoring[codec] = restoreCommand(work, compressed, restored, ...one);
    const { storedBytes: bytes, sourceStoredBytes, fileBytes, bitsPerWeight } = result;
    const files = [compressed, restored, again];
    rows.push({ coder: codec, bytes, sourceBytes: sourceStoredBytes, fileBytes, bitsPerWeight, files });
  }
  const compress = await timeInTurn(compressing, runs);
  const restore = await timeInTurn(restoring, runs);
  for (const { files } of rows) for (const path of files) rmSync(path, { recursive: true, force: true });
  return rows.map(({ coder, bytes, sourceBytes, fileBytes, bitsPerWeight }) => ({
    coder,
    bytes,
    sourceBytes,
    fileBytes,
    bitsPerWeight,
    ratio: bytes / sourceBytes,
    compress: compress[coder] ?? null,
    restore: restore[coder],
  }));
}

/** One and two threads on the same model: speed of the whole process, and how much faster two are. */
export async function measureScaling(work, model, runs) {
  const rows = [];
  for (const codec of CODECS) {
    const [compressed, again, restored] = ['', '.again', '.restored'].map((end) => join(work, `${codec}${end}`));
    await proveRoundTrip(work, model, compressed, restored, codec);
    const commands = {};
    for (const threads of ['1', '2']) {
      commands[`compress ${threads}`] = compressCommand(work, model, again, codec, '--threads', threads);
      commands[`restore ${threads}`] = restoreCommand(work, compressed, restored, '--threads', threads);
    }
    const times = await timeInTurn(commands, runs);
    for (const what of ['compress', 'restore']) {
      const [one, two] = [times[`${what} 1`], times[`${what} 2`]];
      rows.push({ codec, what, one, two, speedup: one.wallSeconds / two.wallSeconds });
    }
    for (const path of [compressed, again, restored]) rmSync(path, { recursive: true, force: true });
  }
  return rows;
}
