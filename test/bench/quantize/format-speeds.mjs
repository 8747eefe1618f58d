/** Both quantizers on one model, format by format: CPU seconds of whole processes, reading and writing included. */
import { rmSync } from 'node:fs';
import { outputOf, timeInTurn } from '../../../scripts/time-process.mjs';
import { lathe } from '../lossless/lathe-commands.mjs';
import { commandsFor, proveOutputs } from './quantizer-commands.mjs';

/** The file that llama-quantize reads: the same weights in BF16. */
export async function exportSource(work, model, source) {
  const { command, args, env } = lathe(work, 'export', model, '--to', 'gguf', '--type', 'BF16', '-o', source);
  await outputOf(command, args, { env });
}

/**
 * @param place { work, model, source, llamaQuantize }; `llamaQuantize` is null where it could not be built
 * @param onRow is told each row as soon as it is there
 * @returns rows { name, isPlain, threads, weights, runs, ours, theirs, ourError, theirError, worseTensors, ratio }
 */
export async function measureFormats(formats, place, { weights, threads, runs, onRow }) {
  const rows = [];
  for (const format of formats) {
    const both = commandsFor(format, { ...place, threads });
    const commands = place.llamaQuantize === null ? { ours: both.ours } : both;
    const proven = await proveOutputs(place.work, place.model, commands);
    // The proof has just run both.
    const { ours, theirs = null } = await timeInTurn(commands, runs, true);
    const ratio = theirs === null ? null : theirs.cpuSeconds / ours.cpuSeconds;
    const wallRatio = theirs === null ? null : theirs.wallSeconds / ours.wallSeconds;
    const { name, isPlain = false } = format;
    const row = { name, isPlain, threads, weights, runs, ours, theirs, ratio, wallRatio, ...proven };
    for (const { output } of Object.values(commands)) rmSync(output, { recursive: true, force: true });
    rows.push(row);
    onRow(row);
  }
  return rows;
}
