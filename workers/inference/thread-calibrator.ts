import type { CalibratorFacts, CalibratorMemory, MeasuredInput, OpenCalibrator } from './calibrator.ts';
import { startWorkerThread } from './worker-thread.ts';

/** Opens calibrators in worker threads: what they run never holds the caller's thread. */
export function threadCalibrators(workerPath: string, data: { kernelsPath: string }): OpenCalibrator {
  return async (options) => {
    const thread = startWorkerThread(workerPath, { ...data, serves: 'calibrator' });
    try {
      const facts = await thread.call<CalibratorFacts>('open', options);
      return {
        facts,
        reserve: (request) => thread.call<CalibratorMemory>('reserve', request),
        begin: (windows, signal) =>
          // A view would take the whole text along.
          thread.call<undefined>(
            'begin',
            windows.map((window) => window.slice()),
            signal,
          ),
        advance: (step, signal) => thread.call<MeasuredInput[]>('advance', step, signal),
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
