import { isIndex } from './module-names.ts';

/** What a pattern dictionary says of one unit. */
export interface PatternedUnit {
  module: string;
  /** Within the module, in the order of concatenation; empty for the module's own weight. */
  paths: readonly string[];
}

/** DFloat11's `pattern_dict`: regular expression of module names → paths within the module. */
export type PatternDictionary = Record<string, readonly string[]>;

/** Keep patterns short enough for every reader, ours included: two lists of alternatives and a name fit its limit. */
const MAX_ALTERNATIVES = 500;
const MAX_ALTERNATIVES_CHARACTERS = 1500;

/**
 * Writes a pattern dictionary that matches exactly these units' modules, and no other module of the model.
 *
 * Source: DFloat11, `pattern_dict` with full match. `\d+` where all modules of a form are units with the same paths, else
 * alternatives of indices; no look-arounds, which other readers refuse.
 * @param modules every module of the model, units or not
 */
export function buildPatternDictionary(units: readonly PatternedUnit[], modules: Iterable<string>): PatternDictionary {
  const existing = new Map<string, number>();
  for (const module of modules) {
    const form = formOf(module);
    existing.set(form, (existing.get(form) ?? 0) + 1);
  }

  const groups = new Map<string, PatternedUnit[]>();
  for (const unit of units) {
    const key = JSON.stringify([formOf(unit.module), unit.paths]);
    const group = groups.get(key);
    if (group) group.push(unit);
    else groups.set(key, [unit]);
  }
  const dictionary: [string, readonly string[]][] = [];
  for (const group of groups.values()) {
    const [first] = group;
    if (!first) continue;
    const isWhole = group.length === existing.get(formOf(first.module));
    const patterns = isWhole ? [patternOf(first.module, () => '\\d+')] : patternsOfSome(group);
    for (const pattern of patterns) dictionary.push([pattern, first.paths]);
  }
  return Object.fromEntries(dictionary);
}

/** A module's name without its indices: modules of one form differ by these alone. Other parts are marked by "=". */
function formOf(module: string): string {
  return module
    .split('.')
    .map((part) => (isIndex(part) ? '#' : `=${part}`))
    .join('.');
}

/** The pattern of a module's form, each index replaced. */
function patternOf(module: string, indexPattern: (slot: number) => string): string {
  let slot = 0;
  const parts = module.split('.').map((part) => (isIndex(part) ? indexPattern(slot++) : escapePattern(part)));
  return parts.join('\\.');
}

function escapePattern(text: string): string {
  return text.replace(/[^A-Za-z0-9_]/gu, '\\$&');
}

/** Patterns for some of the modules of a form: the last index as alternatives, the ones before it as alternatives too. */
function patternsOfSome(group: readonly PatternedUnit[]): string[] {
  const lastByPrefix = new Map<string, string[]>();
  const moduleByPrefix = new Map<string, string>();
  for (const { module } of group) {
    const indices = module.split('.').filter(isIndex);
    const prefix = indices.slice(0, -1).join('.');
    const last = indices[indices.length - 1] ?? '';
    moduleByPrefix.set(prefix, module);
    const known = lastByPrefix.get(prefix);
    if (known) known.push(last);
    else lastByPrefix.set(prefix, [last]);
  }
  const patterns: string[] = [];
  for (const { prefixes, last } of mergePrefixes(lastByPrefix)) {
    const module = moduleByPrefix.get(prefixes[0] ?? '') ?? '';
    const fixed = (prefixes[0] ?? '').split('.');
    const slots = module.split('.').filter(isIndex).length;
    for (const some of chunks(last)) {
      for (const before of chunks(prefixes)) {
        patterns.push(
          patternOf(module, (slot) => {
            if (slot === slots - 1) return alternatives(some);
            return prefixes.length > 1 ? alternatives(before) : (fixed[slot] ?? '');
          }),
        );
      }
    }
  }
  return patterns;
}

/** Prefixes of one index that have the same last indices share a pattern; longer prefixes each have their own. */
function mergePrefixes(lastByPrefix: ReadonlyMap<string, string[]>): { prefixes: string[]; last: string[] }[] {
  const merged = new Map<string, { prefixes: string[]; last: string[] }>();
  for (const [prefix, last] of lastByPrefix) {
    const key = prefix.includes('.') ? prefix : last.join('|');
    const same = merged.get(key);
    if (same) same.prefixes.push(prefix);
    else merged.set(key, { prefixes: [prefix], last });
  }
  return [...merged.values()];
}

function alternatives(indices: readonly string[]): string {
  return indices.length === 1 ? (indices[0] ?? '') : `(${indices.join('|')})`;
}

/** Cuts a list where either limit is reached. */
function chunks(indices: readonly string[]): string[][] {
  const all: string[][] = [];
  let chunk: string[] = [];
  let characters = 0;
  for (const index of indices) {
    characters += index.length + 1;
    if (chunk.length === MAX_ALTERNATIVES || characters > MAX_ALTERNATIVES_CHARACTERS) {
      if (chunk.length > 0) all.push(chunk);
      chunk = [];
      characters = index.length + 1;
    }
    chunk.push(index);
  }
  return [...all, chunk];
}
