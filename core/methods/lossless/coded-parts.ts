import { readDfloat11Folder, type Dfloat11Unit } from '../../formats/dfloat11/dfloat11-folder.ts';
import { splitFieldName } from '../../formats/dfloat11/unit-fields.ts';
import { planeSplitOf } from '../../formats/split-plane/plane-splits.ts';
import { VerificationError } from '../../errors.ts';
import type { DecodeTarget } from '../../kernels/kernels.ts';
import type { ModelTensor, OpenedModel, SafetensorsModel, SplitPlaneModel } from '../../model/open-model.ts';
import type { FileAccess } from '../../model/file-access.ts';
import { quoted } from '../../quoted.ts';
import { ggufParts, type GgufPart } from '../gguf/gguf-parts.ts';
import { shareBytes } from './share-bytes.ts';
import { storedSplitPlaneBytes } from './split-plane-names.ts';
import type { WorkTools } from './work.ts';

/** A tensor as the original model has it. */
export interface LogicalTensor {
  name: string;
  /** As in safetensors; RAW for a split-plane file that is not cut into tensors. */
  dtype: string;
  shape: number[];
  /** Decoded. */
  sizeBytes: number;
  /** Of a part that several tensors share, its share by element count. */
  storedBytes: number;
}

/** What is decoded together: a DFloat11 unit, a split-plane tensor, a tensor stored plain or in GGML's blocks. */
export interface CodedPart {
  method: 'plain' | 'dfloat11' | 'split-plane' | 'ggml';
  /** Where it is stored, relative to the model's folder. */
  file: string;
  /** Its decoded bytes are those of these tensors, one after the other. */
  tensors: LogicalTensor[];
  sizeBytes: number;
  /**
   * Decodes it; a split-plane tensor that goes nowhere is checked by its SHA-256.
   *
   * @throws FormatError FORMAT_CODED_DATA_MALFORMED, FORMAT_CHECKSUM_MISMATCH, FORMAT_FILE_CUT_SHORT; VerificationError
   * VERIFY_FAILED if a comparison fails; ResourceError; JobError JOB_CANCELLED
   */
  decode(target: DecodeTarget, tools: Pick<WorkTools, 'kernels' | 'call'>): Promise<void>;
}

/**
 * Lists what a model stores, part by part, coded or plain.
 *
 * @param shapes of a DFloat11 folder's tensors, where `lathe.json` tells them
 * A GGUF file's tensors are those of the Hugging Face model, in F32.
 * @throws as `readDfloat11Folder`, `ggufParts`
 */
export async function readCodedParts(
  model: OpenedModel,
  access: FileAccess,
  shapes: ReadonlyMap<string, readonly number[]> = new Map(),
): Promise<CodedPart[]> {
  switch (model.kind) {
    case 'split-plane': {
      const dataStarts = new Map(model.weightFiles.map(({ path, header }) => [path, header.dataStart]));
      return model.tensors.map((tensor) => splitPlanePart(tensor, model, dataStarts.get(tensor.file) ?? 0));
    }
    case 'dfloat11': {
      const { units, plain } = await readDfloat11Folder(model, access, shapes);
      const stored = storedByModule(model);
      return [
        ...units.map((unit) => unitPart(unit, model, stored.get(unit.module) ?? 0)),
        ...plain.map((tensor) => plainPart(tensor, model)),
      ];
    }
    case 'gguf':
      return ggufParts(model).map(ggmlPart);
    case 'safetensors':
      return model.tensors.map((tensor) => plainPart(tensor, model));
  }
}

function plainPart(tensor: ModelTensor, { root }: SafetensorsModel): CodedPart {
  const { name, dtype, shape, file, offsetBytes, sizeBytes } = tensor;
  const stored = { path: `${root}/${file}`, offsetBytes, sizeBytes };
  return {
    method: 'plain',
    file,
    tensors: [{ name, dtype, shape, sizeBytes, storedBytes: sizeBytes }],
    sizeBytes,
    async decode(target, { kernels, call }) {
      if (target.kind === 'floats') {
        const out = target.pieces[0]?.out;
        const weights = { source: stored, columns: 1, order: 'stored', heads: 1, add: 0 } as const;
        if (out) await kernels.dequantizeGgml({ ...weights, type: target.dtype }, out, call());
        return;
      }
      const range = target.kind === 'discard' ? undefined : target.ranges[0];
      if (!range) return;
      if (target.kind === 'write') await kernels.copyRange(stored, range.path, range.offsetBytes, call());
      else await kernels.compareRanges(stored, range, call());
    },
  };
}

/** Stored bytes of each unit: those of its six fields. */
function storedByModule(model: SafetensorsModel): Map<string, number> {
  const stored = new Map<string, number>();
  for (const { name, sizeBytes } of model.tensors) {
    const module = splitFieldName(name)?.module;
    if (module !== undefined) stored.set(module, (stored.get(module) ?? 0) + sizeBytes);
  }
  return stored;
}

function unitPart(unit: Dfloat11Unit, { root }: SafetensorsModel, storedBytes: number): CodedPart {
  const shares = shareBytes(
    storedBytes,
    unit.tensors.map(({ elements }) => elements),
  );
  return {
    method: 'dfloat11',
    file: unit.fields.signMantissa.path.slice(root.length + 1),
    tensors: unit.tensors.map(({ name, dtype, shape, elements }, index) => {
      return { name, dtype, shape, sizeBytes: 2 * elements, storedBytes: shares[index] ?? 0 };
    }),
    sizeBytes: 2 * unit.elements,
    decode: (target, { kernels, call }) => kernels.decodeDfloat11(unit.fields, unit.elements, target, call()),
  };
}

function ggmlPart({ place, elements, storedBytes, file, stored }: GgufPart): CodedPart {
  const sizeBytes = 4 * elements;
  return {
    method: 'ggml',
    file,
    tensors: [{ name: place.canonicalName, dtype: 'F32', shape: place.shape, sizeBytes, storedBytes }],
    sizeBytes,
    async decode(target, { kernels, call }) {
      if (target.kind !== 'floats') {
        await kernels.convertGgml(stored, 'F32', target, call());
        return;
      }
      const out = target.pieces[0]?.out;
      if (out) await kernels.dequantizeGgml(stored, out, call());
    },
  };
}

function splitPlanePart(
  tensor: SplitPlaneModel['tensors'][number],
  model: SplitPlaneModel,
  dataStart: number,
): CodedPart {
  const { name, dtype, shape, bytes, sha256, planes, file } = tensor;
  return {
    method: 'split-plane',
    file,
    tensors: [{ name, dtype, shape, sizeBytes: bytes, storedBytes: storedSplitPlaneBytes(planes) }],
    sizeBytes: bytes,
    async decode(target, { kernels, call }) {
      const input = { path: `${model.root}/${file}`, dataStart };
      const isHashed = target.kind === 'discard';
      const found = await kernels.decodeSplitPlane(input, planes, planeSplitOf(dtype), bytes, target, isHashed, call());
      if (!isHashed || found === sha256) return;
      throw new VerificationError({
        code: 'VERIFY_FAILED',
        what: `Tensor ${quoted(name)} in ${quoted(file)} decodes to bytes of SHA-256 ${String(found)}, expected ${sha256}.`,
        where: { file, tensor: name },
        whatToDo: 'The file is damaged: get it again.',
      });
    },
  };
}
