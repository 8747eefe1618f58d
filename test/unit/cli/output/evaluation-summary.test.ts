import { expect, test } from 'vitest';
import { summarizeEvaluation, summarizeEvaluationPlan } from '../../../../cli/output/evaluation-summary.ts';
import type { EvaluateResult } from '../../../../core/contract/evaluation-result.ts';
import { EVALUATED, EVALUATION_PLAN } from '../../../helpers/fake-engine.ts';

test('a text has a row with its likelihood, and what the reference adds', () => {
  expect(summarizeEvaluation(EVALUATED)).toEqual([
    'text      windows  predictions    nats per token  perplexity  reference    ratio  KL, nats per token    median      p99  same first choice',
    'docs.txt       10        2,550  3.630799 ± 0.019     37.7430    36.5982  1.03128   0.00717 ± 0.00012  0.000432  0.08120            94.12 %',
    '',
    'Model        models/small',
    'Reference    models/large',
    'Windows      of 256 tokens, each scored from its 2nd to its last',
    'Run          run-2',
    'Time         2.5 s (processor 3.5 s), 1,280 tokens/s',
    'Peak memory  300.0 MiB of 400.0 MiB at most (limit 6.00 GiB)',
  ]);
});

test('without a reference nothing is compared', () => {
  const [only] = EVALUATED.texts;
  const { klDivergence: _, referencePerplexity: _2, perplexityRatio: _3, top1Agreement: _4, ...text } = only!;
  const lines = summarizeEvaluation({
    ...EVALUATED,
    reference: null,
    texts: [text, { ...text, text: 'b.txt', tokensPerSecond: 2560 }],
  });
  expect(lines).toContain('Time         2.5 s (processor 3.5 s), 1,280 to 2,560 tokens/s');
  expect(lines.slice(0, 4)).toEqual([
    'text      windows  predictions    nats per token  perplexity',
    'docs.txt       10        2,550  3.630799 ± 0.019     37.7430',
    'b.txt          10        2,550  3.630799 ± 0.019     37.7430',
    '',
  ]);
});

test('choices, noise floor, beginning, tokens file and resume are told where they are', () => {
  const [text] = EVALUATED.texts;
  const result: EvaluateResult = {
    ...EVALUATED,
    addsBos: true,
    resumed: true,
    tokensFile: '/out/tokens',
    texts: [{ ...text!, noiseFloor: { ...text!.klDivergence!, seed: 1 } }],
    choices: { file: 'q.jsonl', questions: 100, accuracy: 0.25, accuracyNormalized: 0.5, referenceAccuracy: 0.75 },
  };
  const lines = summarizeEvaluation(result).join('\n');
  expect(lines).toContain('a beginning token in front of the first');
  expect(lines).toContain('Noise floor  KL 0.00717, p99 0.08120 (docs.txt)');
  expect(lines).toContain('Questions    100 (q.jsonl)');
  expect(lines).toContain('Right        25.00 %, by length 50.00 %; the reference 75.00 %');
  expect(lines).toContain('Run          run-2, resumed');
  expect(lines).toContain('Tokens       /out/tokens');
});

test('names cannot move the cursor', () => {
  const lines = summarizeEvaluation({ ...EVALUATED, model: 'a\u001b[2Jb' });
  expect(lines.join('\n')).not.toContain('\u001b');
});

test('a dry run tells windows, predictions and memory, and no figure', () => {
  expect(summarizeEvaluationPlan(EVALUATION_PLAN)).toEqual([
    'A dry run: no token was run and nothing was written.',
    '',
    'text      tokens  windows  predictions  dropped at the end',
    'docs.txt   2,600       10        2,550                  40',
    '',
    'Model        models/small',
    'Reference    models/large',
    'Windows      of 256 tokens, each scored from its 2nd to its last',
    'Peak memory  400.0 MiB at most (limit 6.00 GiB)',
    'At least     350.0 MiB, weights read again and again',
  ]);
  const choices = { file: 'q.jsonl', questions: 1000, tokens: 65_000 };
  const lines = summarizeEvaluationPlan({ ...EVALUATION_PLAN, texts: [], choices, tokensFile: '/out/tokens' });
  expect(lines).not.toContainEqual(expect.stringContaining('Windows'));
  expect(lines).toContain('Questions    1,000, 65,000 tokens with each of their choices (q.jsonl)');
  expect(lines).toContain('Tokens       /out/tokens');
});
