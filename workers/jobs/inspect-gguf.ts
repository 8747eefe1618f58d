import type { InspectedTensor } from '../../core/contract/results.ts';
import { decodableType, isPlainType } from '../../core/formats/gguf/ggml-types.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { storedTensor } from '../../core/methods/gguf/gguf-parts.ts';
import type { GgufModel } from '../../core/model/gguf-model.ts';
import { bitsPerWeight } from '../../core/units.ts';
import type { ProgressTracker } from '../engine/progress-tracker.ts';

/** The tensors of a GGUF file under their own names; shapes are [out, in], as everywhere. */
export function listGgufTensors(model: GgufModel): InspectedTensor[] {
  return model.tensors.map(({ name, type, shape, elements, sizeBytes, file, place }) => ({
    name,
    canonicalName: place?.canonicalName ?? name,
    dtype: type,
    shape,
    storedBytes: sizeBytes,
    bitsPerWeight: bitsPerWeight(sizeBytes, elements),
    file,
    method: isPlainType(type) ? 'plain' : 'ggml',
  }));
}

/** Figures of the weights that the blocks decode to, by tensor name; a tensor of a type that is not decoded has none. */
export async function readGgufStatistics(
  model: GgufModel,
  kernels: Kernels,
  tracker: ProgressTracker,
): Promise<Map<string, Partial<InspectedTensor>>> {
  tracker.expect(model.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
  tracker.stage('statistics');
  const found = new Map<string, Partial<InspectedTensor>>();
  for (const tensor of model.tensors) {
    const { name, type, elements, sizeBytes } = tensor;
    if (decodableType(type) !== null) {
      const stored = storedTensor({ ...tensor, place: null }, model);
      const target = { kind: 'discard', sizeBytes: 4 * elements } as const;
      const figures = await kernels.convertGgml(stored, 'F32', target, tracker.call());
      const { min, max, squares, zeros, nanCount, infiniteCount } = figures;
      const finite = elements - nanCount - infiniteCount;
      found.set(name, {
        exponentEntropyBits: null,
        min,
        max,
        rms: finite === 0 ? null : Math.sqrt(squares / finite),
        zeroFraction: elements === 0 ? null : zeros / elements,
        nanCount,
        infiniteCount,
      });
    }
    tracker.settle(sizeBytes);
  }
  tracker.finish();
  return found;
}
