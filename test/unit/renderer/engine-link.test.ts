import { describe, expect, it, vi } from 'vitest';
import { EngineLink, type LinkListener } from '../../../renderer/link/engine-link.ts';
import type { OpenTransport, TransportListener } from '../../../renderer/link/transport.ts';

/** A transport whose other end is the test. */
function openLink() {
  const sent: unknown[] = [];
  const ends: TransportListener[] = [];
  const open: OpenTransport = (end) => {
    ends.push(end);
    return { send: (message) => sent.push(message), close: () => end.onClose() };
  };
  const listener = { onState: vi.fn<LinkListener['onState']>(), onJobs: vi.fn<LinkListener['onJobs']>() };
  const link = new EngineLink(open, listener);
  link.connect();
  function say(message: unknown) {
    ends.at(-1)?.onMessage(message);
  }
  function welcome() {
    ends.at(-1)?.onOpen();
    say({ type: 'welcome', protocol: 1, version: '1.2.3' });
  }
  return { link, sent, ends, listener, say, welcome };
}

const ERROR = { code: 'MODEL_NOT_FOUND', what: 'None.', where: { file: '/m' }, whatToDo: 'Look.', retryable: false };

describe('EngineLink', () => {
  it('greets first, and holds calls back until it is welcome', async () => {
    const { link, sent, say, welcome } = openLink();
    const answer = link.call('presets', {});
    expect(sent).toEqual([]);
    welcome();
    await vi.waitFor(() => expect(sent).toHaveLength(2));
    expect(sent).toEqual([
      { type: 'hello', protocol: 1 },
      { type: 'call', id: 1, method: 'presets', params: {} },
    ]);
    say({ type: 'result', id: 1, value: { presets: [] } });
    expect(await answer).toEqual({ presets: [] });
  });

  it('hands events and answers to the call that they are of', async () => {
    const { link, say, welcome } = openLink();
    welcome();
    const events: unknown[] = [];
    const first = link.call(
      'resume',
      { run: 'a' },
      { onEvent: (event) => events.push(event), onQueued: (job) => events.push(job) },
    );
    const second = link.call('sample', {});
    say({ type: 'result', id: 2, value: 'second' });
    say({ type: 'queued', id: 1, job: 'job-7' });
    say({ type: 'event', id: 1, event: { event: 'stage', stage: 'plan' } });
    say({ type: 'event', id: 9, event: { event: 'stage', stage: 'lost' } });
    say({ type: 'error', id: 1, error: ERROR });
    await expect(second).resolves.toBe('second');
    await expect(first).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND', where: { file: '/m' } });
    expect(events).toEqual(['job-7', { event: 'stage', stage: 'plan' }]);
  });

  it('ends open calls when the engine goes, and comes back by itself', async () => {
    vi.useFakeTimers();
    try {
      const { link, ends, listener, welcome } = openLink();
      welcome();
      const call = link.call('doctor', {});
      const failed = expect(call).rejects.toMatchObject({ code: 'ENGINE_GONE', retryable: true });
      ends[0]?.onClose();
      await failed;
      expect(listener.onState).toHaveBeenLastCalledWith('lost', { version: null, error: null });
      await vi.advanceTimersByTimeAsync(600);
      expect(ends).toHaveLength(2);
      // Each try that fails waits longer.
      ends[1]?.onClose();
      await vi.advanceTimersByTimeAsync(600);
      expect(ends).toHaveLength(2);
      await vi.advanceTimersByTimeAsync(600);
      expect(ends).toHaveLength(3);
      welcome();
      expect(listener.onState).toHaveBeenLastCalledWith('open', { version: '1.2.3', error: null });
    } finally {
      vi.useRealTimers();
    }
  });

  it('does not try again where the engine refused to talk', () => {
    vi.useFakeTimers();
    try {
      const { ends, listener, say } = openLink();
      ends[0]?.onOpen();
      say({ type: 'error', id: null, error: { ...ERROR, code: 'ENGINE_PROTOCOL' } });
      ends[0]?.onClose();
      vi.advanceTimersByTime(60_000);
      expect(ends).toHaveLength(1);
      expect(listener.onState.mock.lastCall?.[0]).toBe('refused');
    } finally {
      vi.useRealTimers();
    }
  });

  it('passes on the list of jobs', () => {
    const { listener, say, welcome } = openLink();
    welcome();
    say({ type: 'jobs', jobs: [] });
    expect(listener.onJobs).toHaveBeenCalledWith([]);
  });
});
