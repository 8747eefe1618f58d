import { FormatError, ModelError } from '../../errors.ts';
import { isJsonObject, parsePythonJson, type JsonObject } from '../../model/model-config.ts';
import { quoted, shown } from '../../quoted.ts';
import { compileModulePattern, type MatchBudget, type ModulePattern } from './module-pattern.ts';
import type { PatternDictionary } from './unit-patterns.ts';

/** One format since 0.2.0; 0.1.0 was pickles. */
const READABLE_VERSIONS = ['0.2.0', '0.3.0', '0.3.1', '0.3.2', '0.5.0'];
const WRITTEN_VERSION = '0.5.0';
/** Compiled into the official kernel. */
const THREADS_PER_BLOCK = 512;
const BYTES_PER_THREAD = 8;
/** Published dictionaries have up to 3 patterns of 14 paths; ours one for each layer at most, so that none can exhaust memory. */
const MAX_PATTERNS = 10_000;
const MAX_PATTERNS_CHARACTERS = 512 * 1024;
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
    throw unsupported(file, `DFloat11 version ${shown(version)}, expected one of ${READABLE_VERSIONS.join(', ')}`);
  }
  const threadCount: unknown = Array.isArray(threads) && threads.length === 1 ? threads[0] : threads;
  if (!Array.isArray(threads) || threadCount !== THREADS_PER_BLOCK || bytes !== BYTES_PER_THREAD) {
    const found = `threads_per_block ${shown(threadCount)} and bytes_per_thread ${shown(bytes)}`;
    throw unsupported(file, `${found}, expected a list of ${THREADS_PER_BLOCK} alone and ${BYTES_PER_THREAD}`);
  }
  if (!isJsonObject(dictionary)) throw invalid(file, 'has no "pattern_dict" object');
  const excess = patternExcess(Object.keys(dictionary));
  if (excess !== null) throw invalid(file, `has ${excess}`);
  return {
    version,
    patterns: Object.entries(dictionary).map(([pattern, paths]) => compileEntry(pattern, paths, file)),
  };
}

/** What is too much in a dictionary of these patterns, as the object of "has"; null if a reader takes them. */
export function patternExcess(patterns: readonly string[]): string | null {
  if (patterns.length > MAX_PATTERNS) return `${patterns.length} patterns, more than the limit of ${MAX_PATTERNS}`;
  const characters = patterns.reduce((sum, { length }) => sum + length, 0);
  if (characters <= MAX_PATTERNS_CHARACTERS) return null;
  return `patterns of ${characters} characters together, more than the limit of ${MAX_PATTERNS_CHARACTERS}`;
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
 * The paths that the dictionary gives a module, by the first pattern that matches it; null if none does.
 *
 * @param budget shared by all modules of a folder
 * @throws ModelError MODEL_CONFIG_INVALID once the budget is spent: only patterns made for that take so long
 */
export function pathsOfModule(
  { patterns }: Dfloat11Config,
  module: string,
  budget: MatchBudget,
  file: string,
): string[] | null {
  const entry = patterns.find(({ pattern }) => pattern.matches(module, budget));
  if (budget.steps >= 0) return entry?.paths ?? null;
  throw invalid(file, 'has patterns that take too long to match');
}

/**
 * Adds a `dfloat11_config` to a model's config. The rest of the text stays as it is, to the last character: loaders of
 * other versions read other schemas, and numbers keep their spelling.
 *
 * @throws ModelError MODEL_CONFIG_INVALID for a text that is no JSON object, or has the key already
 */
export function addDfloat11Config(configText: string, patternDictionary: PatternDictionary, file: string): string {
  const config = parsePythonJson(configText);
  if (!isJsonObject(config)) throw invalid(file, 'is not a JSON object');
  if (Object.hasOwn(config, 'dfloat11_config')) throw invalid(file, 'has a "dfloat11_config" already');
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
