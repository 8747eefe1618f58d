import type { LatheFile } from '../../core/contract/lathe-file.ts';
import type { Recipe } from '../../core/contract/recipe.ts';
import type { CallOptions, Kernels } from '../../core/kernels/kernels.ts';
import { readLatheFile } from '../engine/lathe-json.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { programVersion } from '../engine/run-identity.ts';
import type { QuantizableModel } from './open-source.ts';
import type { RecipeInputs } from './recipe-inputs.ts';

/**
 * Whether an output is what this version makes of this model by this recipe and its texts, evaluated if the recipe says so:
 * by its own `lathe.json`, and by the SHA-256 of every file of model and output.
 *
 * Whatever cannot be read or differs is no such output. Cost: all bytes of both are hashed, unless a size differs before.
 */
export async function isFinishedOutput(
  output: string,
  model: QuantizableModel,
  recipe: Recipe,
  inputs: RecipeInputs,
  kernels: Kernels,
  call: () => CallOptions,
): Promise<boolean> {
  const lathe = await readLatheFile(output).catch(() => null);
  if (lathe === null || lathe.program.version !== programVersion()) return false;
  if (JSON.stringify(lathe.recipe) !== JSON.stringify(recipe)) return false;
  if (!hasInputs(lathe, recipe, inputs)) return false;
  const now = [...model.weightFiles, ...model.otherFiles].map(({ path }) => path).sort();
  const then = lathe.source.files.filter(({ path }) => path !== model.indexFile || now.includes(path));
  if (
    now.join('\n') !==
    then
      .map(({ path }) => path)
      .sort()
      .join('\n')
  )
    return false;
  const files = [
    ...then.map((file) => ({ ...file, path: `${model.root}/${file.path}` })),
    ...lathe.output.files.map((file) => ({ ...file, path: `${output}/${file.path}` })),
  ];
  for (const { path, bytes } of files) {
    if ((await nodeFileAccess.stat(path))?.sizeBytes !== bytes) return false;
  }
  const digests = await kernels.digestFiles(
    files.map(({ path }) => path),
    call(),
  );
  return files.every(({ sha256 }, index) => digests[index]?.sha256 === sha256);
}

/** Whether it was calibrated and evaluated on these very files. */
function hasInputs({ quantization, metrics }: LatheFile, { evaluate }: Recipe, inputs: RecipeInputs): boolean {
  const digests = (files: readonly { sha256: string }[]) => files.map(({ sha256 }) => sha256).join();
  if (evaluate !== undefined && digests(metrics ?? []) !== digests(inputs.evaluationTexts)) return false;
  const calibrated = quantization?.calibration?.texts ?? [];
  if (quantization !== undefined && digests(calibrated) !== digests(inputs.calibrationTexts)) return false;
  return quantization === undefined || (quantization.imatrix?.sha256 ?? null) === (inputs.imatrix?.sha256 ?? null);
}
