import type { MessagePort } from 'node:worker_threads';
import { serializeError, type SerializedError } from '../../core/errors.ts';

/** What a thread is asked: to answer a call, or to stop one. */
export type ThreadRequest = { id: number; name: string; argument: unknown } | { cancelled: number };

export type ThreadAnswer = { id: number; value: unknown } | { id: number; error: SerializedError };

/** Answers one kind of call; what it gives is copied to the caller, who may have stopped waiting. */
export type CallHandler = (argument: never, signal: AbortSignal) => Promise<unknown>;

/**
 * Answers the calls that arrive at a worker thread's port, for as long as the port is open.
 *
 * Calls of different handlers may run at the same time; errors travel as data, code and place intact.
 */
export function serveCalls(port: MessagePort, handlers: Record<string, CallHandler>): void {
  const running = new Map<number, AbortController>();

  async function answer(id: number, name: string, argument: unknown): Promise<ThreadAnswer> {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
      if (handler === undefined) throw new TypeError(`no handler for the call "${name}"`);
      return { id, value: await handler(argument as never, controller.signal) };
    } catch (error) {
      return { id, error: serializeError(error) };
    } finally {
      running.delete(id);
    }
  }

  port.on('message', (request: ThreadRequest) => {
    if ('cancelled' in request) {
      running.get(request.cancelled)?.abort();
      return;
    }
    const { id, name, argument } = request;
    void answer(id, name, argument).then((message) => port.postMessage(message));
  });
}
