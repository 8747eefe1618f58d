import { describe, expect, it } from 'vitest';
import { parseRecipe } from '../../../core/contract/parse-recipe.ts';
import type { RunSummary } from '../../../core/contract/runs-result.ts';
import { comparedCsv, frontIds, sortPoints } from '../../../renderer/model/compared-columns.ts';
import { comparePoints, protocolsOf, runsToShow, unmeasuredRuns } from '../../../renderer/model/compare-points.ts';

const USED = { seconds: 1, cpuSeconds: 1, peakRssBytes: 1 };
const Q4 = parseRecipe('lathe: 1\nname: q4\nsteps: [{ step: quantize, format: q4_k_m }]\n', 'r');
const LOSSLESS = parseRecipe('lathe: 1\nsteps: [{ step: encode, codec: split-plane }]\n', 'r');

function run(runId: string, minute: number, parts: Partial<RunSummary>): RunSummary {
  return {
    runId,
    command: 'compress',
    model: '/m',
    output: null,
    state: 'done',
    resumable: false,
    startedAt: `2026-01-02T15:0${minute}:00.000Z`,
    endedAt: null,
    seconds: 2,
    figures: null,
    error: null,
    ...parts,
  };
}

function compressed(runId: string, minute: number, output: string, storedBytes: number): RunSummary {
  const figures = {
    ...USED,
    parameters: 100,
    storedBytes,
    sourceStoredBytes: 200,
    bitsPerWeight: (8 * storedBytes) / 100,
  };
  return run(runId, minute, { output, figures });
}

function evaluated(runId: string, minute: number, model: string, klDivergenceMean: number, context = 256): RunSummary {
  const text = {
    text: '/t.txt',
    tokens: 1000,
    windows: 3,
    predictions: 765,
    context,
    meanNegativeLogLikelihood: 3,
    perplexity: 20 + klDivergenceMean,
    standardError: null,
    referencePerplexity: 20,
    klDivergenceMean,
    top1Agreement: 0.9,
  };
  return run(runId, minute, { command: 'evaluate', model, figures: { ...USED, texts: [text] } });
}

const RUNS = [
  evaluated('e3', 7, '/out/q4', 0.02),
  compressed('c3', 6, '/out/q4', 60),
  evaluated('e2', 5, '/out/lossless', 0),
  compressed('c2', 4, '/out/lossless', 140),
  evaluated('e1', 3, '/out/q4', 0.03),
  compressed('c1', 2, '/out/q4', 70),
  run('other', 1, { model: '/other', output: '/out/other' }),
];
const RECIPES = new Map([
  ['c1', Q4],
  ['c2', LOSSLESS],
  ['c3', Q4],
]);

describe('comparePoints', () => {
  it('joins a compression with what was measured on its output, the newest into each place', () => {
    const points = comparePoints(RUNS, '/m', RECIPES);
    expect(points.map(({ runId, label, kind, klDivergence }) => [runId, label, kind, klDivergence])).toEqual([
      ['c3', 'q4', 'quantize', 0.02],
      ['c2', 'lossless', 'lossless', 0],
    ]);
  });

  it('waits for recipes, and asks for those of finished compressions of the model', () => {
    expect(comparePoints(RUNS, '/m', new Map())).toEqual([]);
    expect(runsToShow(RUNS, '/m')).toEqual(['c3', 'c2', 'c1']);
  });

  it('keeps what was measured in another way apart', () => {
    const points = comparePoints([...RUNS, evaluated('e4', 8, '/out/q4', 0.04, 128)], '/m', RECIPES);
    expect(protocolsOf(points).map(({ protocol, count }) => [protocol.context, count])).toEqual([
      [256, 2],
      [128, 1],
    ]);
  });

  it('shows nothing of an unfinished run or of an output that nobody here has made', () => {
    const runs = [
      evaluated('e', 2, '/out/q4', 0.1),
      { ...compressed('c1', 1, '/out/q4', 60), state: 'failed' as const },
    ];
    expect(comparePoints(runs, '/m', RECIPES)).toEqual([]);
    expect(comparePoints([evaluated('e', 2, '/nowhere', 0.1)], '/m', RECIPES)).toEqual([]);
  });
});

describe('unmeasuredRuns', () => {
  const points = comparePoints(RUNS, '/m', RECIPES);

  it('finds finished compressions that are not on the chart', () => {
    const more = [
      ...RUNS,
      compressed('c9', 9, '/out/new', 50),
      { ...compressed('c8', 8, '/out/x', 5), state: 'failed' as const },
    ];
    expect(unmeasuredRuns(more, '/m', points).map(({ runId }) => runId)).toEqual(['c9']);
    expect(unmeasuredRuns(RUNS, '/m', points)).toEqual([]);
  });

  it('asks once for a place, of the newest run in it', () => {
    expect(unmeasuredRuns(RUNS, '/m', []).map(({ runId }) => runId)).toEqual(['c3', 'c2']);
    const failed = { ...compressed('c7', 8, '/out/q4', 5), state: 'failed' as const };
    expect(unmeasuredRuns([...RUNS, failed], '/m', []).map(({ runId }) => runId)).toEqual(['c2']);
  });
});

describe('the table twin', () => {
  const points = comparePoints(RUNS, '/m', RECIPES);

  it('sorts by any column', () => {
    expect(sortPoints(points, 'kl', false).map(({ runId }) => runId)).toEqual(['c2', 'c3']);
    expect(sortPoints(points, 'label', true).map(({ runId }) => runId)).toEqual(['c3', 'c2']);
  });

  it('knows the frontier, and writes both as CSV', () => {
    expect(frontIds(points)).toEqual(new Set(['c3', 'c2']));
    const [head, ...rows] = comparedCsv(points).trimEnd().split('\r\n');
    expect(head?.split(',')).toHaveLength(14);
    expect(rows[0]).toContain('c3,q4,quantized,60,4.8,0.02,');
  });
});
