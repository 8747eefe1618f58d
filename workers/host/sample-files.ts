import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { SampleFiles } from '../../core/contract/desk.ts';

/**
 * The small model and the texts that ship with the program.
 *
 * @param examplesFolder null: they did not come along
 */
export async function sampleFiles(examplesFolder: string | null): Promise<SampleFiles> {
  const [model = null, calibrationText = null, evaluationText = null] = await Promise.all(
    ['models/docs-llama-7m', 'texts/docs.calibration.txt', 'texts/docs.test.txt'].map(async (name) => {
      if (examplesFolder === null) return null;
      const path = resolve(examplesFolder, name);
      return stat(path).then(
        () => path,
        () => null,
      );
    }),
  );
  return { model, calibrationText, evaluationText };
}
