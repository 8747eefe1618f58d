import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { requireCalibrationMemory } from '../../core/calibration/calibration-memory.ts';
import { chooseWindows } from '../../core/calibration/choose-windows.ts';
import { summarizeInput } from '../../core/calibration/summarize-input.ts';
import type { CalibratedText, CalibrateResult } from '../../core/contract/calibration-result.ts';
import { contentBytes } from '../../core/evaluation/evaluation-memory.ts';
import { cutWindows } from '../../core/evaluation/windows.ts';
import { JobError, ModelError, ResourceError, WorkbenchError } from '../../core/errors.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { quoted } from '../../core/quoted.ts';
import { stopIfAsked } from '../../core/stop-if-asked.ts';
import { readText } from '../../core/tokenizer/read-text.ts';
import { formatCount } from '../../core/units.ts';
import { wrapFileErrors } from '../engine/file-errors.ts';
import { defaultMemoryLimit } from '../engine/free-memory.ts';
import type { CalibrateOptions } from '../engine/job-options.ts';
import { poolOf, withLease } from '../engine/job-scheduling.ts';
import type { MeasurementCache } from '../engine/measurement-cache.ts';
import { plannedDemand } from '../engine/memory-limit.ts';
import { withModelNamed } from '../engine/name-model.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { startUsage } from '../engine/process-usage.ts';
import { createTokenProgress, type TokenProgress } from '../engine/token-progress.ts';
import type { Calibrator, OpenCalibrator } from '../inference/calibrator.ts';
import { checkIds, encodeInPieces, openEvaluatedModel, type EvaluatedModel } from './evaluated-model.ts';
import { requireCacheLimit, requireDiskRoom } from './gram-room.ts';
import {
  findInputs,
  fingerprintCalibration,
  keepInputs,
  missingGramBytes,
  type CalibrationFingerprint,
  type KnownInput,
} from './input-statistics-cache.ts';

export interface CalibrateTools {
  kernels: Kernels;
  cache: MeasurementCache;
  openCalibrator: OpenCalibrator;
}

/** What was measured of an input of a block. */
export interface BlockInput extends KnownInput {
  block: number;
  /** Whether it was in the cache before. */
  cached: boolean;
}

export interface MeasuredModel {
  inputs: BlockInput[];
  texts: CalibratedText[];
  /** Windows that the model was shown. */
  sequences: number;
  windows: readonly Int32Array[];
  fingerprint: CalibrationFingerprint;
  blocks: number;
  measuredBlocks: number;
  memory: CalibrateResult['memory'];
  notes: string[];
}

/**
 * As `measureInputs`, summed up for people.
 *
 * @throws as `measureInputs`; JobError JOB_INTERRUPTED when the signal fires
 */
export async function calibrateJob(options: CalibrateOptions, tools: CalibrateTools): Promise<CalibrateResult> {
  const usage = startUsage();
  const { sequenceLength, seed } = options;
  const measured = await measureInputs(options, tools).catch((error: unknown) => {
    throw toInterrupted(error);
  });
  const { inputs, texts, sequences, blocks, measuredBlocks, memory, notes } = measured;
  return {
    schema: 1,
    model: options.model,
    texts,
    ...{ sequences, sequenceLength, seed, tokens: sequences * sequenceLength },
    inputs: inputs.map((input) => {
      const { block, cached } = input;
      return { block, ...summarizeInput(input), hasGram: input.gram !== null, cached };
    }),
    measuredBlocks,
    cachedBlocks: blocks - measuredBlocks,
    ...(await usage()),
    memory,
    notes,
  };
}

/** Stopped, it can be gone on with by the same command. */
function toInterrupted(error: unknown): unknown {
  if (!(error instanceof WorkbenchError) || error.code !== 'JOB_CANCELLED') return error;
  return new JobError({
    code: 'JOB_INTERRUPTED',
    what: 'The calibration was interrupted; the blocks that it has measured are kept.',
    whatToDo: 'Go on with it by the same command.',
    retryable: true,
    cause: error,
  });
}

/**
 * Shows a model some windows of text, and measures what its linear maps are given: norms, means, extremes, and on request
 * Gram matrices.
 *
 * Each block's figures go into the measurement cache as soon as they are there: they are measured once, for all methods and
 * runs, and a calibration that was stopped goes on with the block it was at.
 * What it takes of memory it leases from the pool: call it before anything is leased.
 * @throws ModelError, such as MODEL_SEQUENCE_TOO_LONG; FormatError TEXT_TOO_SHORT, UsageError; ResourceError RESOURCE_MEMORY_LIMIT,
 * RESOURCE_CACHE_LIMIT or RESOURCE_DISK_FULL before any work; JobError JOB_CANCELLED; NumericsError NUMERICS_NOT_FINITE, naming the tensor
 */
export async function measureInputs(options: CalibrateOptions, tools: CalibrateTools): Promise<MeasuredModel> {
  const { kernels, cache, openCalibrator } = tools;
  const { sequences, sequenceLength, seed, threads, signal, onEvent } = options;
  const progress = createTokenProgress(onEvent);
  progress.stage('plan');
  const model = await withModelNamed(options.model, () => openEvaluatedModel(options.model));
  const calibrator = await openCalibrator({ model: options.model, threads });
  try {
    progress.stage('tokenise');
    checkPositions(options, calibrator);
    const { texts, windows: all } = await readWindows(model, calibrator, options);
    const windows = chooseWindows(all, sequences, seed);
    const notes = [...model.opened.notes, ...model.tokenizer.notes, ...notesOf(windows.length, options, calibrator)];
    for (const message of notes) onEvent({ event: 'note', message });
    const memory = await planMemory(model, texts, windows.length, calibrator, options, kernels);
    const { blocks, runtime, gramBytes } = calibrator.facts;
    if (options.gram) requireCacheLimit(sumOf(gramBytes.flat()), cache);
    // Others of the same queue may hold the memory that this one plans with.
    return await withLease(options, poolOf(options), plannedDemand(memory, threads), 'this calibration', async () => {
      progress.stage('fingerprint');
      const call = { threads, signal };
      const fingerprint = await fingerprintCalibration(model.opened, windows, kernels, runtime, call);
      if (options.gram) {
        await requireDiskRoom(await missingGramBytes(cache, fingerprint, gramBytes), cache, kernels);
      }
      const walk = new CachedWalk({ calibrator, cache, fingerprint, windows, options, progress });
      const inputs: BlockInput[] = [];
      progress.expect(blocks * windows.length * sequenceLength);
      for (let block = 0; block < blocks; block++) {
        progress.stage('measure', `block ${block}`);
        const { known, cached } = await walk.inputsOf(block);
        inputs.push(...known.map((input) => ({ block, ...input, cached })));
      }
      const { measuredBlocks } = walk;
      return { inputs, texts, sequences: windows.length, windows, fingerprint, blocks, measuredBlocks, memory, notes };
    });
  } finally {
    await calibrator.close();
  }
}

/** Learned positions are a limit: refused before texts are read. */
function checkPositions({ model, sequenceLength }: CalibrateOptions, { facts: { positions } }: Calibrator): void {
  if (positions?.isLimit !== true || sequenceLength <= positions.count) return;
  const count = formatCount(positions.count);
  throw new ModelError({
    code: 'MODEL_SEQUENCE_TOO_LONG',
    what: `Sequences of ${formatCount(sequenceLength)} tokens were asked for, but ${quoted(model)} has learned only ${count} positions.`,
    where: { file: model },
    whatToDo: `Write --sequence-length ${positions.count}, or less.`,
  });
}

async function readWindows(
  model: EvaluatedModel,
  { facts }: Calibrator,
  { texts: paths, sequenceLength, signal }: CalibrateOptions,
): Promise<{ texts: CalibratedText[]; windows: Int32Array[] }> {
  const windows: Int32Array[] = [];
  const texts: CalibratedText[] = [];
  for (const path of paths) {
    const { text, bytes } = await readText(path, nodeFileAccess);
    const ids = await encodeInPieces(model.tokenizer, text, { limitTokens: null, signal });
    checkIds(ids, model, facts.vocabularySize);
    const found = cutWindows(ids, sequenceLength, path, '--sequence-length');
    windows.push(...found);
    texts.push({ text: path, tokens: ids.length, windows: found.length, sizeBytes: bytes.length });
  }
  return { texts, windows };
}

function notesOf(found: number, { sequences, sequenceLength }: CalibrateOptions, { facts }: Calibrator): string[] {
  const notes: string[] = [];
  if (found < sequences) {
    const count = `${formatCount(sequences)} sequences were asked for`;
    notes.push(`${count}, but the texts give only ${formatCount(found)} of ${formatCount(sequenceLength)} tokens.`);
  }
  const positions = facts.positions?.count;
  if (positions !== undefined && sequenceLength > positions) {
    notes.push(
      `Sequences have ${formatCount(sequenceLength)} tokens, but the model was made for ${formatCount(positions)}.`,
    );
  }
  return notes;
}

async function planMemory(
  model: EvaluatedModel,
  texts: readonly CalibratedText[],
  windows: number,
  calibrator: Calibrator,
  { threads, gram, sequenceLength, memoryLimitBytes }: CalibrateOptions,
  kernels: Kernels,
): Promise<CalibrateResult['memory']> {
  const limitBytes = memoryLimitBytes ?? (await defaultMemoryLimit());
  const processBytes = contentBytes({
    tokenizerBytes: model.tokenizerBytes,
    textBytes: Math.max(...texts.map(({ sizeBytes }) => sizeBytes)),
    tokens: texts.reduce((sum, { tokens }) => sum + tokens, 0),
    sequences: texts.reduce((sum, text) => sum + text.windows, 0),
    hasReference: false,
    kernelBytes: kernels.memoryBytes(threads),
  });
  const shape = { windows, length: sequenceLength, withGram: gram };
  const { leastMemoryBytes, peakMemoryBytes } = await calibrator.reserve({ ...shape, processBytes, limitBytes });
  requireCalibrationMemory(leastMemoryBytes, limitBytes, memoryLimitBytes !== null);
  return { limitBytes, peakMemoryBytes };
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

interface WalkParts {
  calibrator: Calibrator;
  cache: MeasurementCache;
  fingerprint: CalibrationFingerprint;
  windows: readonly Int32Array[];
  options: CalibrateOptions;
  progress: TokenProgress;
}

/** A walk over the blocks that is only taken where a block is not in the cache. */
class CachedWalk {
  readonly #parts: WalkParts;
  /** The block before which the windows are; null before they were begun. */
  #at: number | null = null;
  measuredBlocks = 0;

  constructor(parts: WalkParts) {
    this.#parts = parts;
  }

  async inputsOf(block: number): Promise<{ known: KnownInput[]; cached: boolean }> {
    const { cache, fingerprint, options, progress, windows } = this.#parts;
    stopIfAsked(options.signal);
    const tokens = windows.length * options.sequenceLength;
    const found = await findInputs(cache, fingerprint, block, options.gram);
    if (found !== null) {
      progress.skip(tokens);
      return { known: found, cached: true };
    }
    await this.#walkTo(block);
    const known = await this.#measure(block);
    this.measuredBlocks += 1;
    progress.add(tokens);
    return { known, cached: false };
  }

  /** Past blocks that were found in the cache. */
  async #walkTo(block: number): Promise<void> {
    const { calibrator, windows, options } = this.#parts;
    if (this.#at === null) await calibrator.begin(windows, options.signal);
    for (let at = this.#at ?? 0; at < block; at++) {
      await calibrator.advance({ block: at, measured: 'nothing', folder: null }, options.signal);
    }
    this.#at = block;
  }

  async #measure(block: number): Promise<KnownInput[]> {
    const { calibrator, cache, fingerprint, options } = this.#parts;
    const { gram, signal } = options;
    const folder = gram ? await cache.temporaryPath() : null;
    try {
      if (folder !== null) await wrapFileErrors('make', folder, () => mkdir(folder));
      const measured = await calibrator.advance({ block, measured: gram ? 'gram' : 'columns', folder }, signal);
      this.#at = block + 1;
      const grams = folder === null ? null : measured.map((_, index) => join(folder, `${index}.gram`));
      await keepInputs(cache, fingerprint, block, measured, grams);
      if (grams !== null) {
        const kept = await findInputs(cache, fingerprint, block, true);
        if (kept === null) throw lostEntry(block);
        return kept;
      }
      return measured.map(({ maps, columns, ...statistics }) => ({ maps, columns, statistics, gram: null }));
    } finally {
      if (folder !== null) await rm(folder, { recursive: true, force: true });
    }
  }
}

/** Never gone on without: error feedback would silently become plain rounding. */
function lostEntry(block: number): ResourceError {
  return new ResourceError({
    code: 'CACHE_ENTRY_LOST',
    what: `The Gram matrices of block ${block} were gone from the measurement cache right after they were written.`,
    whatToDo: 'Run it again while nothing else clears the cache; the other blocks are kept.',
    retryable: true,
  });
}
