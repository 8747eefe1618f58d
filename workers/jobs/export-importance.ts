/** What the columns of each tensor weigh when a model is exported: from a calibration, from an imatrix, or all alike. */
import { resolve } from 'node:path';
import type { ExportResult } from '../../core/contract/export-result.ts';
import { ModelError } from '../../core/errors.ts';
import { readImatrix, type Imatrix } from '../../core/formats/imatrix/read-imatrix.ts';
import type { ByteRange } from '../../core/kernels/kernels.ts';
import type { GgufExportPlan } from '../../core/methods/gguf/plan-gguf-export.ts';
import { quoted } from '../../core/quoted.ts';
import { formatCount } from '../../core/units.ts';
import type { CalibrateOptions, ExportGgufOptions } from '../engine/job-options.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import type { MeasuredModel } from './calibrate-job.ts';

export interface TensorInput {
  /** f32, one a column. */
  importance: Float32Array;
  /** f32 [columns, columns]; null without. */
  gram: ByteRange | null;
}

export interface ExportImportance {
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
  options: ExportGgufOptions,
  plan: GgufExportPlan,
  threads: number,
  measure: MeasureInputs,
): Promise<ExportImportance> {
  if (options.imatrix !== null) {
    const importance = await fromImatrix(options.imatrix, plan);
    for (const message of importance.notes) options.onEvent({ event: 'note', message });
    return importance;
  }
  if (options.calibration !== null) return fromCalibration(options, options.calibration, threads, measure);
  return { inputs: new Map(), calibration: null, imatrix: null, notes: [] };
}

async function fromCalibration(
  { model, method, memoryLimitBytes, signal, onEvent, scheduling }: ExportGgufOptions,
  calibration: NonNullable<ExportGgufOptions['calibration']>,
  threads: number,
  measure: MeasureInputs,
): Promise<ExportImportance> {
  const gram = method === 'gptq';
  const measured = await measure({
    model,
    ...calibration,
    gram,
    ...{ threads, memoryLimitBytes, signal, onEvent, scheduling },
  });
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
  return { inputs, calibration: told, imatrix: null, notes: measured.notes };
}

async function fromImatrix(path: string, { tensors }: GgufExportPlan): Promise<ExportImportance> {
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
