/** What makes two runs the same: model files, recipe and program version. */
import { stat } from 'node:fs/promises';
import { ModelError, UsageError } from '../../core/errors.ts';
import type { OpenedModel } from '../../core/model/open-model.ts';
import { wrapFileErrors } from './file-errors.ts';
import { sha256Hex } from './lathe-json.ts';
import { sideFiles } from './side-files.ts';

export interface Fingerprints {
  version: string;
  /** SHA-256 of the recipe (of an evaluation: its arguments) with every default filled in. */
  recipe: string;
  /** Absolute: the folder, or the file that was named in it. */
  model: string;
  /** [path, bytes, time of last change in ms] of every source file. */
  modelFiles: [path: string, bytes: number, modifiedMs: number][];
  /** [path, SHA-256] of every other file that the recipe names; left out where it names none. */
  inputs?: [path: string, sha256: string][] | undefined;
}

/** A file that a recipe names, as it was read. */
export interface InputFile {
  /** As the recipe has it. */
  name: string;
  bytes: number;
  sha256: string;
}

/** Reads no file: sizes and times of change stand for the bytes, which the verification compares in any case. */
export async function takeFingerprints(
  model: OpenedModel,
  recipe: object,
  version: string,
  inputs: readonly InputFile[] = [],
): Promise<Fingerprints> {
  const files = [...model.weightFiles, ...model.otherFiles].map(({ path }) => path);
  if (model.openedAs === 'index' && model.indexFile !== null) files.push(model.indexFile);
  files.push(...(await sideFiles(model)));
  const modelFiles: Fingerprints['modelFiles'] = [];
  for (const path of files.sort()) {
    const facts = await wrapFileErrors('look at', path, () => stat(`${model.root}/${path}`));
    modelFiles.push([path, facts.size, facts.mtimeMs]);
  }
  const fingerprints = { version, recipe: sha256Hex(JSON.stringify(recipe)), model: pathOf(model), modelFiles };
  if (inputs.length === 0) return fingerprints;
  return { ...fingerprints, inputs: inputs.map(({ name, sha256 }) => [name, sha256]) };
}

function pathOf({ root, openedAs, indexFile, weightFiles }: OpenedModel): string {
  const named = { folder: undefined, index: indexFile, file: weightFiles[0]?.path }[openedAs];
  return typeof named === 'string' ? `${root}/${named}` : root;
}

/**
 * Refuses to go on with a run that was begun with something else.
 *
 * @throws UsageError JOB_RESUME_MISMATCH, naming the first difference
 */
export function checkFingerprints(begun: Fingerprints, now: Fingerprints): void {
  const difference = firstDifference(begun, now);
  if (difference === null) return;
  throw new UsageError({
    code: 'JOB_RESUME_MISMATCH',
    what: `The interrupted run cannot go on: ${difference}.`,
    whatToDo: 'Undo that change, or start anew with --force instead of --resume.',
  });
}

/**
 * Refuses an output whose model changed while it was made: parts of it may stem from before, others from after.
 *
 * @throws ModelError MODEL_CHANGED, naming the first difference
 */
export function checkUnchanged(before: Fingerprints, after: Fingerprints): void {
  const difference = firstDifference(before, after);
  if (difference === null) return;
  throw new ModelError({
    code: 'MODEL_CHANGED',
    what: `The model was changed during the run: ${difference}.`,
    where: { file: after.model },
    whatToDo: 'Let nothing change the model, and run it again.',
  });
}

/** What differs, as the end of a sentence; null if nothing does. */
export function firstDifference(begun: Fingerprints, now: Fingerprints): string | null {
  if (begun.version !== now.version) {
    return `it was begun by Lathe ${begun.version}, and this is Lathe ${now.version}`;
  }
  if (begun.model !== now.model) {
    return `it was begun with the model "${begun.model}", and this one is "${now.model}"`;
  }
  if (begun.recipe !== now.recipe) return 'the recipe has changed since';
  const inputs = new Map(begun.inputs);
  for (const [path, sha256] of now.inputs ?? []) {
    if (inputs.get(path) !== sha256) return `the recipe's file "${path}" has changed since`;
  }
  const before = new Map(begun.modelFiles.map(([path, bytes, modifiedMs]) => [path, `${bytes} ${modifiedMs}`]));
  for (const [path, bytes, modifiedMs] of now.modelFiles) {
    const known = before.get(path);
    before.delete(path);
    if (known === undefined) return `the model's file "${path}" is new`;
    if (known !== `${bytes} ${modifiedMs}`) return `the model's file "${path}" has changed since`;
  }
  const [lost] = before.keys();
  return lost === undefined ? null : `the model's file "${lost}" is gone`;
}
