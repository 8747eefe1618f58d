/**
 * The messages between an engine in a process of its own and whoever drives it: a window, a socket, another program.
 *
 * JSON, one message at a time, in order. The driver says `hello`, the engine answers `welcome` with its version of the
 * protocol, or an error if it does not speak the driver's. Then calls may be made, several at once; each gets events, and
 * one `result` or `error`. `jobs` comes, unasked, whenever a job in the queue has changed.
 */
import * as z from 'zod';
import { isErrorCode } from '../errors.ts';
import type { SerializedError } from '../errors.ts';
import { engineMethods } from './engine-calls.ts';
import type { JobEvent } from './progress.ts';

export const PROTOCOL_VERSION = 1;

const idSchema = z.int().nonnegative();
const methodSchema = z.enum(engineMethods);

/** What a driver says. */
export const engineRequestSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('hello'), protocol: z.int().positive() }),
  /** `params` as the method's schema in `engine-calls.ts` has them. */
  z.strictObject({ type: z.literal('call'), id: idSchema, method: methodSchema, params: z.unknown() }),
  /** Stops a call; it then ends with an error like any other. Nothing happens if it has ended. */
  z.strictObject({ type: z.literal('stop'), id: idSchema }),
]);

export type EngineRequest = z.infer<typeof engineRequestSchema>;

const errorSchema = z.object({
  code: z.string().refine(isErrorCode, 'not a code'),
  what: z.string(),
  where: z.record(z.string(), z.unknown()),
  whatToDo: z.string(),
  retryable: z.boolean(),
  stack: z.string().optional(),
});

const jobSchema = z.object({
  id: z.string(),
  label: z.string(),
  priority: z.number(),
  status: z.enum(['waiting', 'running', 'paused', 'done', 'failed', 'cancelled']),
  error: errorSchema.nullable(),
});

/** What an engine says. */
export const engineAnswerSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('welcome'), protocol: z.int().positive(), version: z.string() }),
  /** The call is a job of the queue, under this name. */
  z.object({ type: z.literal('queued'), id: idSchema, job: z.string() }),
  z.object({ type: z.literal('event'), id: idSchema, event: z.looseObject({ event: z.string() }) }),
  z.object({ type: z.literal('result'), id: idSchema, value: z.unknown() }),
  /** Without an id: of the connection as a whole, which ends. */
  z.object({ type: z.literal('error'), id: idSchema.nullable(), error: errorSchema }),
  z.object({ type: z.literal('jobs'), jobs: z.array(jobSchema) }),
]);

/** A job of the queue as it crosses the border. */
export interface QueuedJob {
  id: string;
  label: string;
  priority: number;
  status: 'waiting' | 'running' | 'paused' | 'done' | 'failed' | 'cancelled';
  error: SerializedError | null;
}

export type EngineAnswer =
  | { type: 'welcome'; protocol: number; version: string }
  | { type: 'queued'; id: number; job: string }
  | { type: 'event'; id: number; event: JobEvent }
  | { type: 'result'; id: number; value: unknown }
  | { type: 'error'; id: number | null; error: SerializedError }
  | { type: 'jobs'; jobs: QueuedJob[] };
