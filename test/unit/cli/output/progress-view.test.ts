import { describe, expect, it } from 'vitest';
import { ProgressView, type ProgressMode } from '../../../../cli/output/progress-view.ts';

function createView(mode: ProgressMode, columns = 80) {
  const clock = { ms: 0 };
  const writes: string[] = [];
  const view = new ProgressView({
    stderr: { write: (text) => void writes.push(text), columns },
    mode,
    showsNotes: true,
    showsLog: false,
    style: { red: (text) => text, yellow: (text) => text },
    now: () => clock.ms,
  });
  function progress(fraction: number, parts: { bytesPerSecond?: number; etaSeconds?: number | null } = {}): void {
    view.onEvent({
      event: 'progress',
      stage: 'encode',
      fraction,
      doneBytes: 0,
      totalBytes: 0,
      bytesPerSecond: 250e6,
      etaSeconds: 61,
      ...parts,
    });
  }
  return { clock, writes, view, progress };
}

describe('the progress line of a terminal', () => {
  it('has a bar, stage, percent, rate and time to go', () => {
    const { writes, progress } = createView('line');
    progress(0.256);
    expect(writes).toEqual(['\r\u001b[2K[=====               ] encode 25 %, 250 MB/s, 1 min 1 s to go']);
  });

  it('counts in tokens where a model is run', () => {
    const { writes, view } = createView('line');
    const counts = { doneTokens: 512, totalTokens: 2048, tokensPerSecond: 12345.6, etaSeconds: null };
    view.onEvent({ event: 'progress', stage: 'evaluate', fraction: 0.25, ...counts });
    expect(writes).toEqual(['\r\u001b[2K[=====               ] evaluate 25 %, 12,346 tokens/s']);
  });

  it('leaves out a rate and a time that are not known yet', () => {
    const { writes, progress } = createView('line');
    progress(0, { bytesPerSecond: 0, etaSeconds: null });
    expect(writes).toEqual([`\r\u001b[2K[${' '.repeat(20)}] encode 0 %`]);
  });

  it('is rewritten at most 10 times a second', () => {
    const { clock, writes, progress } = createView('line');
    for (clock.ms = 0; clock.ms < 1000; clock.ms += 1) progress(clock.ms / 1000);
    expect(writes).toHaveLength(10);
  });

  it('never fills the last column, so that it can be taken back', () => {
    const { writes, progress } = createView('line', 20);
    progress(0.5);
    expect(writes[0]?.replace('\r\u001b[2K', '')).toHaveLength(19);
  });

  it('is cleared once, and only if it is there', () => {
    const { writes, view, progress } = createView('line');
    view.clear();
    expect(writes).toEqual([]);
    progress(0.5);
    view.clear();
    view.clear();
    expect(writes.slice(1)).toEqual(['\r\u001b[2K']);
  });

  it('escapes names from files', () => {
    const { writes, view } = createView('line');
    view.onEvent({ event: 'stage', stage: 'encode', detail: 'a\u001b[2J\r\nb' });
    expect(writes).toEqual(['\r\u001b[2Kencode: a\\u001b[2J\\u000d\\nb']);
  });
});

describe('progress in a log', () => {
  it('is a line at each change of stage and one every 10 seconds', () => {
    const { clock, writes, view, progress } = createView('plain');
    view.onEvent({ event: 'stage', stage: 'encode', detail: 'a' });
    view.onEvent({ event: 'stage', stage: 'encode', detail: 'b' });
    for (; clock.ms <= 25_000; clock.ms += 100) progress(clock.ms / 100_000, { bytesPerSecond: 1.25e6 });
    view.onEvent({ event: 'stage', stage: 'verify' });
    expect(writes).toEqual([
      'lathe: encode: a\n',
      'lathe: encode 10 %, 1.3 MB/s, 1 min 1 s to go\n',
      'lathe: encode 20 %, 1.3 MB/s, 1 min 1 s to go\n',
      'lathe: verify\n',
    ]);
  });

  it('is nothing where none is wanted', () => {
    const { writes, view, progress } = createView('none');
    view.onEvent({ event: 'stage', stage: 'encode' });
    progress(0.5);
    expect(writes).toEqual([]);
  });
});
