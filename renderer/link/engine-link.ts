import type { EngineAnswer, QueuedJob } from '../../core/contract/engine-protocol.ts';
import type { JobEvent } from '../../core/contract/progress.ts';
import { deserializeError, WorkbenchError } from '../../core/errors.ts';
import type { EngineCalls, EngineMethodName } from './engine-call-types.ts';
import type { OpenTransport, Transport } from './transport.ts';

const PROTOCOL_VERSION = 1;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8000;

/** `lost`: it was there, and another try is made by itself. `refused`: it ended the talk, and no try is made. */
export type LinkState = 'connecting' | 'open' | 'lost' | 'refused';

export interface LinkListener {
  onState: (state: LinkState, detail: { version: string | null; error: WorkbenchError | null }) => void;
  onJobs: (jobs: QueuedJob[]) => void;
}

export interface CallOptions {
  onEvent?: (event: JobEvent) => void;
  /** The call is a job of the queue, under this name. */
  onQueued?: (job: string) => void;
}

interface OpenCall extends CallOptions {
  resolve: (value: unknown) => void;
  reject: (error: WorkbenchError) => void;
}

/** One talk with an engine: numbers its calls, hands out its answers, and comes back after a break. */
export class EngineLink {
  readonly #open: OpenTransport;
  readonly #listener: LinkListener;
  readonly #calls = new Map<number, OpenCall>();
  #waiting: (() => void)[] = [];
  #transport: Transport | null = null;
  #isWelcome = false;
  #wasOpen = false;
  #lastCall = 0;
  #retryMs = FIRST_RETRY_MS;
  #refusal: WorkbenchError | null = null;

  constructor(open: OpenTransport, listener: LinkListener) {
    this.#open = open;
    this.#listener = listener;
  }

  connect(): void {
    this.#refusal = null;
    const transport: Transport = this.#open({
      onOpen: () => transport.send({ type: 'hello', protocol: PROTOCOL_VERSION }),
      onMessage: (message) => this.#take(message as EngineAnswer),
      onClose: () => this.#lose(),
    });
    this.#transport = transport;
  }

  /** Waits for the engine where it is not there yet. */
  async call<Method extends EngineMethodName>(
    method: Method,
    params: EngineCalls[Method]['params'],
    options: CallOptions = {},
  ): Promise<EngineCalls[Method]['result']> {
    if (!this.#isWelcome) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const id = ++this.#lastCall;
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#calls.set(id, { ...options, resolve, reject });
      this.#transport?.send({ type: 'call', id, method, params });
    });
    return (await answer) as EngineCalls[Method]['result'];
  }

  #take(answer: EngineAnswer): void {
    if (answer.type === 'welcome') {
      this.#isWelcome = true;
      this.#retryMs = FIRST_RETRY_MS;
      this.#listener.onState('open', { version: answer.version, error: null });
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const go of waiting) go();
      return;
    }
    if (answer.type === 'jobs') {
      this.#listener.onJobs(answer.jobs);
      return;
    }
    if (answer.type === 'error' && answer.id === null) {
      this.#refusal = deserializeError(answer.error);
      return;
    }
    if (answer.id === null) return;
    const call = this.#calls.get(answer.id);
    if (!call) return;
    if (answer.type === 'queued') call.onQueued?.(answer.job);
    else if (answer.type === 'event') call.onEvent?.(answer.event);
    else {
      this.#calls.delete(answer.id);
      if (answer.type === 'result') call.resolve(answer.value);
      else call.reject(deserializeError(answer.error));
    }
  }

  #lose(): void {
    this.#wasOpen ||= this.#isWelcome;
    this.#isWelcome = false;
    this.#transport = null;
    for (const { reject } of this.#calls.values()) reject(goneError());
    this.#calls.clear();
    if (this.#refusal !== null) {
      this.#listener.onState('refused', { version: null, error: this.#refusal });
      return;
    }
    this.#listener.onState(this.#wasOpen ? 'lost' : 'connecting', { version: null, error: null });
    setTimeout(() => this.connect(), this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, LAST_RETRY_MS);
  }
}

function goneError(): WorkbenchError {
  return new WorkbenchError({
    code: 'ENGINE_GONE',
    what: 'The engine went away before it answered.',
    whatToDo: 'Wait until it is back, then try again; a run that was interrupted can be resumed in Runs.',
    retryable: true,
  });
}
