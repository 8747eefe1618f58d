import { largerMemory, shareMemory } from '../../core/evaluation/evaluation-memory.ts';
import { MAX_LOGITS_BYTES, scoreSequences } from '../../core/evaluation/score-sequences.ts';
import { KernelError, ModelError } from '../../core/errors.ts';
import { Decoder } from '../../core/forward/decoder.ts';
import type { InferenceRuntime } from '../../core/forward/inference-runtime.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import type { DecoderDescription } from '../../core/model/architectures/decoder-description.ts';
import type { JsonObject } from '../../core/model/model-config.ts';
import { openModel } from '../../core/model/open-model.ts';
import type { WeightSource } from '../../core/model/weight-source.ts';
import { quoted } from '../../core/quoted.ts';
import { readLatheFile } from '../engine/lathe-json.ts';
import { withModelNamed } from '../engine/name-model.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { NoisyWeights } from './noisy-weights.ts';
import { openOnnxRuntime } from './onnx-runtime.ts';
import { describeWeights } from './open-forward-pass.ts';
import { openWeightSource } from './open-weight-source.ts';
import type { Scorer, ScorerFacts, ScorerOptions } from './scorer.ts';

/** A model whose config and tensors fit each other. */
interface ReadyModel {
  description: DecoderDescription;
  weights: WeightSource;
  runtime: InferenceRuntime;
  positions: ScorerFacts['positions'];
}

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

async function openReadyModel(
  path: string,
  noiseSeed: number | null,
  kernels: Kernels,
  threads: number,
): Promise<ReadyModel> {
  const { weights: stored, config } = await openWeights(path, kernels, threads);
  const weights = noiseSeed === null ? stored : new NoisyWeights(stored, noiseSeed);
  const description = describeWeights(config, weights);
  const runtime = await openOnnxRuntime({ threads });
  return { description, weights, runtime, positions: positionsOf(config, description) };
}

function notReserved(): KernelError {
  const what = 'A scorer was asked before its memory was shared out.';
  return new KernelError({ code: 'BUG_UNEXPECTED', what, whatToDo: 'This is a fault in Lathe: please report it.' });
}

async function openWeights(path: string, kernels: Kernels, threads: number) {
  const model = await openModel(path, nodeFileAccess);
  const lathe = model.kind === 'dfloat11' && model.openedAs === 'folder' ? await readLatheFile(model.root) : null;
  const shapes = new Map((lathe?.tensors ?? []).map(({ name, shape }) => [name, shape]));
  const weights = await openWeightSource(model, kernels, () => ({ threads }), shapes);
  return { weights, config: model.config };
}

/** Learned positions are a limit; others are what the config says that the model was made for. */
function positionsOf(config: JsonObject | null, { embedding }: DecoderDescription): ScorerFacts['positions'] {
  if (embedding.positions !== null) return { count: embedding.positions.count, isLimit: true };
  const count = config?.['max_position_embeddings'];
  return typeof count === 'number' ? { count, isLimit: false } : null;
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
