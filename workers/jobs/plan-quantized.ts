import type { QuantizationFacts } from '../../core/contract/lathe-file.ts';
import type { QuantizeStep, Recipe } from '../../core/contract/recipe.ts';
import { WorkbenchError } from '../../core/errors.ts';
import type { QuantizeFigures } from '../../core/kernels/quantize-kernels.ts';
import { FILE_TYPES, type ChosenType } from '../../core/methods/gguf/gguf-types.ts';
import {
  layOutGguf,
  planGgufExport,
  type GgufExportPlan,
  type GgufExportTensor,
} from '../../core/methods/gguf/plan-gguf-export.ts';
import { layOutFromGguf } from '../../core/methods/gguf/requantize-layout.ts';
import { resolveFormats, type ResolvedTensor } from '../../core/methods/gguf/resolve-formats.ts';
import { ggufMixNamed } from '../../core/contract/gguf-mixes.ts';
import type { FinishedWork, SourceFile, WorkItem, WorkRecords } from '../../core/methods/lossless/work.ts';
import { groupBySize } from '../../core/methods/lossless/group-by-size.ts';
import type { GgufModel } from '../../core/model/gguf-model.ts';
import { compareByCodePoint } from '../../core/utf8.ts';
import type { CompressOptions } from '../engine/job-options.ts';
import { readLatheFile, sha256Hex } from '../engine/lathe-json.ts';
import { jobDemand } from '../engine/memory-limit.ts';
import type { ProgressTracker } from '../engine/progress-tracker.ts';
import { allocateFormats, type AllocatedFormats, type AllocationTools } from './allocate-formats.ts';
import { describeOutput } from './compress-documents.ts';
import type { Compression, PreparedCompression, VerifiedOutput } from './compression.ts';
import { importanceFor, type ExportImportance } from './export-importance.ts';
import { readExportedTokenizer } from './exported-tokenizer.ts';
import {
  copyBlocks,
  quantizedBytes,
  quantizeTensor,
  relativeErrorOf,
  withFeedback,
  type Quantized,
} from './quantize-tensor.ts';
import type { QuantizableModel } from './open-source.ts';
import type { OutputContext } from './plan-compression.ts';
import type { RecipeInputs } from './recipe-inputs.ts';
import { verifyExportedGguf } from './verify-exported-gguf.ts';

/** The file of an output folder. */
export const GGUF_FILE = 'model.gguf';
/** Tensors that are quantized under one journal record: a record costs a sync, a crash costs the group. */
const GROUP_BYTES = 16 << 20;

export interface QuantizedParts {
  context: OutputContext;
  model: QuantizableModel;
  recipe: Recipe;
  step: QuantizeStep;
  options: CompressOptions;
  inputs: RecipeInputs;
  tools: AllocationTools;
}

type Tokenizer = Awaited<ReturnType<typeof readExportedTokenizer>>;

/**
 * The compression of a quantize step onto block formats: one GGUF file.
 *
 * @throws ModelError MODEL_ARCHITECTURE_UNKNOWN, MODEL_CONFIG_INVALID, MODEL_TENSOR_UNEXPECTED, MODEL_DTYPE_UNSUPPORTED,
 * TOKENIZER_INVALID, TOKENIZER_NOT_SUPPORTED; UsageError RECIPE_INVALID_PATTERN, ALLOCATION_BUDGET_TOO_SMALL
 */
export async function planQuantized(parts: QuantizedParts): Promise<Compression> {
  const { context, model, recipe, step, options, inputs } = parts;
  const { kernels, access } = context;
  const layout = model.kind === 'gguf' ? await layOutFromGguf(model, access) : layOutGguf(model);
  const { tokenizer, notes: ofTokenizer } = await tokenizerOf(model);
  const hasImportance = inputs.calibration !== null || inputs.imatrix !== null;
  const resolved = resolveFormats(layout, step, recipe, hasImportance);
  const makePlan = (types: ReadonlyMap<string, ChosenType>): GgufExportPlan =>
    planGgufExport(layout, {
      choose: ({ canonicalName, source }) => types.get(canonicalName) ?? { type: source.type, insteadOf: null },
      fileType: fileTypeOf(step),
      name: nameOf(model.root),
      tokenizer: tokenizer?.keys ?? null,
    });
  const allocation =
    step.allocation === undefined ? null : allocateFormats(step.allocation, resolved.tensors, makePlan);
  const plain = jobDemand(kernels, options.threads, model.tensors.length);
  const usesGptq = resolved.tensors.some(({ method }) => method === 'gptq');
  const cheapest = makePlan(typesOf(resolved.tensors, allocation?.cheapest ?? null));
  const low = storedIn(cheapest);
  return {
    demand: usesGptq ? withFeedback(plain, model.tensors) : plain,
    storedBytes: { low, high: low + (allocation?.spareBytes ?? 0) },
    notes: [...cheapest.notes, ...resolved.notes, ...ofTokenizer],
    async prepare() {
      const importance = await importanceFor(
        {
          ...options,
          calibration: inputs.calibration,
          imatrix: inputs.imatrix?.path ?? null,
          gram: usesGptq,
        },
        cheapest.tensors,
        parts.tools.measure,
      );
      const chosen = allocation === null ? null : await allocation.choose({ ...parts, importance });
      const plan = makePlan(typesOf(resolved.tensors, chosen));
      const notes = [...resolved.notes, ...ofTokenizer];
      return prepared({ ...parts, plan, resolved: resolved.tensors, tokenizer, importance, chosen, notes });
    },
  };
}

function storedIn({ tensors, tables }: GgufExportPlan): number {
  const ofTensors = tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return ofTensors + tables.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

/** Block types by tensor: those that were chosen, where there was a choice. */
function typesOf(
  resolved: readonly ResolvedTensor[],
  chosen: Pick<AllocatedFormats, 'types'> | null,
): Map<string, ChosenType> {
  return new Map(
    resolved.flatMap(({ candidate: { canonicalName }, choices: [only] }) => {
      const type = chosen?.types.get(canonicalName) ?? only;
      return type === undefined ? [] : [[canonicalName, type] as const];
    }),
  );
}

/** What llama.cpp calls such files; null where it has no name for it. */
function fileTypeOf({ format }: QuantizeStep): number | null {
  // Its names for one K type are those of the smallest mix around it.
  const mix = format === undefined ? null : (ggufMixNamed(format) ?? ggufMixNamed(`${format}_s`));
  return mix === null ? null : FILE_TYPES[mix];
}

/** A GGUF file's own keys come along. A model without a tokenizer can be quantized, and a note says what its file is not good for. */
async function tokenizerOf(model: QuantizableModel): Promise<{ tokenizer: Tokenizer | null; notes: string[] }> {
  if (model.kind === 'gguf') return { tokenizer: null, notes: [await twiceQuantized(model)] };
  try {
    return { tokenizer: await readExportedTokenizer(model), notes: [] };
  } catch (error) {
    if (!(error instanceof WorkbenchError) || error.code !== 'TOKENIZER_MISSING') throw error;
    const note = 'The model has no tokenizer.json, so the GGUF file has no tokenizer, and llama.cpp does not load it.';
    return { tokenizer: null, notes: [note] };
  }
}

/** Names both losses, where the first is known. */
async function twiceQuantized({ root, tensors, openedAs }: GgufModel): Promise<string> {
  const types = [...new Set(tensors.filter(({ shape }) => shape.length > 1).map(({ type }) => type))].join(', ');
  const lathe = openedAs === 'folder' ? await readLatheFile(root) : null;
  const worst = lathe?.tensors.reduce((most, { error }) => Math.max(most, error), 0);
  const before =
    worst === undefined
      ? 'what it had lost of its original already is not known here'
      : `its weights were off from its original by up to ${(100 * worst).toFixed(2)} % already`;
  return `The source is a GGUF file (${types}): ${before}, and errors told here come on top. Where there is the original, start from that.`;
}

/** For people: what a GGUF file says that its model is called. */
export function nameOf(root: string): string {
  const parts = root.split(/[/\\]/).filter((part) => part !== '');
  return parts[parts.length - 1] ?? 'model';
}

interface PreparedParts extends QuantizedParts {
  plan: GgufExportPlan;
  resolved: readonly ResolvedTensor[];
  tokenizer: Tokenizer | null;
  importance: ExportImportance;
  chosen: AllocatedFormats | null;
  notes: readonly string[];
}

function prepared(parts: PreparedParts): PreparedCompression {
  const { model, plan } = parts;
  const items = itemsOf(parts);
  const groups = items.slice(1);
  return {
    items,
    finish: (records) => Promise.resolve(finishedWork(parts, quantizedIn(groups, records))),
    verificationBytes: () => {
      const sources = [...model.weightFiles, ...model.otherFiles].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      const decoded = plan.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      return Promise.resolve(decoded + plan.file.fileBytes + sources);
    },
    verify: (finished, tracker) => verify(parts, finished as QuantizedWork, tracker),
    describe: (finished, { outputFiles, sourceFiles }) => {
      const { recipe } = parts;
      const quantization = factsOf(parts);
      const seed = quantization.calibration?.seed ?? null;
      const facts = { method: 'gguf', seed, quantization } as const;
      return describeOutput({ ...finished, sourceFiles }, outputFiles, model, recipe, facts);
    },
  };
}

interface QuantizedWork extends FinishedWork {
  figures: readonly QuantizeFigures[];
}

function finishedWork(
  { model, plan, importance, notes }: PreparedParts,
  quantized: readonly Quantized[],
): QuantizedWork {
  const originals = dtypesOf(model);
  return {
    figures: quantized.map(({ figures }) => figures),
    tensors: plan.tensors.map(({ name, canonicalName, shape, type, sizeBytes }, index) => {
      const figures = quantized[index]?.figures;
      return {
        name,
        canonicalName,
        dtype: originals.get(canonicalName) ?? '',
        shape: [...shape],
        method: type,
        error: figures === undefined ? 0 : relativeErrorOf(figures),
        storedBytes: sizeBytes,
        file: GGUF_FILE,
      };
    }),
    sourceFiles: [],
    original: { headers: new Map(), files: new Map(), renamed: new Map() },
    outputFiles: [GGUF_FILE],
    notes: [...plan.notes, ...importance.notes, ...notes],
  };
}

/** By canonical name; of a GGUF file its types. */
function dtypesOf(model: QuantizableModel): Map<string, string> {
  if (model.kind !== 'gguf') return new Map(model.tensors.map(({ name, dtype }) => [name, dtype]));
  return new Map(model.tensors.map(({ name, place, type }) => [place?.canonicalName ?? name, type]));
}

/** What `lathe.json` says of how the weights came to be. */
function factsOf({ context, inputs, importance, chosen }: PreparedParts): QuantizationFacts {
  const told = ({ name, bytes, sha256 }: RecipeInputs['calibrationTexts'][number]) => ({ file: name, bytes, sha256 });
  const { backend } = context.kernels.describe();
  const { calibration } = importance;
  return {
    calibration: calibration && {
      texts: inputs.calibrationTexts.map(told),
      sequences: calibration.sequences,
      sequenceLength: calibration.sequenceLength,
      seed: calibration.seed,
    },
    imatrix: inputs.imatrix === null ? null : told(inputs.imatrix),
    allocation: chosen === null ? null : chosen.facts,
    ranOn: { architecture: process.arch, backend },
  };
}

/** First the header, then groups of neighbouring tensors; one that is solved for is a group by itself. */
function itemsOf(parts: PreparedParts): WorkItem[] {
  const { plan, resolved } = parts;
  const methods = new Map(resolved.map(({ candidate, method }) => [candidate.canonicalName, method ?? 'rtn']));
  const methodOf = ({ canonicalName }: GgufExportTensor) => methods.get(canonicalName) ?? 'rtn';
  const weightOf = (tensor: GgufExportTensor) => (methodOf(tensor) === 'gptq' ? GROUP_BYTES : quantizedBytes(tensor));
  const indexed = plan.tensors.map((tensor, index) => ({ tensor, index }));
  const groups = groupBySize(indexed, ({ tensor }) => weightOf(tensor), GROUP_BYTES);
  return [headerItem(parts), ...groups.map((group) => groupItem(group, (tensor) => methodOf(tensor), parts))];
}

function headerItem({ context, plan }: PreparedParts): WorkItem {
  const { files, access, kernels, folder, call } = context;
  const { file, tensors, tables } = plan;
  const sha256 = sha256Hex(file.header);
  return {
    key: 'header',
    label: GGUF_FILE,
    workBytes: 0,
    async run() {
      const path = await files.prepare(folder, GGUF_FILE);
      await files.setSize(path, file.fileBytes);
      await files.writeAt(path, file.header, 0);
      for (const [index, { bytes }] of tables.entries()) {
        await files.writeAt(path, bytes, file.offsets[tensors.length + index] ?? 0);
      }
      await kernels.syncFile(path, call());
      return { sha256 };
    },
    async holds(record) {
      if (record['sha256'] !== sha256) return false;
      const path = `${folder}/${GGUF_FILE}`;
      if ((await access.stat(path))?.sizeBytes !== file.fileBytes) return false;
      return sha256Hex(await access.read(path, 0, file.header.length)) === sha256;
    },
  };
}

interface IndexedTensor {
  tensor: GgufExportTensor;
  index: number;
}

function groupItem(
  group: readonly IndexedTensor[],
  methodOf: (tensor: GgufExportTensor) => 'rtn' | 'gptq',
  { context, plan, importance }: PreparedParts,
): WorkItem {
  const { access, kernels, folder, call } = context;
  const path = `${folder}/${GGUF_FILE}`;
  const [first] = group;
  const what = group.map(({ tensor }) => [tensor.canonicalName, tensor.type, methodOf(tensor)]);
  return {
    // Other types are other work, wherever they come from.
    key: `quantize:${first?.index ?? 0}:${sha256Hex(JSON.stringify(what)).slice(0, 16)}`,
    label: group.length === 1 ? (first?.tensor.name ?? '') : `${first?.tensor.name ?? ''} and ${group.length - 1} more`,
    workBytes: group.reduce((sum, { tensor }) => sum + quantizedBytes(tensor), 0),
    async run() {
      const quantized: Quantized[] = [];
      for (const { tensor, index } of group) {
        const range = { path, offsetBytes: plan.file.offsets[index] ?? 0, sizeBytes: tensor.sizeBytes };
        const input = importance.inputs.get(tensor.canonicalName);
        const asked = { ...tensor, method: methodOf(tensor), input };
        quantized.push(
          tensor.isCopy
            ? await copyBlocks(tensor, range, kernels, call())
            : await quantizeTensor(asked, { kind: 'write', ranges: [range] }, kernels, call()),
        );
      }
      await kernels.syncFile(path, call());
      return { quantized };
    },
    // What it wrote was on the disk before its record; the verification compares every tensor with its figures.
    holds: async () => (await access.stat(path))?.sizeBytes === plan.file.fileBytes,
  };
}

function quantizedIn(groups: readonly WorkItem[], records: WorkRecords): Quantized[] {
  return groups.flatMap(({ key }) => (records.get(key)?.['quantized'] ?? []) as Quantized[]);
}

async function verify(
  { context, model, plan, tokenizer }: PreparedParts,
  { figures }: QuantizedWork,
  tracker: ProgressTracker,
): Promise<VerifiedOutput> {
  const { kernels, folder, call } = context;
  const path = `${folder}/${GGUF_FILE}`;
  await verifyExportedGguf({ path, plan, figures, model, tokenizer: tokenizer?.tokenizer ?? null, kernels, tracker });
  const sources = [...model.weightFiles, ...model.otherFiles].map((file) => file.path).sort(compareByCodePoint);
  const digests = await kernels.digestFiles([...sources.map((source) => `${model.root}/${source}`), path], call());
  tracker.settle(digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  const named = [...sources, GGUF_FILE].map((name, index): SourceFile => {
    const { sizeBytes = 0, sha256 = '' } = digests[index] ?? {};
    return { path: name, bytes: sizeBytes, sha256 };
  });
  return { sourceFiles: named.slice(0, sources.length), outputFiles: named.slice(sources.length) };
}
