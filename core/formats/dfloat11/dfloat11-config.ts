import { FormatError, ModelError } from '../../errors.ts';
import { isJsonObject, type JsonObject } from '../../model/model-config.ts';
import { quoted } from '../../quoted.ts';
import { compileModulePattern, type ModulePattern } from './module-pattern.ts';
import type { PatternDictionary } from './unit-patterns.ts';

/** One format since 0.2.0; 0.1.0 was pickles. */
const READABLE_VERSIONS = ['0.2.0', '0.3.0', '0.3.1', '0.3.2', '0.5.0'];
const WRITTEN_VERSION = '0.5.0';
/** Compiled into the official kernel. */
const THREADS_PER_BLOCK = 512;
const BYTES_PER_THREAD = 8;
/** Published dictionaries have up to 3 patterns of 14 paths; ours one for each layer at most. */
const MAX_PATTERNS = 10_000;
const MAX_PATHS = 100_000;

/** The pattern dictionary of a folder, compiled. */
export interface Dfloat11Config {
  version: string;
  patterns: { pattern: ModulePattern; paths: string[] }[];
}

/**
 * Reads the `dfloat11_config` of a model's config.
 *
 * Source: DFloat11 0.5.0, `config.json`; see `compileModulePattern` for the patterns taken.
 * @throws ModelError MODEL_CONFIG_INVALID; FormatError FORMAT_UNSUPPORTED_VERSION
 */
export function parseDfloat11Config(config: JsonObject | null, file: string): Dfloat11Config {
  const value = config?.['dfloat11_config'];
  if (!isJsonObject(value)) throw invalid(file, 'has no "dfloat11_config" object');
  const { version, threads_per_block: threads, bytes_per_thread: bytes, pattern_dict: dictionary } = value;
  if (typeof version !== 'string' || !READABLE_VERSIONS.includes(version)) {
    throw unsupported(
      file,
      `DFloat11 version ${quoted(String(version))}, expected one of ${READABLE_VERSIONS.join(', ')}`,
    );
  }
  if (JSON.stringify(threads) !== `[${THREADS_PER_BLOCK}]` || bytes !== BYTES_PER_THREAD) {
    const found = `threads_per_block ${JSON.stringify(threads)} and bytes_per_thread ${JSON.stringify(bytes)}`;
    throw unsupported(file, `${found}, expected [${THREADS_PER_BLOCK}] and ${BYTES_PER_THREAD}`);
  }
  if (!isJsonObject(dictionary)) throw invalid(file, 'has no "pattern_dict" object');
  const entries = Object.entries(dictionary);
  if (entries.length > MAX_PATTERNS) throw invalid(file, `has more than ${MAX_PATTERNS} patterns`);
  return { version, patterns: entries.map(([pattern, paths]) => compileEntry(pattern, paths, file)) };
}

function compileEntry(text: string, paths: unknown, file: string): Dfloat11Config['patterns'][number] {
  const pattern = compileModulePattern(text);
  if ('problem' in pattern) throw invalid(file, `has the pattern ${quoted(text)}, which ${pattern.problem}`);
  if (!Array.isArray(paths) || paths.length > MAX_PATHS || !paths.every((path) => typeof path === 'string')) {
    throw invalid(file, `has no list of paths for the pattern ${quoted(text)}`);
  }
  return { pattern, paths };
}

/**
 * Adds a `dfloat11_config` to a model's config. The rest of the text stays as it is, to the last character: loaders of
 * other versions read other schemas, and numbers keep their spelling.
 *
 * @param configText a JSON object, checked before; a config without the key
 * @throws ModelError MODEL_CONFIG_INVALID if the key is there already
 */
export function addDfloat11Config(configText: string, patternDictionary: PatternDictionary, file: string): string {
  if (/"dfloat11_config"\s*:/.test(configText)) throw invalid(file, 'has a "dfloat11_config" already');
  const close = configText.lastIndexOf('}');
  const before = configText.slice(0, close).trimEnd();
  const value = JSON.stringify(
    {
      bytes_per_thread: BYTES_PER_THREAD,
      pattern_dict: patternDictionary,
      threads_per_block: [THREADS_PER_BLOCK],
      version: WRITTEN_VERSION,
    },
    null,
    2,
  ).replaceAll('\n', '\n  ');
  const comma = before.endsWith('{') ? '' : ',';
  return `${before}${comma}\n  "dfloat11_config": ${value}\n${configText.slice(close)}`;
}

function invalid(file: string, found: string): ModelError {
  return new ModelError({
    code: 'MODEL_CONFIG_INVALID',
    what: `${quoted(file)} ${found}.`,
    where: { file },
    whatToDo: 'Download this file again, or ask who made it.',
  });
}

function unsupported(file: string, found: string): FormatError {
  return new FormatError({
    code: 'FORMAT_UNSUPPORTED_VERSION',
    what: `${quoted(file)} says ${found}.`,
    where: { file },
    whatToDo: 'Compress the model again with a current program.',
  });
}
