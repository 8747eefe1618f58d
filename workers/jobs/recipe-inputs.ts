/** The files that a recipe names beside the model: texts and importance matrices. */
import { resolve } from 'node:path';
import type { Recipe } from '../../core/contract/recipe.ts';
import { paragraphsOf, sharedParagraphs } from '../../core/evaluation/shared-paragraphs.ts';
import { FormatError, ResourceError } from '../../core/errors.ts';
import { quoted } from '../../core/quoted.ts';
import { readText } from '../../core/tokenizer/read-text.ts';
import { formatFraction } from '../../core/units.ts';
import type { InputFile } from '../engine/fingerprints.ts';
import type { CalibrateOptions } from '../engine/job-options.ts';
import { sha256Hex } from '../engine/lathe-json.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';

/** A file with the path by which it is read. */
export interface RecipeFile extends InputFile {
  /** Absolute. */
  path: string;
}

export interface RecipeInputs {
  /** What the model is shown; null: nothing. */
  calibration: Pick<CalibrateOptions, 'texts' | 'sequences' | 'sequenceLength' | 'seed'> | null;
  calibrationTexts: RecipeFile[];
  imatrix: RecipeFile | null;
  evaluationTexts: RecipeFile[];
  /** Whether a text to evaluate shares paragraphs with one that the model is calibrated on. */
  overlap: boolean;
  notes: string[];
}

/** An importance matrix of the largest models has some tens of megabytes. */
const MAX_IMATRIX_BYTES = 1 << 30;

/**
 * Reads every file that a recipe names, so that one that is missing or no text is known before any work.
 *
 * @param folder what the recipe's paths are relative to
 * @throws as `readText`; FormatError IMATRIX_INVALID for one that is too large
 */
export async function readRecipeInputs({ calibration, evaluate }: Recipe, folder: string): Promise<RecipeInputs> {
  const texts = calibration !== undefined && 'text' in calibration ? calibration.text : [];
  const calibrated = await readTexts(texts, folder);
  const evaluated = await readTexts(evaluate?.text ?? [], folder);
  const notes: string[] = [];
  for (const one of evaluated) {
    for (const other of calibrated) {
      const { fraction, overlap } = sharedParagraphs(one.paragraphs, other.paragraphs);
      if (!overlap) continue;
      notes.push(
        `${quoted(one.file.name)} is measured, and shares ${formatFraction(fraction)} of its paragraphs with ` +
          `${quoted(other.file.name)}, which the model is calibrated on: the figures flatter.`,
      );
    }
  }
  const settings = calibration !== undefined && 'text' in calibration ? calibration : null;
  return {
    calibration: settings && {
      texts: calibrated.map(({ file }) => file.path),
      sequences: settings.sequences,
      sequenceLength: settings.sequenceLength,
      seed: settings.seed,
    },
    calibrationTexts: calibrated.map(({ file }) => file),
    imatrix:
      calibration !== undefined && 'imatrix' in calibration ? await readMatrix(calibration.imatrix, folder) : null,
    evaluationTexts: evaluated.map(({ file }) => file),
    overlap: notes.length > 0,
    notes,
  };
}

/** All of them, for fingerprints. */
export function allInputs({ calibrationTexts, imatrix, evaluationTexts }: RecipeInputs): InputFile[] {
  return [...calibrationTexts, ...(imatrix === null ? [] : [imatrix]), ...evaluationTexts];
}

async function readTexts(names: readonly string[], folder: string) {
  const read = [];
  for (const name of names) {
    const path = resolve(folder, name);
    const { text, bytes } = await readText(path, nodeFileAccess);
    const file: RecipeFile = { name, path, bytes: bytes.length, sha256: sha256Hex(bytes) };
    read.push({ file, paragraphs: paragraphsOf(text) });
  }
  return read;
}

async function readMatrix(name: string, folder: string): Promise<RecipeFile> {
  const path = resolve(folder, name);
  const facts = await nodeFileAccess.stat(path);
  if (facts?.kind !== 'file') {
    throw new ResourceError({
      code: 'FILE_NOT_FOUND',
      what: `The importance matrix ${quoted(path)} ${facts === null ? 'does not exist' : 'is not a regular file'}.`,
      where: { file: path },
      whatToDo: 'Check the path.',
    });
  }
  if (facts.sizeBytes > MAX_IMATRIX_BYTES) {
    throw new FormatError({
      code: 'IMATRIX_INVALID',
      what: `The importance matrix ${quoted(path)} has ${facts.sizeBytes} bytes; at most ${MAX_IMATRIX_BYTES} are read.`,
      where: { file: path },
      whatToDo: 'Name an importance matrix in GGUF.',
    });
  }
  const bytes = await nodeFileAccess.read(path, 0, facts.sizeBytes);
  return { name, path, bytes: bytes.length, sha256: sha256Hex(bytes) };
}
