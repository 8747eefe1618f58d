/** What a worker thread runs: one scorer, opened, asked and closed by calls. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Sequence } from '../../core/evaluation/score-sequences.ts';
import { KernelError } from '../../core/errors.ts';
import { loadKernels } from '../../native-kernels/index.ts';
import { openScorer } from './open-scorer.ts';
import type { MemoryRequest, Scorer, ScorerOptions } from './scorer.ts';
import { serveCalls } from './serve-calls.ts';

/** Given to the thread when it starts. */
export interface InferenceWorkerData {
  /** The built `lathe-kernels.node`. */
  kernelsPath: string;
}

function serveScorer({ kernelsPath }: InferenceWorkerData): void {
  let scorer: Scorer | null = null;
  function opened(): Scorer {
    if (scorer !== null) return scorer;
    const what = 'A scorer was asked before it was open.';
    throw new KernelError({ code: 'BUG_UNEXPECTED', what, whatToDo: 'This is a fault in Lathe: please report it.' });
  }
  if (parentPort === null) return;
  serveCalls(parentPort, {
    async open(options: ScorerOptions) {
      scorer = await openScorer(options, loadKernels(kernelsPath));
      return scorer.facts;
    },
    reserve: (request: MemoryRequest) => opened().reserve(request),
    batchSize: (length: number) => opened().batchSize(length),
    score: (sequences: Sequence[], signal) => opened().score(sequences, signal),
    close: () => opened().close(),
  });
}

serveScorer(workerData as InferenceWorkerData);
