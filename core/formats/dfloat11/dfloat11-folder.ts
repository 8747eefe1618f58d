import { FormatError, ModelError, type ErrorCode } from '../../errors.ts';
import type { ByteRange, Dfloat11Fields } from '../../kernels/kernels.ts';
import { mapBounded } from '../../model/bounded-map.ts';
import type { FileAccess } from '../../model/file-access.ts';
import { linearShape } from '../../model/linear-shapes.ts';
import type { ModelTensor, SafetensorsModel } from '../../model/open-model.ts';
import { quoted } from '../../quoted.ts';
import { elementCount } from '../safetensors/tensor-size.ts';
import { checkUnitFields, type UnitTensors } from './check-unit-fields.ts';
import { parseDfloat11Config, pathsOfModule, type Dfloat11Config } from './dfloat11-config.ts';
import { unitTensorNames } from './module-names.ts';
import { newMatchBudget } from './module-pattern.ts';
import { isUnitMark, splitFieldName, UNIT_FIELDS, type UnitField } from './unit-fields.ts';

const CONFIG_FILE = 'config.json';
/** `split_positions` read at a time. */
const READS_AT_ONCE = 8;

/** A tensor as the model has it; its bits are in a unit. */
export interface LogicalTensor {
  name: string;
  dtype: 'BF16';
  shape: number[];
  /** Module of its unit. */
  unit: string;
  /** Within the unit. */
  firstElement: number;
  elements: number;
}

export interface Dfloat11Unit {
  module: string;
  elements: number;
  fields: Dfloat11Fields;
  /** In the order of concatenation. */
  tensors: LogicalTensor[];
}

export interface Dfloat11Folder {
  units: Dfloat11Unit[];
  /** Tensors outside units, stored as they are. */
  plain: ModelTensor[];
}

/**
 * Reads which tensors the units of a DFloat11 folder hold. Sizes are checked; the coded data are the decoder's to check.
 *
 * Source: DFloat11 0.5.0, `load_and_replace_tensors`; names by the pattern dictionary, in its order.
 * @param shapes of logical tensors, where known (`lathe.json`); else they follow from config.json, see `linearShape`
 * @throws FormatError FORMAT_UNIT_INCOMPLETE, FORMAT_SHAPE_MISMATCH, FORMAT_CODED_DATA_MALFORMED,
 * FORMAT_UNSUPPORTED_VERSION; ModelError MODEL_CONFIG_INVALID, MODEL_DUPLICATE_TENSOR; what `access` throws
 * Cost: reads `split_positions` of each unit, 8 bytes a tensor.
 */
export async function readDfloat11Folder(
  model: SafetensorsModel,
  access: FileAccess,
  shapes: ReadonlyMap<string, readonly number[]> = new Map(),
): Promise<Dfloat11Folder> {
  const config = parseDfloat11Config(model.config, CONFIG_FILE);
  const { found, plain } = findUnits(model.tensors, config);
  const units = await mapBounded(found, READS_AT_ONCE, async ({ module, fields, paths }): Promise<Dfloat11Unit> => {
    const tensors = checkUnitFields(module, fields);
    const names = namesOf(module, paths, tensors);
    const positions = await readSplitPositions(model.root, tensors, names.length, access);
    const elements = tensors.sign_mantissa.sizeBytes;
    const shapeOf = (name: string, length: number) =>
      shapes.get(name) ?? (model.config && linearShape(model.config, name, length));
    return {
      module,
      elements,
      fields: rangesOf(model.root, tensors),
      tensors: cutUnit(module, names, positions, elements, shapeOf),
    };
  });
  checkNames(units, plain);
  return { units, plain };
}

interface FoundUnit {
  module: string;
  fields: Partial<Record<UnitField, ModelTensor>>;
  /** By the pattern dictionary. */
  paths: string[] | null;
}

/** Tells the units' fields from other tensors. A module with a small field alone is a unit if a pattern matches it. */
function findUnits(
  tensors: readonly ModelTensor[],
  config: Dfloat11Config,
): { found: FoundUnit[]; plain: ModelTensor[] } {
  const byModule = new Map<string, Partial<Record<UnitField, ModelTensor>>>();
  for (const tensor of tensors) {
    const parts = splitFieldName(tensor.name);
    if (!parts) continue;
    const fields = byModule.get(parts.module) ?? {};
    fields[parts.field] = tensor;
    byModule.set(parts.module, fields);
  }
  const budget = newMatchBudget();
  const found: FoundUnit[] = [];
  for (const [module, fields] of byModule) {
    const paths = pathsOfModule(config, module, budget, CONFIG_FILE);
    if (paths || UNIT_FIELDS.some((field) => fields[field] && isUnitMark(field))) found.push({ module, fields, paths });
  }
  const units = new Set(found.map(({ module }) => module));
  const isPlain = (parts: ReturnType<typeof splitFieldName>) => !parts || !units.has(parts.module);
  return { found, plain: tensors.filter(({ name }) => isPlain(splitFieldName(name))) };
}

function namesOf(module: string, paths: readonly string[] | null, { sign_mantissa: { file } }: UnitTensors): string[] {
  if (paths) return unitTensorNames(module, paths);
  throw new ModelError({
    code: 'MODEL_CONFIG_INVALID',
    what: `${quoted(file)}: no pattern of "dfloat11_config" matches the unit ${quoted(module)}.`,
    where: { file, tensor: module },
    whatToDo: 'Get the config.json that belongs to these files.',
  });
}

async function readSplitPositions(
  root: string,
  { split_positions: field }: UnitTensors,
  tensors: number,
  access: FileAccess,
): Promise<number[]> {
  if (field.sizeBytes !== 8 * (tensors - 1)) {
    const found = `has ${field.sizeBytes / 8} entries, but the pattern dictionary names ${tensors} tensors.`;
    throw malformed('FORMAT_CODED_DATA_MALFORMED', field, found);
  }
  const bytes = await access.read(`${root}/${field.file}`, field.offsetBytes, field.sizeBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: tensors - 1 }, (_, index) => Number(view.getBigInt64(8 * index, true)));
}

function cutUnit(
  module: string,
  names: readonly string[],
  positions: readonly number[],
  elements: number,
  shapeOf: (name: string, length: number) => readonly number[] | null,
): LogicalTensor[] {
  const ends = [...positions, elements];
  const starts = [0, ...positions];
  const field = { name: `${module}.split_positions`, file: undefined };
  for (const [index, end] of ends.entries()) {
    const start = starts[index] ?? 0;
    if (end > start && end <= elements) continue;
    const found = `ends a tensor at element ${end}, expected between ${start} and ${elements}.`;
    throw malformed('FORMAT_CODED_DATA_MALFORMED', field, found);
  }
  return names.map((name, index) => {
    const firstElement = starts[index] ?? 0;
    const length = (ends[index] ?? 0) - firstElement;
    const shape = shapeOf(name, length);
    if (!shape) {
      throw new ModelError({
        code: 'MODEL_CONFIG_INVALID',
        what: `The shape of tensor ${quoted(name)} does not follow from config.json, and DFloat11 files do not hold it.`,
        where: { tensor: name },
        whatToDo: 'Use a model of a Llama-like architecture, or a folder that Lathe wrote.',
      });
    }
    if (elementCount(shape) !== length) {
      const found = `gives ${quoted(name)} ${length} elements, but its shape is [${shape.join(', ')}].`;
      throw malformed('FORMAT_SHAPE_MISMATCH', field, found);
    }
    return { name, dtype: 'BF16', shape: [...shape], unit: module, firstElement, elements: length };
  });
}

function malformed(code: ErrorCode, field: { name: string; file: string | undefined }, found: string): FormatError {
  return new FormatError({
    code,
    what: `Field ${quoted(field.name)} ${found}`,
    where: { file: field.file, tensor: field.name },
    whatToDo: 'Download this folder again, config.json included.',
  });
}

function rangesOf(root: string, tensors: UnitTensors): Dfloat11Fields {
  const rangeOf = ({ file, offsetBytes, sizeBytes }: ModelTensor): ByteRange => {
    return { path: `${root}/${file}`, offsetBytes, sizeBytes };
  };
  return {
    luts: rangeOf(tensors.luts),
    encodedExponent: rangeOf(tensors.encoded_exponent),
    signMantissa: rangeOf(tensors.sign_mantissa),
    outputPositions: rangeOf(tensors.output_positions),
    gaps: rangeOf(tensors.gaps),
  };
}

function checkNames(units: readonly Dfloat11Unit[], plain: readonly ModelTensor[]): void {
  const names = new Set(plain.map(({ name }) => name));
  for (const { name: tensor } of units.flatMap(({ tensors }) => tensors)) {
    if (names.has(tensor)) {
      throw new ModelError({
        code: 'MODEL_DUPLICATE_TENSOR',
        what: `Tensor ${quoted(tensor)} is stored twice, in a unit and elsewhere.`,
        where: { tensor },
        whatToDo: 'Keep the files of one model only in this folder.',
      });
    }
    names.add(tensor);
  }
}
