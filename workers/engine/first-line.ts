import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Fingerprints } from './fingerprints.ts';
import type { JobOptions } from './job-options.ts';
import { JOURNAL_SCHEMA, type JournalLine } from '../../core/contract/journal-lines.ts';

export interface BegunCall {
  runId: string;
  command: string;
  model: string;
  /** Absolute; empty where the run writes none. */
  output: string;
  fingerprints: Fingerprints;
  /** Of the call, paths as they were given. */
  options: Record<string, unknown>;
  /** Keys of `options` that are paths, or lists of them. */
  paths: readonly string[];
  inputs?: { path: string; bytes: number; sha256: string }[];
}

/** The line with which a journal begins: all that it takes to go on with the run from anywhere. */
export function firstLine(call: BegunCall, { threads, memoryLimitBytes }: JobOptions): JournalLine {
  const { options, paths, ...rest } = call;
  const names: Record<string, string> = {};
  const absolute = (path: unknown): unknown => {
    if (Array.isArray(path)) return path.map(absolute);
    if (typeof path !== 'string') return path;
    const whole = resolve(path);
    if (whole !== path) names[whole] = path;
    return whole;
  };
  const resolved = Object.fromEntries(
    Object.entries(options).map(([key, value]) => [key, paths.includes(key) ? absolute(value) : value]),
  );
  return {
    type: 'run',
    schema: JOURNAL_SCHEMA,
    ...rest,
    startedAt: new Date().toISOString(),
    options: resolved,
    names,
    host: hostname(),
    threads,
    memoryLimitBytes,
  };
}

export function resumedLine(): JournalLine {
  return { type: 'resumed', at: new Date().toISOString() };
}

/** The options of a call without what belongs to this process, or to the resumption of another run. */
export function optionsOf<Options extends JobOptions & { runId?: string | undefined; names?: unknown }>(
  options: Options,
): Record<string, unknown> {
  const {
    threads: _1,
    memoryLimitBytes: _2,
    signal: _3,
    onEvent: _4,
    scheduling: _5,
    runId: _6,
    names: _7,
    ...asked
  } = options;
  return asked;
}
