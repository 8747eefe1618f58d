import { Worker } from 'node:worker_threads';
import { deserializeError, KernelError, type WorkbenchError } from '../../core/errors.ts';
import type { ThreadAnswer, ThreadRequest } from './serve-calls.ts';

/** A thread of this process that answers calls. */
export interface WorkerThread {
  /**
   * Calls a handler of the thread; the argument is copied.
   *
   * @param signal stops the call, not the thread
   * @throws what the handler throws, as a `WorkbenchError`; KernelError BUG_UNEXPECTED where the thread ends instead
   */
  call<T>(name: string, argument: unknown, signal?: AbortSignal): Promise<T>;
  /** Ends the thread; calls that are not answered yet fail. */
  close(): Promise<void>;
}

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: WorkbenchError) => void;
}

/**
 * Starts a worker thread.
 *
 * @param entryPath a bundled file that calls `serveCalls` with its parent's port
 * @param workerData copied to the thread
 */
export function startWorkerThread(entryPath: string, workerData: unknown): WorkerThread {
  const worker = new Worker(entryPath, { workerData });
  const waiting = new Map<number, Waiting>();
  let nextId = 0;
  let ended: WorkbenchError | null = null;

  function end(error: WorkbenchError): void {
    ended ??= error;
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  }

  worker.on('message', (answer: ThreadAnswer) => {
    const call = waiting.get(answer.id);
    waiting.delete(answer.id);
    if ('error' in answer) call?.reject(deserializeError(answer.error));
    else call?.resolve(answer.value);
    if (waiting.size === 0) worker.unref();
  });
  worker.on('error', (cause) => end(endedEarly(`failed: ${cause.message}`, cause)));
  worker.on('exit', (code) => end(endedEarly(`ended with exit code ${code}`)));
  // A thread that nobody waits for does not keep the process alive.
  worker.unref();

  return {
    async call<T>(name: string, argument: unknown, signal?: AbortSignal): Promise<T> {
      if (ended !== null) throw ended;
      const id = nextId++;
      const cancel = () => worker.postMessage({ cancelled: id } satisfies ThreadRequest);
      const answer = new Promise<unknown>((resolve, reject) => waiting.set(id, { resolve, reject }));
      worker.ref();
      worker.postMessage({ id, name, argument } satisfies ThreadRequest);
      if (signal?.aborted === true) cancel();
      signal?.addEventListener('abort', cancel, { once: true });
      try {
        return (await answer) as T;
      } finally {
        signal?.removeEventListener('abort', cancel);
      }
    },
    async close(): Promise<void> {
      end(endedEarly('was closed'));
      await worker.terminate();
    },
  };
}

function endedEarly(how: string, cause?: unknown): KernelError {
  return new KernelError({
    code: 'BUG_UNEXPECTED',
    what: `A worker thread ${how}.`,
    whatToDo: 'This is a fault in Lathe: please report it with the text above.',
    cause,
  });
}
