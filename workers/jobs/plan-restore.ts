import { LATHE_FILE_NAME, type LatheFile } from '../../core/contract/lathe-file.ts';
import { FormatError, ModelError } from '../../core/errors.ts';
import type { CodedPart } from '../../core/methods/lossless/coded-parts.ts';
import {
  newWeightFiles,
  originalWeightFiles,
  splitPlaneWeightFiles,
  type RestoredWeightFile,
} from '../../core/methods/lossless/restored-files.ts';
import type { OpenedModel, SafetensorsModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';
import { encodeUtf8 } from '../../core/utf8.ts';
import { fromBase64 } from '../engine/lathe-json.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { missingFile } from './open-compressed.ts';

/** Everything that a restored folder will hold. */
export interface RestorePlan {
  weightFiles: RestoredWeightFile[];
  /** Files taken over unchanged; `from` is absolute, `sha256` the original's where it is known. */
  copies: { from: string; to: string; sizeBytes: number; sha256: string | null }[];
  texts: { path: string; bytes: Uint8Array; sha256: string | null }[];
  emptyFolders: string[];
  /** Whether these are all files of the original folder. */
  isWhole: boolean;
  notes: string[];
}

/**
 * Plans which files come out of a compressed folder.
 *
 * @param lathe the folder's `lathe.json`, if it has one
 * @throws FormatError FORMAT_LATHE_JSON_INVALID, and as the parsers of headers; ModelError MODEL_SHARD_MISSING,
 * MODEL_NAME_COLLISION
 */
export async function planRestore(
  model: OpenedModel,
  lathe: LatheFile | null,
  parts: readonly CodedPart[],
  maxShardBytes: number | null,
): Promise<RestorePlan> {
  const plan = lathe
    ? await planByLatheFile(model, lathe, maxShardBytes)
    : await planByFiles(model, parts, maxShardBytes);
  checkPaths(plan);
  return plan;
}

/** For a folder without `lathe.json`. */
async function planByFiles(
  model: OpenedModel,
  parts: readonly CodedPart[],
  maxShardBytes: number | null,
): Promise<RestorePlan> {
  if (model.kind === 'split-plane') {
    return {
      weightFiles: await splitPlaneWeightFiles(model, nodeFileAccess),
      copies: otherFiles(model, () => true),
      texts: [],
      emptyFolders: model.emptyFolders,
      isWhole: false,
      notes: ['There is no "lathe.json": files beside the weights are taken over as they are.'],
    };
  }
  const { files, index } = newWeightFiles(parts, maxShardBytes);
  const config = model.kind === 'dfloat11' ? plainConfig(model) : null;
  const indexName = 'model.safetensors.index.json';
  return {
    weightFiles: files,
    copies: otherFiles(model, (path) => path !== 'config.json' && path !== indexName),
    texts: [
      ...(config ? [{ path: 'config.json', bytes: config, sha256: null }] : []),
      ...(index ? [{ path: indexName, bytes: index, sha256: null }] : []),
    ],
    emptyFolders: model.emptyFolders,
    isWhole: false,
    notes: ['Another program made this folder: every tensor comes back exactly, but not the original files.'],
  };
}

async function planByLatheFile(
  model: OpenedModel,
  lathe: LatheFile,
  maxShardBytes: number | null,
): Promise<RestorePlan> {
  const weightFiles =
    model.kind === 'split-plane'
      ? await splitPlaneWeightFiles(model, nodeFileAccess)
      : originalWeightFiles(lathe, fromBase64(lathe.original.headers));
  const texts = fromBase64(lathe.original.files);
  const renamed = new Map(Object.entries(lathe.original.renamed));
  const weights = new Map(weightFiles.map((file) => [file.path, file]));
  const plan: RestorePlan = {
    weightFiles: [],
    copies: [],
    texts: [],
    emptyFolders: lathe.source.emptyFolders,
    isWhole: true,
    notes: maxShardBytes === null ? [] : ['The original files come back as they were: no size of shards applies.'],
  };
  for (const { path, bytes, sha256, xxh3 = null } of lathe.source.files) {
    const weight = weights.get(path);
    const text = texts.get(path);
    if (weight && weight.sha256 !== sha256) throw otherHash(path);
    if (weight) plan.weightFiles.push({ ...weight, sha256, xxh3 });
    else if (text) plan.texts.push({ path, bytes: text, sha256 });
    else {
      const stored = renamed.get(path) ?? path;
      const from = `${model.root}/${stored}`;
      if ((await nodeFileAccess.stat(from))?.kind !== 'file') throw missingFile(stored);
      plan.copies.push({ from, to: path, sizeBytes: bytes, sha256 });
    }
    weights.delete(path);
  }
  const [stranger] = weights.keys();
  if (stranger === undefined) return plan;
  throw new FormatError({
    code: 'FORMAT_LATHE_JSON_INVALID',
    what: `The weights of ${quoted(stranger)} are stored, but "lathe.json" does not name that file.`,
    where: { file: LATHE_FILE_NAME },
    whatToDo: 'Get the compressed folder again, lathe.json included.',
  });
}

/** No file may be written over another, or stand where a folder is meant. */
function checkPaths({ weightFiles, copies, texts, emptyFolders }: RestorePlan): void {
  const paths = [
    ...weightFiles.map(({ path }) => path),
    ...copies.map(({ to }) => to),
    ...texts.map(({ path }) => path),
  ];
  const files = new Set<string>();
  for (const path of paths) {
    if (files.has(path)) throw collision(path, 'as the name of two files');
    files.add(path);
  }
  for (const path of [...paths.map(folderOf), ...emptyFolders]) {
    for (let folder = path; folder !== ''; folder = folderOf(folder)) {
      if (files.has(folder)) throw collision(folder, 'as a file and as a folder');
    }
  }
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function collision(path: string, found: string): ModelError {
  return new ModelError({
    code: 'MODEL_NAME_COLLISION',
    what: `${quoted(path)} would come back twice, ${found}.`,
    where: { file: path },
    whatToDo: 'Keep the files of one model only in the compressed folder.',
  });
}

/** A `.splane` file has the SHA-256 of its source too. */
function otherHash(path: string): FormatError {
  return new FormatError({
    code: 'FORMAT_LATHE_JSON_INVALID',
    what: `"lathe.json" has another SHA-256 for ${quoted(path)} than the file that holds its weights.`,
    where: { file: LATHE_FILE_NAME },
    whatToDo: 'Get the compressed folder again, lathe.json included.',
  });
}

function otherFiles(
  { root, otherFiles: files }: OpenedModel,
  isTaken: (path: string) => boolean,
): RestorePlan['copies'] {
  return files
    .filter(({ path }) => isTaken(path))
    .map(({ path, sizeBytes }) => ({ from: `${root}/${path}`, to: path, sizeBytes, sha256: null }));
}

/** The config of the plain model: loaders must not look for units any more. */
function plainConfig({ config }: SafetensorsModel): Uint8Array | null {
  if (config === null) return null;
  const rest = Object.fromEntries(Object.entries(config).filter(([key]) => key !== 'dfloat11_config'));
  return encodeUtf8(`${JSON.stringify(rest, null, 2)}\n`);
}
