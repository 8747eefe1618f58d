import { ModelError } from '../../core/errors.ts';
import type { GgufModel } from '../../core/model/gguf-model.ts';
import { openModel, type OpenedModel, type SafetensorsModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';

/** A model that weights can be quantized from. */
export type QuantizableModel = SafetensorsModel | GgufModel;

/**
 * Opens a model that is to be compressed: plain, or a GGUF file, whose weights may be quantized anew.
 *
 * @throws as `openSource`
 */
export async function openQuantizable(path: string): Promise<QuantizableModel> {
  const model = await openModel(path, nodeFileAccess);
  return model.kind === 'gguf' ? model : requireSource(model, path);
}

/**
 * Opens a model that is to be compressed without loss or compared with.
 *
 * @throws ModelError MODEL_ALREADY_COMPRESSED; as `openModel`
 */
export async function openSource(path: string): Promise<SafetensorsModel> {
  return requireSource(await openModel(path, nodeFileAccess), path);
}

/** @throws ModelError MODEL_ALREADY_COMPRESSED */
export function requireSource(model: OpenedModel, path: string): SafetensorsModel {
  if (model.kind === 'safetensors') return model;
  if (model.kind === 'gguf') {
    throw new ModelError({
      code: 'MODEL_ALREADY_COMPRESSED',
      what: `${quoted(path)} is a GGUF file, expected a plain safetensors model.`,
      where: { file: path },
      whatToDo: 'Make one of it with "lathe restore", and name that.',
    });
  }
  throw new ModelError({
    code: 'MODEL_ALREADY_COMPRESSED',
    what: `${quoted(path)} is a ${model.kind} folder, expected a plain safetensors model.`,
    where: { file: path },
    whatToDo: 'Get the original back with "lathe restore", and name that.',
  });
}
