import type { EvaluationMemory } from '../../core/contract/evaluation-result.ts';
import type { VocabularyScores } from '../../core/kernels/kernels.ts';
import type { OpenScorer, ScorerFacts } from './scorer.ts';
import { startWorkerThread } from './worker-thread.ts';

/** Opens scorers in worker threads: what they run never holds the caller's thread. */
export function threadScorers(workerPath: string, data: { kernelsPath: string }): OpenScorer {
  return async (options, signal) => {
    const thread = startWorkerThread(workerPath, { ...data, serves: 'scorer' });
    try {
      const facts = await thread.call<ScorerFacts>('open', options, signal);
      return {
        facts,
        reserve: (request) => thread.call<EvaluationMemory>('reserve', request),
        batchSize: (length) => thread.call<number>('batchSize', length),
        score(sequences, signal) {
          // A view would take the whole text along.
          const copies = sequences.map(({ ids, from, to }) => ({ ids: ids.slice(), from, to }));
          return thread.call<VocabularyScores>('score', copies, signal);
        },
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
