import { ModelError } from '../../core/errors.ts';
import { openModel, type SafetensorsModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';

/**
 * Opens a model that is to be compressed or compared with.
 *
 * @throws ModelError MODEL_ALREADY_COMPRESSED; as `openModel`
 */
export async function openSource(path: string): Promise<SafetensorsModel> {
  const model = await openModel(path, nodeFileAccess);
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
