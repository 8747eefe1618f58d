import type { CallParams, EngineMethod } from '../../core/contract/engine-calls.ts';
import {
  engineAnswerSchema,
  PROTOCOL_VERSION,
  type EngineAnswer,
  type QueuedJob,
} from '../../core/contract/engine-protocol.ts';
import type { JobEvent } from '../../core/contract/progress.ts';
import { deserializeError, KernelError, type WorkbenchError } from '../../core/errors.ts';
import { badMessage, type Channel } from './channel.ts';

export interface CallListeners {
  signal?: AbortSignal;
  onEvent?: (event: JobEvent) => void;
  /** The call is a job of the queue, under this name. */
  onQueued?: (job: string) => void;
}

/** An engine in another process. */
export interface RemoteEngine {
  /** Of the engine's program. */
  readonly version: string;
  /**
   * Calls the engine; with the result document, or `null` of calls about jobs.
   *
   * @throws what the engine throws, as a `WorkbenchError` with code, place and stack; KernelError ENGINE_GONE if it ends
   * first
   */
  call<Method extends EngineMethod>(
    method: Method,
    params: CallParams<Method>,
    listeners?: CallListeners,
  ): Promise<unknown>;
  /** Leaves the engine; its jobs go on. */
  close(): void;
}

interface Open extends CallListeners {
  resolve: (value: unknown) => void;
  reject: (error: WorkbenchError) => void;
}

/**
 * Greets an engine at the other end of a channel.
 *
 * @param onJobs the queue, at once and after every change
 * @param onGone when the engine can no longer be reached, unless it was left
 * @throws KernelError ENGINE_PROTOCOL if it speaks another version; ENGINE_GONE if it ends first
 */
export function connectEngine(
  channel: Channel,
  onJobs: (jobs: readonly QueuedJob[]) => void = () => undefined,
  onGone: (error: WorkbenchError) => void = () => undefined,
): Promise<RemoteEngine> {
  const open = new Map<number, Open>();
  let lastId = 0;
  let ended: WorkbenchError | null = null;

  return new Promise((resolve, reject) => {
    function end(error: WorkbenchError): void {
      if (ended !== null) return;
      ended = error;
      reject(error);
      for (const call of open.values()) call.reject(error);
      open.clear();
      onGone(error);
    }

    function handle(answer: EngineAnswer): void {
      switch (answer.type) {
        case 'welcome':
          resolve({ version: answer.version, call, close });
          return;
        case 'jobs':
          onJobs(answer.jobs);
          return;
        case 'queued':
          open.get(answer.id)?.onQueued?.(answer.job);
          return;
        case 'event':
          open.get(answer.id)?.onEvent?.(answer.event);
          return;
        case 'result':
          take(answer.id)?.resolve(answer.value);
          return;
        case 'error': {
          const error = deserializeError(answer.error);
          if (answer.id === null) end(error);
          else take(answer.id)?.reject(error);
        }
      }
    }

    function take(id: number): Open | undefined {
      const call = open.get(id);
      open.delete(id);
      return call;
    }

    const call: RemoteEngine['call'] = (method, params, listeners = {}) => {
      if (ended !== null) return Promise.reject(ended);
      const id = ++lastId;
      const stop = () => channel.send({ type: 'stop', id });
      const { signal } = listeners;
      const answer = new Promise<unknown>((settle, fail) => {
        open.set(id, { ...listeners, resolve: settle, reject: fail });
      });
      channel.send({ type: 'call', id, method, params });
      if (signal?.aborted === true) stop();
      signal?.addEventListener('abort', stop, { once: true });
      return answer.finally(() => signal?.removeEventListener('abort', stop));
    };

    function close(): void {
      channel.close();
      onGone = () => undefined;
      end(gone('was left'));
    }

    channel.listen(
      (message) => {
        const answer = engineAnswerSchema.safeParse(message);
        if (answer.success) handle(answer.data as EngineAnswer);
        else end(badMessage('The engine said something that is not of the protocol.', answer.error));
      },
      (error) => end(error ?? gone('has ended')),
    );
    channel.send({ type: 'hello', protocol: PROTOCOL_VERSION });
  });
}

function gone(how: string): KernelError {
  return new KernelError({
    code: 'ENGINE_GONE',
    what: `The engine ${how} before it answered.`,
    whatToDo: 'Start it again; what its runs had finished is kept.',
    retryable: true,
  });
}
