/** A file of llama.cpp's quantizer, evaluated straight from its blocks, beside PyTorch on the weights that gguf-py decodes. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { EvaluateResult } from '../../../core/contract/evaluation-result.ts';
import { runLathe } from '../../helpers/run-lathe.ts';
import { SAMPLE_MODEL } from '../../helpers/sample-gguf.ts';

const GOLDEN = new URL('../../golden/gguf/', import.meta.url);
const DOCS = fileURLToPath(new URL('../../../examples/texts/docs.test.txt', import.meta.url));

interface Expected {
  fileBytes: number;
  tensorBytes: number;
  bitsPerWeight: number;
  first128Windows: {
    meanNegativeLogLikelihood: number;
    klMean: number;
    klMedian: number;
    top1Agreement: number;
    predictions: number;
  };
}
const { files } = JSON.parse(readFileSync(new URL('quantized-models.json', GOLDEN), 'utf8')) as {
  files: Record<string, Expected>;
};

test.each(Object.entries(files))(
  '%s has the likelihood and the divergence that PyTorch finds',
  async (name, golden) => {
    const path = fileURLToPath(new URL(name, GOLDEN));
    expect(readFileSync(path)).toHaveLength(golden.fileBytes);
    const limits = ['--context', '256', '--limit-tokens', String(128 * 256)];
    const run = await runLathe(['evaluate', path, '--text', DOCS, '--reference', SAMPLE_MODEL, ...limits, '--json']);
    expect(run.code, run.stderr).toBe(0);
    const result = run.json<EvaluateResult>();
    const expected = golden.first128Windows;
    expect(result.predictions).toBe(expected.predictions);
    expect(Math.abs(result.meanNegativeLogLikelihood! - expected.meanNegativeLogLikelihood)).toBeLessThanOrEqual(5e-5);
    expect(Math.abs(result.klDivergence!.mean / expected.klMean - 1)).toBeLessThanOrEqual(2e-3);
    expect(Math.abs(result.klDivergence!.median / expected.klMedian - 1)).toBeLessThanOrEqual(2e-3);
    // One argmax of a near tie may fall the other way.
    expect(Math.abs(result.top1Agreement! - expected.top1Agreement) * expected.predictions).toBeLessThanOrEqual(2);
  },
);

test.each(Object.entries(files))('%s is as large as its quantizer says', async (name, golden) => {
  const run = await runLathe(['inspect', fileURLToPath(new URL(name, GOLDEN)), '--json']);
  expect(run.json()).toMatchObject({ storedBytes: golden.tensorBytes, bitsPerWeight: golden.bitsPerWeight });
});
