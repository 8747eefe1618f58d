import type { CallOptions, Kernels } from '../../core/kernels/kernels.ts';
import { readCodedParts } from '../../core/methods/lossless/coded-parts.ts';
import { CodedWeightSource } from '../../core/methods/lossless/coded-weight-source.ts';
import type { OpenedModel } from '../../core/model/open-model.ts';
import type { WeightSource } from '../../core/model/weight-source.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';

/**
 * The weights of an opened model, of whatever kind.
 *
 * @param call options for the next kernel call
 * @param shapes of a DFloat11 folder's tensors, where `lathe.json` tells them
 * @throws as `readCodedParts`
 */
export async function openWeightSource(
  model: OpenedModel,
  kernels: Kernels,
  call: () => CallOptions,
  shapes?: ReadonlyMap<string, readonly number[]>,
): Promise<WeightSource> {
  return new CodedWeightSource(await readCodedParts(model, nodeFileAccess, shapes), kernels, call);
}
