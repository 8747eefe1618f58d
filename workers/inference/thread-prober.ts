import type { CalibratorMemory } from './calibrator.ts';
import type { OpenProber } from './prober.ts';
import type { ScorerFacts } from './scorer.ts';
import { startWorkerThread } from './worker-thread.ts';

/** Opens probers in worker threads: what they run never holds the caller's thread. */
export function threadProbers(workerPath: string, data: { kernelsPath: string }): OpenProber {
  return async (options) => {
    const thread = startWorkerThread(workerPath, { ...data, serves: 'prober' });
    try {
      const facts = await thread.call<ScorerFacts>('open', options);
      return {
        facts,
        reserve: (request) => thread.call<CalibratorMemory>('reserve', request),
        begin: (windows, signal) => {
          // A view would take the whole text along.
          const copies = windows.map((window) => window.slice());
          return thread.call<undefined>('begin', copies, signal);
        },
        probe: (probe, signal) => thread.call<number>('probe', probe, signal),
        async close() {
          await thread.call('close', null);
          await thread.close();
        },
      };
    } catch (error) {
      await thread.close();
      throw error;
    }
  };
}
