import { ModelError } from '../errors.ts';
import { MAX_SHARD_INDEX_BYTES, parseShardIndex } from '../formats/safetensors/shard-index.ts';
import { quoted } from '../quoted.ts';
import type { FileAccess } from './file-access.ts';
import {
  isGgufName,
  isPickleName,
  isSafetensorsName,
  isShardIndexName,
  isSplitPlaneName,
  PARTIAL_ENDING,
} from './file-kinds.ts';
import { MAX_CONFIG_BYTES, parseModelConfig, type JsonObject } from './model-config.ts';
import { regularFileSize, walkModelFolder, type FolderFile, type FolderTree } from './model-folder.ts';

/** Lies in every folder that Lathe wrote. */
const LATHE_FILE = 'lathe.json';

/** Which files make the model that a path names; no header is read yet. */
export interface ModelFiles {
  root: string;
  openedAs: 'folder' | 'file' | 'index';
  kind: 'safetensors' | 'dfloat11' | 'split-plane';
  weights: FolderFile[];
  otherFiles: FolderFile[];
  emptyFolders: string[];
  index: { path: string; weightMap: Map<string, string> } | null;
  config: JsonObject | null;
  configText: string | null;
  notes: string[];
}

/** A GGUF file holds its config too. */
export interface GgufFiles {
  kind: 'gguf';
  root: string;
  weight: FolderFile;
  /** What else lies in the folder that was named; null where the file itself was. */
  folder: (Pick<FolderTree, 'emptyFolders'> & { otherFiles: FolderFile[] }) | null;
}

/**
 * Finds the files of a model. See `openModel` for the rules and for what is thrown.
 */
export async function selectModelFiles(
  path: string,
  access: FileAccess,
  unfinished = false,
): Promise<ModelFiles | GgufFiles> {
  const trimmed = path.replace(/(?<=[^/\\])[/\\]+$/, '');
  if (!unfinished && trimmed.split(/[/\\]/).some((part) => part.endsWith(PARTIAL_ENDING))) {
    throw unknownKind(path, 'is the unfinished output of another job', 'Resume that job, or name a finished model.');
  }
  const facts = await access.stat(trimmed);
  if (facts === null) {
    throw new ModelError({
      code: 'MODEL_NOT_FOUND',
      what: `${quoted(path)} does not exist.`,
      where: { file: path },
      whatToDo: 'Check the path: a model folder, a safetensors file, a shard index or a GGUF file is expected.',
    });
  }
  if (facts.kind === 'folder') return selectFromFolder(await access.realPath(trimmed), access, unfinished);
  if (facts.kind === 'other') throw notAFile(path, 'is a pipe, a socket or a device, expected a file or a folder');

  const slash = Math.max(trimmed.lastIndexOf('/'), trimmed.lastIndexOf('\\'));
  const name = trimmed.slice(slash + 1);
  const root = await access.realPath(slash < 0 ? '.' : slash === 0 ? '/' : trimmed.slice(0, slash));
  if (isShardIndexName(name)) return selectFromIndex(root, name, facts.sizeBytes, access);
  const single = { path: name, sizeBytes: facts.sizeBytes };
  if (isGgufName(name)) return { kind: 'gguf', root, weight: single, folder: null };
  if (!isSafetensorsName(name) && !isSplitPlaneName(name)) throw refuseName(name, path);
  const parts = await sharedParts(root, 'file', access);
  const kind = isSplitPlaneName(name) ? ('split-plane' as const) : parts.kind;
  return { ...parts, kind, weights: [single], index: null };
}

/** What an index or a single file brings along: the config beside it, for its facts; other files are not the model's. */
async function sharedParts(root: string, openedAs: ModelFiles['openedAs'], access: FileAccess) {
  const hasConfig = (await access.stat(`${root}/config.json`))?.kind === 'file';
  const sizeBytes = hasConfig ? await regularFileSize(root, 'config.json', access) : 0;
  const parsed = hasConfig ? await readConfig(root, { path: 'config.json', sizeBytes }, access) : NO_CONFIG;
  return { root, openedAs, kind: kindByConfig(parsed.config), otherFiles: [], emptyFolders: [], notes: [], ...parsed };
}

async function selectFromIndex(root: string, path: string, sizeBytes: number, access: FileAccess): Promise<ModelFiles> {
  const index = await readIndex(root, { path, sizeBytes }, access);
  const weights: FolderFile[] = [];
  for (const shard of index.shards) {
    if ((await access.stat(`${root}/${shard}`)) === null) throw shardMissing(path, shard);
    weights.push({ path: shard, sizeBytes: await regularFileSize(root, shard, access) });
  }
  return { ...(await sharedParts(root, 'index', access)), weights, index: { path, weightMap: index.weightMap } };
}

async function selectFromFolder(
  root: string,
  access: FileAccess,
  unfinished: boolean,
): Promise<ModelFiles | GgufFiles> {
  const gguf = await checkTopLevel(root, access);
  const tree = await walkModelFolder(root, access);
  if (gguf !== null) return ggufIn(root, gguf, tree);
  const top = tree.files.filter(({ path }) => !path.includes('/'));
  const configFile = top.find(({ path }) => path === 'config.json');
  const parsed = configFile ? await readConfig(root, configFile, access) : NO_CONFIG;
  const splitPlane = tree.files.filter(({ path }) => isSplitPlaneName(path));
  // Where all of them lie in subfolders `lathe.json` tells what they are; an unfinished output has none yet.
  const isTold = unfinished || top.some(({ path }) => isSplitPlaneName(path) || path === LATHE_FILE);
  const isSplitPlane = splitPlane.length > 0 && isTold;
  const kind = isSplitPlane ? 'split-plane' : kindByConfig(parsed.config);
  const indexFile = kind === 'safetensors' ? chooseIndex(top) : undefined;
  const index = indexFile ? await readIndex(root, indexFile, access) : null;
  const unindexed = isSplitPlane ? splitPlane : chooseUnindexed(top, kind);
  const weights = index && indexFile ? shardsOf(index.shards, indexFile.path, tree) : unindexed;
  const chosen = new Set(weights.map(({ path }) => path));
  const otherFiles = tree.files.filter(({ path }) => !chosen.has(path));
  const unused = otherFiles.filter(({ path }) => isSafetensorsName(path)).map(({ path }) => quoted(path));
  return {
    root,
    openedAs: 'folder',
    kind,
    weights,
    otherFiles,
    emptyFolders: tree.emptyFolders,
    index: index && indexFile ? { path: indexFile.path, weightMap: index.weightMap } : null,
    ...parsed,
    notes: unused.length === 0 ? [] : [`Not part of the model, kept as other files: ${unused.join(', ')}.`],
  };
}

function ggufIn(root: string, path: string, { files, emptyFolders }: FolderTree): GgufFiles {
  const weight = files.find((file) => file.path === path);
  if (weight === undefined) throw notAFile(path, 'is no regular file');
  return { kind: 'gguf', root, weight, folder: { otherFiles: files.filter((file) => file !== weight), emptyFolders } };
}

/**
 * Tells folders without weights apart before anything below them is listed: somebody may name a whole disk.
 *
 * @returns the GGUF file of a folder that has one and no other weights; null for any other model
 */
async function checkTopLevel(root: string, access: FileAccess): Promise<string | null> {
  const entries = await access.list(root);
  const folder = entries.find(({ name, kind }) => kind === 'folder' && isSafetensorsName(name));
  if (folder) throw notAFile(folder.name, 'is a folder, expected a safetensors file');
  const names = entries.filter(({ kind }) => kind === 'file' || kind === 'link').map(({ name }) => name);
  if (
    names.some((name) => [isSafetensorsName, isShardIndexName, isSplitPlaneName].some((isWeights) => isWeights(name)))
  )
    return null;
  const [gguf, ...more] = names.filter(isGgufName);
  if (gguf !== undefined && more.length === 0) return gguf;
  if (gguf !== undefined) {
    throw unknownKind(root, 'is a folder with several GGUF files', `Name one of them: "${root}/${gguf}".`);
  }
  const refused = names.find(isPickleName);
  if (refused !== undefined) throw refuseName(refused, `${root}/${refused}`);
  const found = entries.length === 0 ? 'is an empty folder' : 'holds no safetensors or split-plane file at its top';
  throw unknownKind(root, found, 'Name a folder with a model in Hugging Face layout.');
}

function kindByConfig(config: JsonObject | null): 'safetensors' | 'dfloat11' {
  return config && Object.hasOwn(config, 'dfloat11_config') ? 'dfloat11' : 'safetensors';
}

/** One index, or of several the one with the usual name. */
function chooseIndex(top: readonly FolderFile[]): FolderFile | undefined {
  const indexes = top.filter(({ path }) => isShardIndexName(path));
  return indexes.length === 1 ? indexes[0] : indexes.find(({ path }) => path === 'model.safetensors.index.json');
}

function chooseUnindexed(top: readonly FolderFile[], kind: ModelFiles['kind']): FolderFile[] {
  const all = top.filter(({ path }) => isSafetensorsName(path));
  const usual = kind === 'dfloat11' ? undefined : all.find(({ path }) => path === 'model.safetensors');
  return usual ? [usual] : all;
}

function shardsOf(shards: readonly string[], indexFile: string, tree: FolderTree): FolderFile[] {
  const byPath = new Map(tree.files.map((file) => [file.path, file]));
  return shards.map((shard) => {
    const file = byPath.get(shard);
    if (!file) throw shardMissing(indexFile, shard);
    return file;
  });
}

const NO_CONFIG: { config: JsonObject | null; configText: string | null } = { config: null, configText: null };

async function readConfig(
  root: string,
  { path, sizeBytes }: FolderFile,
  access: FileAccess,
): Promise<typeof NO_CONFIG> {
  if (sizeBytes > MAX_CONFIG_BYTES) {
    throw new ModelError({
      code: 'MODEL_CONFIG_INVALID',
      what: `${quoted(path)} has ${sizeBytes} bytes, but at most ${MAX_CONFIG_BYTES} are allowed.`,
      where: { file: path },
      whatToDo: 'Download this file again.',
    });
  }
  const { config, text } = parseModelConfig(await access.read(`${root}/${path}`, 0, sizeBytes), path);
  return { config, configText: text };
}

async function readIndex(root: string, { path, sizeBytes }: FolderFile, access: FileAccess) {
  if (sizeBytes > MAX_SHARD_INDEX_BYTES) {
    throw new ModelError({
      code: 'MODEL_INDEX_INVALID',
      what: `${quoted(path)} has ${sizeBytes} bytes, but at most ${MAX_SHARD_INDEX_BYTES} are allowed.`,
      where: { file: path },
      whatToDo: 'Download this file again.',
    });
  }
  return parseShardIndex(await access.read(`${root}/${path}`, 0, sizeBytes), path);
}

function shardMissing(indexFile: string, shard: string): ModelError {
  return new ModelError({
    code: 'MODEL_SHARD_MISSING',
    what: `${quoted(indexFile)} names ${quoted(shard)}, which is not in the folder.`,
    where: { file: shard },
    whatToDo: 'Download the missing file into the same folder.',
  });
}

function notAFile(path: string, found: string): ModelError {
  const whatToDo = 'Name a model folder, a safetensors file, a shard index or a GGUF file.';
  return new ModelError({
    code: 'MODEL_NOT_A_FILE',
    what: `${quoted(path)} ${found}.`,
    where: { file: path },
    whatToDo,
  });
}

function unknownKind(path: string, found: string, whatToDo: string): ModelError {
  return new ModelError({
    code: 'MODEL_UNKNOWN_KIND',
    what: `${quoted(path)} ${found}.`,
    where: { file: path },
    whatToDo,
  });
}

function refuseName(name: string, path: string): ModelError {
  if (isPickleName(name)) {
    return new ModelError({
      code: 'MODEL_PICKLE_REFUSED',
      what: `${quoted(path)} is a Python pickle, by its name; Lathe reads safetensors only.`,
      where: { file: path },
      whatToDo: 'Convert the model to safetensors first: opening a pickle can run any program.',
    });
  }
  return unknownKind(
    path,
    'is not a model that Lathe knows',
    'Name a model folder, a safetensors file, a shard index or a GGUF file.',
  );
}
