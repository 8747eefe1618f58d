import { appendFileSync, readdirSync, readFileSync, statSync, truncateSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { JobError } from '../../../core/errors.ts';
import type { EvaluateOptions } from '../../../workers/engine/job-options.ts';
import { errorOf } from '../../helpers/error-of.ts';
import { fakeScorers, letters, useEvaluationPlace, type EvaluationPlace } from './evaluation-fixture.ts';

const place = useEvaluationPlace();

/** Two texts of 12 windows each and a choices file, against a reference. */
let asked: Partial<EvaluateOptions> = {};

beforeEach(() => {
  place().writeModel('a');
  place().writeModel('b');
  const questions = Array.from({ length: 8 }, (_, index) => {
    return JSON.stringify({ context: letters(3 + index, index).trim() + 'x', choices: [' ab', ' cde'], answer: 0 });
  });
  asked = {
    texts: [place().write('one.txt', letters(100, 1)), place().write('two.txt', letters(100, 2))],
    choices: place().write('q.jsonl', questions.join('\n')),
    reference: place().at('b'),
    tokensOut: place().at('tokens'),
    force: true,
    noiseFloorSeed: 3,
  };
});

/** Stops the run once so many sequences were scored. */
async function interrupt(at: EvaluationPlace, sequences: number, parts: Partial<EvaluateOptions> = {}) {
  const controller = new AbortController();
  const scorers = fakeScorers({
    onScore: (before) => {
      if (before >= sequences) {
        controller.abort(new JobError({ code: 'JOB_CANCELLED', what: 'Cancelled.', whatToDo: 'Run it again.' }));
      }
    },
  });
  const error = await errorOf(() => at.evaluate({ ...asked, ...parts, signal: controller.signal }, scorers));
  return { error, scorers };
}

function runFolders(at: EvaluationPlace): string[] {
  return readdirSync(join(at.home, 'runs')).map((runId) => join(at.home, 'runs', runId));
}

/** The document without what the clock decides, and the bytes of the tokens file. */
async function outcome(at: EvaluationPlace, parts: Partial<EvaluateOptions>, scorers = fakeScorers()) {
  const result = await at.evaluate({ ...asked, ...parts }, scorers);
  const texts = result.texts.map(({ seconds: _, cpuSeconds: _2, tokensPerSecond: _3, ...figures }) => figures);
  return { result, figures: { texts, choices: result.choices }, tokens: readFileSync(at.at('tokens')), scorers };
}

// 24 windows, 16 choices, 24 windows of noise.
test.each([0, 1, 9, 11, 23, 24, 30, 39, 50, 63])(
  'a run stopped after %i sequences goes on, and ends with the bits of one that was not stopped',
  async (sequences) => {
    const whole = await outcome(place(), {});
    const { error, scorers } = await interrupt(place(), sequences);
    expect(error).toMatchObject({ code: 'JOB_INTERRUPTED', retryable: true });
    const { result, figures, tokens, scorers: after } = await outcome(place(), { resume: true });
    expect(result.resumed).toBe(true);
    expect(result.runId).toBe(error.where.job);
    expect(figures).toEqual(whole.figures);
    expect(tokens.equals(whole.tokens)).toBe(true);
    expect(scorers.sequences + after.sequences).toBe(whole.scorers.sequences);
  },
);

test('a run may be stopped over and over', async () => {
  const whole = await outcome(place(), {});
  await interrupt(place(), 5);
  for (let times = 0; times < 4; times++) await interrupt(place(), 6, { resume: true });
  const { result, figures } = await outcome(place(), { resume: true });
  expect(result.resumed).toBe(true);
  expect(figures).toEqual(whole.figures);
  expect(runFolders(place())).toHaveLength(2);
});

test('scores that a crash tore off are made again', async () => {
  const whole = await outcome(place(), {});
  await interrupt(place(), 12);
  const [folder = ''] = runFolders(place()).slice(-1);
  const scores = join(folder, 'scores.bin');
  truncateSync(scores, statSync(scores).size - 100);
  appendFileSync(join(folder, 'journal.jsonl'), '{"type":"windows","task":"text 0","fr');
  const { result, figures } = await outcome(place(), { resume: true });
  expect(result.resumed).toBe(true);
  expect(figures).toEqual(whole.figures);
});

test('a changed text, model or reference is named; other arguments are another run', async () => {
  const before = new Date('2026-01-01T00:00:00Z');
  const after = new Date('2026-01-01T00:00:05Z');
  const paths = ['one.txt', 'q.jsonl', 'a/model.safetensors', 'b/tokenizer.json'];
  for (const path of paths) utimesSync(place().at(path), before, before);
  await interrupt(place(), 5);
  for (const path of paths) {
    utimesSync(place().at(path), after, after);
    const error = await errorOf(() => place().evaluate({ ...asked, resume: true }));
    expect(error).toMatchObject({ code: 'JOB_RESUME_MISMATCH' });
    expect(error.what).toContain(path.split('/').at(-1));
    utimesSync(place().at(path), before, before);
  }
  const other = await place().evaluate({ ...asked, context: 9, resume: true });
  expect(other.resumed).toBe(false);
  expect((await place().evaluate({ ...asked, resume: true })).resumed).toBe(true);
});

test('without an interrupted run it is a plain one', async () => {
  expect((await place().evaluate({ ...asked, resume: true })).resumed).toBe(false);
  // That one came to its end.
  expect((await place().evaluate({ ...asked, resume: true })).resumed).toBe(false);
});

test('a run that is still going is not taken over', async () => {
  let release: () => void = () => undefined;
  const waiting = new Promise<void>((resolve) => (release = resolve));
  const scorers = fakeScorers();
  const slow = {
    ...scorers,
    open: async (...parts: Parameters<typeof scorers.open>) => {
      const scorer = await scorers.open(...parts);
      return {
        ...scorer,
        score: async (...given: Parameters<typeof scorer.score>) => {
          await waiting;
          return scorer.score(...given);
        },
      };
    },
  };
  const first = place().evaluate(asked, slow);
  while (!place().events.some((event) => event.event === 'stage' && event.stage === 'evaluate')) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(await errorOf(() => place().evaluate({ ...asked, resume: true }))).toMatchObject({ code: 'JOB_OUTPUT_BUSY' });
  release();
  expect((await first).resumed).toBe(false);
});
