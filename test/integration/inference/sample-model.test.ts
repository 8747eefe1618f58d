import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import type { Decoder } from '../../../core/forward/decoder.ts';
import { parseModelConfig } from '../../../core/model/model-config.ts';
import { openModel } from '../../../core/model/open-model.ts';
import { nodeFileAccess } from '../../../workers/engine/node-file-access.ts';
import { openForwardPass } from '../../../workers/inference/open-forward-pass.ts';
import { openWeightSource } from '../../../workers/inference/open-weight-source.ts';
import { kernels } from '../native-kernels/kernels-fixture.ts';

const MODEL = 'examples/models/docs-llama-7m';
const GENEROUS_BYTES = 8 * 2 ** 30;

interface Reference {
  prompts: { what: string; ids: number[]; top20: [number, number][]; last_logits?: number[] }[];
}
const reference = JSON.parse(readFileSync(`${MODEL}/reference.json`, 'utf8')) as Reference;

const opened: Decoder[] = [];
afterAll(async () => {
  for (const decoder of opened) await decoder.close();
});

async function openSample({ threads = 1, memoryLimitBytes = GENEROUS_BYTES } = {}): Promise<Decoder> {
  const model = await openModel(MODEL, nodeFileAccess);
  const weights = await openWeightSource(model, kernels, () => ({ threads }));
  const { config } = parseModelConfig(readFileSync(`${MODEL}/config.json`), 'config.json');
  const decoder = await openForwardPass({ config, weights, threads, memoryLimitBytes });
  opened.push(decoder);
  return decoder;
}

const { signal } = new AbortController();

describe('the sample model', () => {
  test.each(reference.prompts)('gives the logits that PyTorch gives: $what', async ({ ids, top20, last_logits }) => {
    const decoder = await openSample();
    const hidden = await decoder.hiddenStates([Int32Array.from(ids)], signal);
    const logits = await decoder.logits(hidden.subarray(hidden.length - decoder.hiddenSize), 1, signal);
    const largest = Math.max(...top20.map(([, logit]) => Math.abs(logit)));
    const expected = last_logits === undefined ? top20 : last_logits.map((logit, id) => [id, logit] as const);
    for (const [id, logit] of expected) expect(Math.abs(logits[id]! - logit)).toBeLessThanOrEqual(2e-4 * largest);
  });
});
