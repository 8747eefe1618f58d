import { scoreSequences, type ScoringParts } from '../../core/evaluation/score-sequences.ts';
import type { ForwardPass } from '../../core/forward/forward-pass.ts';
import type { Kernels } from '../../core/kernels/kernels.ts';
import { describeDecoder } from '../../core/model/architectures/describe-decoder.ts';
import { openModel } from '../../core/model/open-model.ts';
import type { WeightSource } from '../../core/model/weight-source.ts';
import { readLatheFile } from '../engine/lathe-json.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';
import { NoisyWeights } from './noisy-weights.ts';
import { openForwardPass } from './open-forward-pass.ts';
import { openWeightSource } from './open-weight-source.ts';
import type { Scorer, ScorerFacts, ScorerOptions } from './scorer.ts';
import { ModelError } from '../../core/errors.ts';
import { quoted } from '../../core/quoted.ts';

/** What a process has before it opens a model; each forward pass leaves that much of its limit alone. */
const PROCESS_BYTES = 256 << 20;
/** Of the memory, the part that both models' logits may take. */
const LOGITS_SHARE = 1 / 8;

/**
 * Opens a scorer in this thread, which its runs then hold: call it from a worker thread.
 *
 * @throws as `openModel` and `openForwardPass`; ModelError EVALUATE_REFERENCE_DIFFERS for another vocabulary
 */
export async function openScorer(options: ScorerOptions, kernels: Kernels): Promise<Scorer> {
  const { threads, memoryBytes, noiseSeed } = options;
  const passes = options.reference === null ? 1 : 2;
  const memoryLimitBytes = PROCESS_BYTES + (memoryBytes - PROCESS_BYTES) / passes;
  const opened: ForwardPass[] = [];
  async function close(): Promise<void> {
    for (const pass of opened) await pass.close();
  }
  async function open(path: string, seed: number | null) {
    const { weights, config } = await openWeights(path, kernels, threads);
    const given = seed === null ? weights : new NoisyWeights(weights, seed);
    const pass = await openForwardPass({ config, weights: given, threads, memoryLimitBytes });
    opened.push(pass);
    return { pass, positions: positionsOf(config, weights.names) };
  }
  try {
    const { pass: model, positions } = await open(options.model, noiseSeed);
    const reference = options.reference === null ? null : (await open(options.reference, null)).pass;
    if (reference !== null) checkVocabularies(options, model, reference);
    const parts: ScoringParts = { model, reference, kernels, threads, maxLogitsBytes: memoryBytes * LOGITS_SHARE };
    return {
      facts: { vocabularySize: model.vocabularySize, positions },
      batchSize: (length) => {
        const sizes = opened.map((pass) => pass.batchSize(length));
        return Promise.resolve(Math.min(...sizes));
      },
      score: (sequences, signal) => scoreSequences(sequences, parts, signal),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openWeights(path: string, kernels: Kernels, threads: number) {
  const model = await openModel(path, nodeFileAccess);
  const lathe = model.kind === 'dfloat11' && model.openedAs === 'folder' ? await readLatheFile(model.root) : null;
  const shapes = new Map((lathe?.tensors ?? []).map(({ name, shape }) => [name, shape]));
  const weights = await openWeightSource(model, kernels, () => ({ threads }), shapes);
  return { weights, config: model.config };
}

/** Learned positions are a limit; others are what the config says that the model was made for. */
function positionsOf(
  config: Parameters<typeof describeDecoder>[0],
  names: WeightSource['names'],
): ScorerFacts['positions'] {
  const learned = describeDecoder(config, names).embedding.positions;
  if (learned !== null) return { count: learned.count, isLimit: true };
  const count = config?.['max_position_embeddings'];
  return typeof count === 'number' ? { count, isLimit: false } : null;
}

function checkVocabularies({ model, reference }: ScorerOptions, pass: ForwardPass, wanted: ForwardPass): void {
  if (pass.vocabularySize === wanted.vocabularySize) return;
  throw new ModelError({
    code: 'EVALUATE_REFERENCE_DIFFERS',
    what: `The reference ${quoted(reference ?? '')} has a vocabulary of ${wanted.vocabularySize} tokens, ${quoted(model)} one of ${pass.vocabularySize}.`,
    where: { file: reference ?? undefined },
    whatToDo: 'Name the model that this one was made from.',
  });
}
