import type { InferenceRuntime, RuntimeSession } from './inference-runtime.ts';

/** One session for every different graph: blocks of equal outline share theirs. */
export class SessionCache {
  readonly #runtime: InferenceRuntime;
  readonly #sessions = new Map<string, Promise<RuntimeSession>>();
  /** The text of a model's bytes is a map's key; each model is turned into one once. */
  readonly #keys = new WeakMap<Uint8Array, string>();

  constructor(runtime: InferenceRuntime) {
    this.#runtime = runtime;
  }

  open(model: Uint8Array): Promise<RuntimeSession> {
    let key = this.#keys.get(model);
    if (key === undefined) {
      key = Array.from(model, (byte) => String.fromCharCode(byte)).join('');
      this.#keys.set(model, key);
    }
    let session = this.#sessions.get(key);
    if (session === undefined) {
      session = this.#runtime.open(model);
      this.#sessions.set(key, session);
    }
    return session;
  }

  async close(): Promise<void> {
    const sessions = await Promise.all(this.#sessions.values());
    this.#sessions.clear();
    for (const session of sessions) await session.close();
  }
}
