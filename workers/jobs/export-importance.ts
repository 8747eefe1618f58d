/** What the columns of each tensor weigh when a model is exported: from a calibration, from an imatrix, or all alike. */
import { resolve } from 'node:path';
import type { ExportResult } from '../../core/contract/export-result.ts';
import { ModelError } from '../../core/errors.ts';
import { readImatrix, type Imatrix } from '../../core/formats/imatrix/read-imatrix.ts';
import type { GgufExportTensor } from '../../core/methods/gguf/plan-gguf-export.ts';
import { quoted } from '../../core/quoted.ts';
import { formatCount } from '../../core/units.ts';
import type { CalibrateOptions, JobOptions } from '../engine/job-options.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import type { MeasuredModel } from './calibrate-job.ts';
import type { CalibrationFingerprint } from './input-statistics-cache.ts';
import type { TensorInput } from './quantize-tensor.ts';

/** What is asked for: at most one of a calibration and an importance matrix. */
export interface ImportanceOptions extends JobOptions {
  model: string;
  /** What the model is shown; null: nothing. */
  calibration: Pick<CalibrateOptions, 'texts' | 'sequences' | 'sequenceLength' | 'seed'> | null;
  imatrix: string | null;
  /** Also Gram matrices. */
  gram: boolean;
}

/** What the model was shown, for measurements that go on from it. */
export interface CalibratedWindows {
  fingerprint: CalibrationFingerprint;
  windows: readonly Int32Array[];
}

export interface ExportImportance {
  /** Null without a calibration. */
  windows: CalibratedWindows | null;
  /** By canonical name of the tensor; empty: all columns count alike. */
  inputs: ReadonlyMap<string, TensorInput>;
  /** As the result tells it. */
  calibration: ExportResult['calibration'];
  imatrix: ExportResult['imatrix'];
  notes: string[];
}

export type MeasureInputs = (options: CalibrateOptions) => Promise<MeasuredModel>;

/**
 * What was asked for.
 *
 * @throws as `measureInputs` and `readImatrix`; ModelError IMATRIX_DIFFERS for an imatrix of another model
 */
export async function importanceFor(
  options: ImportanceOptions,
  tensors: readonly GgufExportTensor[],
  measure: MeasureInputs,
): Promise<ExportImportance> {
  if (options.imatrix !== null) {
    const importance = await fromImatrix(options.imatrix, tensors);
    for (const message of importance.notes) options.onEvent({ event: 'note', message });
    return importance;
  }
  if (options.calibration !== null) return fromCalibration(options, options.calibration, measure);
  return { inputs: new Map(), calibration: null, imatrix: null, notes: [], windows: null };
}

async function fromCalibration(
  { model, gram, threads, memoryLimitBytes, signal, onEvent, scheduling }: ImportanceOptions,
  calibration: NonNullable<ImportanceOptions['calibration']>,
  measure: MeasureInputs,
): Promise<ExportImportance> {
  const job = { threads, memoryLimitBytes, signal, onEvent, scheduling };
  const measured = await measure({ model, ...calibration, gram, ...job });
  const inputs = new Map<string, TensorInput>();
  for (const { maps, statistics, gram: kept } of measured.inputs) {
    const { squares, rows } = statistics;
    const input = {
      importance: Float32Array.from(squares, (sum) => sum / rows),
      gram: kept === null ? null : { ...kept, offsetBytes: 0 },
    };
    for (const map of maps) inputs.set(`${map}.weight`, input);
  }
  const { sequenceLength, seed } = calibration;
  const told = { texts: [...calibration.texts], sequences: measured.sequences, sequenceLength, seed };
  const { fingerprint, windows } = measured;
  const shortage = gram ? shortageOf(measured) : [];
  for (const message of shortage) onEvent({ event: 'warning', message });
  const notes = [...measured.notes, ...shortage];
  return { inputs, calibration: told, imatrix: null, notes, windows: { fingerprint, windows } };
}

/** A Gram matrix of fewer rows than columns is singular: damping makes it one that can be solved, not one that is known. */
function shortageOf({ inputs }: MeasuredModel): string[] {
  const short = inputs.filter(({ columns, statistics }) => statistics.rows < columns);
  const widest = short.reduce((most, { columns }) => Math.max(most, columns), 0);
  if (widest === 0) return [];
  const rows = formatCount(short[0]?.statistics.rows ?? 0);
  return [
    `The calibration has ${rows} tokens, fewer than the ${formatCount(widest)} columns of the widest of ${formatCount(short.length)} inputs: ` +
      'error feedback then fits these tokens more than the model. Take more sequences, or longer ones.',
  ];
}

async function fromImatrix(path: string, tensors: readonly GgufExportTensor[]): Promise<ExportImportance> {
  const imatrix = await readImatrix(resolve(path), path, nodeFileAccess);
  const inputs = new Map<string, TensorInput>();
  const without: string[] = [];
  for (const { name, canonicalName, shape, isBlockMatrix } of tensors) {
    const importance = imatrix.importance.get(name);
    if (importance === undefined) {
      if (isBlockMatrix) without.push(name);
      continue;
    }
    const columns = shape[1] ?? 0;
    if (shape.length !== 2 || importance.length !== columns) throw differs(path, name, importance.length, columns);
    inputs.set(canonicalName, { importance, gram: null });
  }
  const [first] = imatrix.importance.keys();
  if (inputs.size === 0) throw differs(path, first ?? '', null, null);
  const { datasets, chunks, chunkSize } = imatrix;
  return {
    inputs,
    calibration: null,
    imatrix: { file: path, datasets, chunks, chunkSize },
    notes: notesOf(imatrix, inputs.size, without),
    windows: null,
  };
}

function notesOf({ importance }: Imatrix, used: number, without: readonly string[]): string[] {
  const notes: string[] = [];
  if (without.length > 0) {
    const count = `${formatCount(without.length)} matrices of the blocks`;
    notes.push(
      `The imatrix says nothing of ${count} (${quoted(without[0] ?? '')} and so on): their columns count alike.`,
    );
  }
  const unused = importance.size - used;
  if (unused > 0) notes.push(`The imatrix names ${formatCount(unused)} more that this model does not have.`);
  return notes;
}

function differs(path: string, tensor: string, found: number | null, expected: number | null): ModelError {
  const what =
    found === null
      ? `names no matrix of this model; the first that it names is ${quoted(tensor)}`
      : `has ${formatCount(found)} columns for ${quoted(tensor)}, which has ${formatCount(expected ?? 0)} here`;
  return new ModelError({
    code: 'IMATRIX_DIFFERS',
    what: `The importance matrix ${quoted(path)} ${what}.`,
    where: { file: path, tensor },
    whatToDo: 'Take the importance matrix of this model, or calibrate with --text.',
  });
}
