import { largerMemory, shareMemory } from '../../core/evaluation/evaluation-memory.ts';
import { MAX_LOGITS_BYTES, scoreSequences } from '../../core/evaluation/score-sequences.ts';
import { KernelError, ModelError } from '../../core/errors.ts';
import { Decoder } from '../../core/forward/decoder.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import type { DecoderDescription } from '../../core/model/architectures/decoder-description.ts';
import { quoted } from '../../core/quoted.ts';
import { withModelNamed } from '../engine/name-model.ts';
import { openReadyModel } from './open-ready-model.ts';
import type { Scorer, ScorerOptions } from './scorer.ts';

/**
 * Opens a scorer in this thread, which its runs then hold: call it from a worker thread.
 *
 * Models are opened and checked; their weights are read once something is scored.
 * @throws as `openModel` and `openForwardPass`; ModelError EVALUATE_REFERENCE_DIFFERS for another vocabulary
 */
export async function openScorer(options: ScorerOptions, kernels: Kernels): Promise<Scorer> {
  const { threads } = options;
  const openNamed = (path: string, seed: number | null) =>
    withModelNamed(path, () => openReadyModel(path, seed, kernels, threads));
  const model = await openNamed(options.model, options.noiseSeed);
  const reference = options.reference === null ? null : await openNamed(options.reference, null);
  if (reference !== null) checkVocabularies(options, model.description, reference.description);
  const ready = reference === null ? [model] : [model, reference];
  let passes: Decoder[] = [];
  return {
    facts: { vocabularySize: model.description.vocabularySize, positions: model.positions },
    reserve(request) {
      const descriptions = ready.map(({ description }) => description);
      const { shares, memory } = shareMemory(descriptions, request);
      passes = ready.map((parts, index) => {
        return new Decoder({ ...parts, kernels, threads, memoryLimitBytes: shares[index] ?? 0 });
      });
      if (!request.hasNoise || reference === null) return Promise.resolve(memory);
      const ofNoise = shareMemory([reference.description, reference.description], request).memory;
      return Promise.resolve(largerMemory(memory, ofNoise));
    },
    batchSize: (length) => Promise.resolve(Math.min(...passes.map((pass) => pass.batchSize(length)))),
    score(sequences, signal) {
      const [pass, ofReference = null] = passes;
      if (pass === undefined) throw notReserved();
      const parts = { model: pass, reference: ofReference, kernels, threads, maxLogitsBytes: MAX_LOGITS_BYTES };
      return scoreSequences(sequences, parts, signal);
    },
    async close() {
      for (const pass of passes) await pass.close();
    },
  };
}

function notReserved(): KernelError {
  const what = 'A scorer was asked before its memory was shared out.';
  return new KernelError({ code: 'BUG_UNEXPECTED', what, whatToDo: 'This is a fault in Lathe: please report it.' });
}

function checkVocabularies(
  { model, reference }: ScorerOptions,
  { vocabularySize }: DecoderDescription,
  wanted: DecoderDescription,
): void {
  if (vocabularySize === wanted.vocabularySize) return;
  throw new ModelError({
    code: 'EVALUATE_REFERENCE_DIFFERS',
    what: `The reference ${quoted(reference ?? '')} has a vocabulary of ${wanted.vocabularySize} tokens, ${quoted(model)} one of ${vocabularySize}.`,
    where: { file: reference ?? undefined },
    whatToDo: 'Name the model that this one was made from.',
  });
}
