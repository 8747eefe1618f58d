import { firstFault, isQueuedMethod } from '../../core/contract/engine-calls.ts';
import {
  engineRequestSchema,
  PROTOCOL_VERSION,
  type EngineAnswer,
  type EngineRequest,
  type QueuedJob,
} from '../../core/contract/engine-protocol.ts';
import { KernelError, serializeError, WorkbenchError } from '../../core/errors.ts';
import { JobQueue } from '../../core/scheduling/job-queue.ts';
import type { ResourcePool } from '../../core/scheduling/resource-pool.ts';
import type { Engine } from '../engine/index.ts';
import type { JobOptions } from '../engine/job-options.ts';
import { badMessage, type Channel } from './channel.ts';
import { answerDirectly, readyCall } from './engine-dispatch.ts';
import type { Desk } from './open-desk.ts';

export interface ServedEngine {
  engine: Engine;
  desk: Desk;
  /** Threads and memory of all jobs together. */
  pool: ResourcePool;
  memoryLimitBytes: number | null;
  /** Jobs at once. */
  concurrency: number;
  version: string;
}

/** One driver of an engine. */
interface Driver {
  tell: (answer: EngineAnswer) => void;
  /** How each of its open calls is stopped. */
  stops: Map<number, () => void>;
  /** Calls that nobody else hears of: they stop when the driver leaves. */
  direct: Set<AbortController>;
}

/**
 * Answers the messages of those who drive an engine. Jobs belong to the engine: they go on when the driver that asked for
 * them leaves, and all drivers see them.
 */
export class EngineServer {
  readonly #served: ServedEngine;
  readonly #queue: JobQueue;
  readonly #drivers = new Set<Driver>();
  readonly #calls = new Set<Promise<void>>();
  #lastJob = 0;
  #isClosing = false;
  #onInterrupted: (error: WorkbenchError) => void = () => undefined;

  constructor(served: ServedEngine) {
    this.#served = served;
    this.#queue = new JobQueue(served.concurrency, () => {
      served.pool.reconsider();
      const jobs = this.#jobs();
      for (const { tell } of this.#drivers) tell({ type: 'jobs', jobs });
    });
  }

  /** @param onClose called once, when this driver is gone */
  connect(channel: Channel, onClose: () => void = () => undefined): void {
    const driver: Driver = { tell: (answer) => channel.send(answer), stops: new Map(), direct: new Set() };
    let isOpen = true;
    const leave = () => {
      if (!isOpen) return;
      isOpen = false;
      this.#drivers.delete(driver);
      for (const controller of driver.direct) controller.abort();
      onClose();
    };
    const refuse = (what: string) => {
      driver.tell({ type: 'error', id: null, error: serializeError(badMessage(what)) });
      channel.close();
      leave();
    };
    channel.listen((message) => {
      if (!isOpen) return;
      const request = engineRequestSchema.safeParse(message);
      const fault = request.success
        ? this.#handle(request.data, driver)
        : `A message is not one of the protocol: ${firstFault(request.error)}.`;
      if (fault !== null) refuse(fault);
    }, leave);
  }

  /**
   * Stops all jobs, and returns once they have noted what they leave for a resume.
   *
   * @returns how those ended that can be gone on with
   */
  async close(): Promise<WorkbenchError[]> {
    this.#isClosing = true;
    for (const { id } of this.#queue.list()) this.#queue.cancel(id);
    for (const { direct } of this.#drivers) for (const controller of direct) controller.abort();
    const interrupted: WorkbenchError[] = [];
    this.#onInterrupted = (error) => interrupted.push(error);
    await Promise.all(this.#calls);
    return interrupted;
  }

  /** What is wrong with a request in its place; null if nothing is. */
  #handle(request: EngineRequest, driver: Driver): string | null {
    const { tell, stops } = driver;
    if (request.type === 'hello') {
      if (request.protocol !== PROTOCOL_VERSION) {
        return `This engine speaks version ${PROTOCOL_VERSION} of the protocol, and was greeted in ${request.protocol}.`;
      }
      tell({ type: 'welcome', protocol: PROTOCOL_VERSION, version: this.#served.version });
      tell({ type: 'jobs', jobs: this.#jobs() });
      this.#drivers.add(driver);
      return null;
    }
    if (!this.#drivers.has(driver)) return `The first message is "${request.type}", expected "hello".`;
    if (request.type === 'stop') {
      stops.get(request.id)?.();
      return null;
    }
    const { id } = request;
    if (stops.has(id)) return `The call ${id} was made twice.`;
    const call = this.#call(request, driver)
      .then((value) => tell({ type: 'result', id, value: value ?? null }))
      .catch((error: unknown) => {
        if (error instanceof WorkbenchError && error.code === 'JOB_INTERRUPTED') this.#onInterrupted(error);
        tell({ type: 'error', id, error: serializeError(error) });
      })
      .finally(() => {
        stops.delete(id);
        this.#calls.delete(call);
      });
    this.#calls.add(call);
    return null;
  }

  async #call(request: EngineRequest & { type: 'call' }, { tell, stops, direct }: Driver): Promise<unknown> {
    if (this.#isClosing) throw ending();
    const { id, method, params } = request;
    const { engine, desk, pool, memoryLimitBytes } = this.#served;
    const onEvent: JobOptions['onEvent'] = (event) => tell({ type: 'event', id, event });
    const most = pool.limits.threads;
    if (!isQueuedMethod(method)) {
      const controller = new AbortController();
      stops.set(id, () => controller.abort());
      direct.add(controller);
      const job = { threads: most, memoryLimitBytes, signal: controller.signal, onEvent };
      try {
        return await answerDirectly({ engine, desk, queue: this.#queue }, method, params, job);
      } finally {
        direct.delete(controller);
      }
    }
    const job = `job-${++this.#lastJob}`;
    stops.set(id, () => this.#queue.cancel(job));
    const { label, priority, threads, start } = readyCall(engine, method, params);
    tell({ type: 'queued', id, job });
    return this.#queue.add({
      id: job,
      label,
      priority,
      start: (control) =>
        start({
          threads: Math.min(threads ?? most, most),
          memoryLimitBytes,
          signal: control.signal,
          onEvent,
          scheduling: { pool, control },
        }),
    });
  }

  #jobs(): QueuedJob[] {
    return this.#queue.list().map(({ error, ...job }) => {
      return { ...job, error: error === null ? null : serializeError(error) };
    });
  }
}

function ending(): KernelError {
  return new KernelError({
    code: 'ENGINE_GONE',
    what: 'The engine is ending: it takes no more calls.',
    whatToDo: 'Start it again; what its runs had finished is kept.',
    retryable: true,
  });
}
