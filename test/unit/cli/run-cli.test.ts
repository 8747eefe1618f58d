import { describe, expect, it } from 'vitest';
import type { JobEvent } from '../../../core/contract/progress.ts';
import {
  EXIT,
  FormatError,
  JobError,
  ResourceError,
  serializeError,
  VerificationError,
  WorkbenchError,
  type ErrorCode,
} from '../../../core/errors.ts';
import type { JobOptions } from '../../../workers/engine/index.ts';
import { CALIBRATED, COMPRESSED, ESTIMATED, EVALUATION_PLAN, INSPECTED, VERIFIED } from '../../helpers/fake-engine.ts';
import { createFakeTerminal } from '../../helpers/fake-terminal.ts';

const COMPRESS = ['compress', 'm', '-o', 'out folder', '--preset', 'lossless-dfloat11'];

function failing(code: ErrorCode, parts: Partial<WorkbenchError> = {}) {
  const error = new WorkbenchError({ code, what: 'It "failed".', whatToDo: 'Do this.', ...parts });
  return { inspect: () => Promise.reject(error), compress: () => Promise.reject(error) };
}

/** An engine whose `compress` ends only when its signal fires, with this code. */
function waitingEngine(code: ErrorCode) {
  return {
    compress: ({ signal }: JobOptions) =>
      new Promise<never>((_, reject) =>
        signal.addEventListener('abort', () =>
          reject(new JobError({ code, what: 'The run was stopped.', whatToDo: 'Resume it.' })),
        ),
      ),
  };
}

describe('--json', () => {
  it('prints one document on stdout and nothing on stderr', async () => {
    const terminal = createFakeTerminal();
    expect(await terminal.run('inspect', 'm', '--json')).toBe(EXIT.done);
    expect(terminal.json()).toEqual(INSPECTED);
    expect(terminal.printed.stdout.split('\n')).toHaveLength(2);
    expect(terminal.printed.stderr).toBe('');
  });

  it('prints the failure with its five keys, and tells it on stderr too', async () => {
    const where = { file: 'model.safetensors', tensor: 'a', byteOffset: 12 };
    const terminal = createFakeTerminal({ engine: failing('FORMAT_TENSOR_GAP', { where, retryable: false }) });
    expect(await terminal.run('inspect', 'm', '--json')).toBe(EXIT.input);
    expect(terminal.json()).toEqual({
      schema: 1,
      error: { code: 'FORMAT_TENSOR_GAP', what: 'It "failed".', where, whatToDo: 'Do this.', retryable: false },
    });
    expect(terminal.printed.stderr).toContain('FORMAT_TENSOR_GAP');
  });

  it.each([
    [['--json', 'frobnicate']],
    [['frobnicate', '--json']],
    [['inspect', '--json']],
    [['inspect', 'm', '--json', '--threads', 'many']],
    [['--json']],
  ])('prints a usage error as JSON: %j', async (argv) => {
    const terminal = createFakeTerminal();
    expect(await terminal.run(...argv)).toBe(EXIT.usage);
    expect(terminal.json()).toMatchObject({ schema: 1, error: { code: expect.stringMatching(/^USAGE_/) } });
  });

  it('is no flag behind --', async () => {
    const terminal = createFakeTerminal();
    expect(await terminal.run('frobnicate', '--', '--json')).toBe(EXIT.usage);
    expect(terminal.printed.stdout).toBe('');
  });

  it('wraps help and version in a document', async () => {
    const terminal = createFakeTerminal();
    expect(await terminal.run('--version', '--json')).toBe(EXIT.done);
    expect(terminal.json()).toEqual({ schema: 1, version: '1.2.3' });
  });

  it('prints a result with an error whole, and exits by that error', async () => {
    const error = serializeError(
      new VerificationError({ code: 'VERIFY_FAILED', what: 'It differs.', whatToDo: 'Write it again.' }),
    );
    const result = { ...VERIFIED, ok: false, error };
    const terminal = createFakeTerminal({ engine: { verify: () => Promise.resolve(result) } });
    expect(await terminal.run('verify', 'd', '--json')).toBe(EXIT.verification);
    expect(terminal.json()).toMatchObject({ ok: false, tensors: VERIFIED.tensors, error: { code: 'VERIFY_FAILED' } });
    expect(terminal.json<{ error: object }>().error).not.toHaveProperty('stack');
    expect(terminal.printed.stderr).toContain('It differs.');
  });

  it('escapes what a terminal would obey, without changing the value', async () => {
    const tensors = [{ ...INSPECTED.tensors[0]!, name: 'a\u009b31mb\u202e\u001b[2J' }];
    const terminal = createFakeTerminal({ engine: { inspect: () => Promise.resolve({ ...INSPECTED, tensors }) } });
    await terminal.run('inspect', 'm', '--json');
    for (const character of '\u009b\u202e\u001b') expect(terminal.printed.stdout).not.toContain(character);
    expect(terminal.json()).toMatchObject({ tensors });
  });
});

describe('exit codes', () => {
  it.each([
    ['MODEL_NOT_FOUND', 1],
    ['JOB_OUTPUT_EXISTS', 1],
    ['RECIPE_UNKNOWN_KEY', 2],
    ['JOB_RESUME_MISMATCH', 2],
    ['FORMAT_HEADER_NOT_JSON', 3],
    ['RESOURCE_DISK_FULL', 4],
    ['VERIFY_FAILED', 5],
    ['BUG_KERNEL_PANIC', 70],
    ['JOB_INTERRUPTED', 75],
    ['JOB_CANCELLED', 130],
  ] as const)('follow from the code: %s is %i', async (code, exit) => {
    expect(await createFakeTerminal({ engine: failing(code) }).run('inspect', 'm')).toBe(exit);
  });

  it('are 70 for a fault of ours, which asks for a report with its stack', async () => {
    const bug = new TypeError('x is not a function');
    const terminal = createFakeTerminal({ engine: { inspect: () => Promise.reject(bug) } });
    expect(await terminal.run('inspect', 'm', '--json')).toBe(EXIT.bug);
    expect(terminal.json()).toMatchObject({ error: { code: 'BUG_UNEXPECTED', retryable: false } });
    expect(terminal.printed.stderr).toMatch(/TypeError: x is not a function\n\s+at [\s\S]*please report it/);
  });

  it('are 70 for what is thrown where nobody can catch it', async () => {
    const terminal = createFakeTerminal({ engine: waitingEngine('JOB_CANCELLED') });
    const running = terminal.run(...COMPRESS, '--json');
    await expect.poll(() => terminal.opened.length).toBe(1);
    terminal.crash(new Error('lost'));
    expect(await running).toBe(EXIT.bug);
    expect(terminal.json()).toMatchObject({ error: { what: 'Error: lost' } });
  });
});

describe('errors for people', () => {
  const place = { file: 'a\u001b[2Jb', tensor: 't\nu', byteOffset: 12, line: 3, column: 4, job: 'r1' };
  const cause = new Error('the cause of it');
  const error = new FormatError({
    code: 'FORMAT_TENSOR_GAP',
    what: 'A \u001b[31mgap.',
    where: place,
    whatToDo: 'Go.',
    cause,
  });

  it('say what, where, what to do and the code, and escape what a terminal would obey', async () => {
    const terminal = createFakeTerminal({ engine: { inspect: () => Promise.reject(error) } });
    await terminal.run('inspect', 'm');
    expect(terminal.printed.stdout).toBe('');
    expect(terminal.printed.stderr).toBe(
      'lathe: A \\u001b[31mgap.\n' +
        '  where: file a\\u001b[2Jb, tensor t\\nu, byte 12, line 3, column 4, run r1\n' +
        '  Go.\n' +
        '  code: FORMAT_TENSOR_GAP\n',
    );
  });

  it('show stack and causes with --verbose', async () => {
    const terminal = createFakeTerminal({ engine: { inspect: () => Promise.reject(error) } });
    await terminal.run('inspect', 'm', '--verbose');
    expect(terminal.printed.stderr).toMatch(/\n\s+at [\s\S]*caused by Error: the cause of it\n\s+at /);
  });

  it('are coloured on a terminal, unless NO_COLOR is set', async () => {
    const engine = failing('MODEL_NOT_FOUND');
    const coloured = createFakeTerminal({ engine, isStderrTerminal: true });
    await coloured.run('inspect', 'm');
    expect(coloured.printed.stderr).toContain('\u001b[31m');
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      const plain = createFakeTerminal({ engine, isStderrTerminal: true, env });
      await plain.run('inspect', 'm');
      expect(plain.printed.stderr).not.toContain('\u001b[31m');
    }
  });
});

describe('progress', () => {
  const EVENTS: JobEvent[] = [
    { event: 'stage', stage: 'encode', detail: 'a' },
    {
      event: 'progress',
      stage: 'encode',
      fraction: 0.5,
      doneBytes: 50,
      totalBytes: 100,
      bytesPerSecond: 3.1e8,
      etaSeconds: 12,
    },
    { event: 'note', message: 'A note.' },
    { event: 'warning', message: 'A warning.' },
  ];
  const engine = {
    inspect: ({ onEvent }: JobOptions) => {
      for (const event of EVENTS) onEvent(event);
      return Promise.resolve({ ...INSPECTED, notes: ['A note.', 'Another note.'] });
    },
  };

  it('is plain lines where stderr is no terminal; each note is told once', async () => {
    const terminal = createFakeTerminal({ engine });
    await terminal.run('inspect', 'm');
    expect(terminal.stderrLines()).toEqual([
      'lathe: encode: a',
      'note: A note.',
      'warning: A warning.',
      'note: Another note.',
    ]);
  });

  it('is one line on a terminal that is cleared before anything else is written', async () => {
    const terminal = createFakeTerminal({ engine, isStderrTerminal: true, env: { NO_COLOR: '1' } });
    await terminal.run('inspect', 'm');
    expect(terminal.printed.stderr).toBe(
      '\r\u001b[2Kencode: a' + '\r\u001b[2Knote: A note.\n' + 'warning: A warning.\n' + 'note: Another note.\n',
    );
  });

  it('is absent with --quiet, and with --json where stderr is no terminal; warnings stay', async () => {
    for (const flag of ['--quiet', '--json']) {
      const terminal = createFakeTerminal({ engine });
      await terminal.run('inspect', 'm', flag);
      expect(terminal.stderrLines()).toEqual(['warning: A warning.']);
    }
  });

  it('streams every event with --events ndjson, and errors as events', async () => {
    const terminal = createFakeTerminal({ engine, isStderrTerminal: true });
    await terminal.run('inspect', 'm', '--events', 'ndjson');
    expect(terminal.stderrLines().map((line) => JSON.parse(line) as unknown)).toEqual([
      ...EVENTS,
      { event: 'note', message: 'Another note.' },
    ]);

    const failed = createFakeTerminal({ engine: failing('MODEL_NOT_FOUND') });
    await failed.run('inspect', 'm', '--events', 'ndjson');
    expect(JSON.parse(failed.printed.stderr)).toEqual({
      event: 'error',
      code: 'MODEL_NOT_FOUND',
      what: 'It "failed".',
      where: {},
      whatToDo: 'Do this.',
      retryable: false,
    });
  });

  it.each([[['--events', 'ndjson']], [['--events=ndjson']]])('streams usage errors as events: %j', async (flags) => {
    const terminal = createFakeTerminal();
    expect(await terminal.run('frobnicate', ...flags)).toBe(EXIT.usage);
    expect(JSON.parse(terminal.printed.stderr)).toMatchObject({ event: 'error', code: 'USAGE_UNKNOWN_COMMAND' });
  });
});

describe('signals', () => {
  it('stop the engine at the first, and say how to resume', async () => {
    const terminal = createFakeTerminal({ engine: waitingEngine('JOB_INTERRUPTED') });
    const running = terminal.run(...COMPRESS, '--json');
    await expect.poll(() => terminal.opened.length).toBe(1);
    terminal.signal();
    expect(await running).toBe(EXIT.interrupted);
    expect(terminal.endedAtOnce).toEqual([]);
    expect(terminal.json()).toMatchObject({
      error: {
        code: 'JOB_INTERRUPTED',
        whatToDo: "Go on with: lathe compress m -o 'out folder' --preset lossless-dfloat11 --json --resume",
      },
    });
    expect(terminal.hasSignalListeners()).toBe(false);
  });

  it('end in 130 where nothing can be resumed', async () => {
    const terminal = createFakeTerminal({ engine: waitingEngine('JOB_CANCELLED') });
    const running = terminal.run(...COMPRESS);
    await expect.poll(() => terminal.opened.length).toBe(1);
    terminal.signal();
    expect(await running).toBe(EXIT.cancelled);
  });

  it('end the program at once at the second', async () => {
    const terminal = createFakeTerminal({ engine: { compress: () => new Promise<never>(() => undefined) } });
    void terminal.run(...COMPRESS);
    await expect.poll(() => terminal.opened.length).toBe(1);
    terminal.signal();
    expect(terminal.endedAtOnce).toEqual([]);
    terminal.signal();
    expect(terminal.endedAtOnce).toEqual([EXIT.cancelled]);
  });

  it('that come too late change nothing', async () => {
    const engine = {
      compress: async ({ signal }: JobOptions) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        return COMPRESSED;
      },
    };
    const terminal = createFakeTerminal({ engine });
    const running = terminal.run(...COMPRESS);
    await expect.poll(() => terminal.opened.length).toBe(1);
    terminal.signal();
    expect(await running).toBe(EXIT.done);
  });
});

describe('what the engine is given', () => {
  it('is where runs live and the kernels, and the job with the defaults of the machine', async () => {
    let given: object = {};
    const engine = {
      verify: (options: object) => {
        given = options;
        return Promise.resolve(VERIFIED);
      },
    };
    const terminal = createFakeTerminal({ engine, env: { LATHE_HOME: '/elsewhere' } });
    await terminal.run('verify', 'd', '--against', 'm', '--memory-limit', '1GiB');
    const inferenceWorkerPath = '/program/inference-worker.js';
    expect(terminal.opened).toEqual([
      { kernelsPath: '/program/lathe-kernels.node', inferenceWorkerPath, home: '/elsewhere', cacheLimitBytes: null },
    ]);
    expect(given).toMatchObject({ model: 'd', against: 'm', threads: 8, memoryLimitBytes: 2 ** 30 });
    await terminal.run('verify', 'd', '--threads', '2');
    expect(given).toMatchObject({ model: 'd', against: null, threads: 2, memoryLimitBytes: null });
  });

  it('is the limit of the measurement cache, where the environment sets one', async () => {
    const terminal = createFakeTerminal({ env: { LATHE_CACHE_LIMIT: '3GiB' } });
    expect(await terminal.run('cache', 'show')).toBe(EXIT.done);
    expect(terminal.opened[0]?.cacheLimitBytes).toBe(3 * 2 ** 30);
    const wrong = createFakeTerminal({ env: { LATHE_CACHE_LIMIT: 'lots' } });
    expect(await wrong.run('cache', 'show', '--json')).toBe(EXIT.usage);
    expect(wrong.json()).toMatchObject({ error: { code: 'USAGE_INVALID_ARGUMENT' } });
  });

  it('is the calibration that was asked for, with its defaults', async () => {
    let given: object = {};
    const engine = {
      calibrate: (options: object) => {
        given = options;
        return Promise.resolve(CALIBRATED);
      },
    };
    const terminal = createFakeTerminal({ engine });
    await terminal.run('calibrate', 'm', '--text', 'a', 'b');
    const defaults = { sequences: 64, sequenceLength: 256, seed: 0, gram: false };
    expect(given).toMatchObject({ model: 'm', texts: ['a', 'b'], ...defaults, threads: 8 });
    await terminal.run('calibrate', 'm', '--text', 'a', '--gram', '--sequences', '8', '--seed', '3');
    expect(given).toMatchObject({ sequences: 8, seed: 3, gram: true });
  });

  it('is the checked recipe of a preset, with its defaults', async () => {
    let given: object = {};
    const engine = {
      compress: (options: object) => {
        given = options;
        return Promise.resolve(COMPRESSED);
      },
    };
    await createFakeTerminal({ engine }).run(...COMPRESS, '--resume', '--force');
    expect(given).toMatchObject({
      model: 'm',
      output: 'out folder',
      resume: true,
      force: true,
      recipe: { lathe: 1, steps: [{ step: 'encode', codec: 'dfloat11', units: 'auto' }], overrides: [] },
    });
  });

  it('is nothing where the preset is not known', async () => {
    const terminal = createFakeTerminal();
    expect(await terminal.run('compress', 'm', '-o', 'o', '--preset', 'best')).toBe(EXIT.usage);
    expect(terminal.printed.stderr).toContain('lossless-dfloat11, lossless-split-plane, q8_0');
    expect(terminal.opened).toEqual([]);
  });
});

describe('--dry-run', () => {
  const OUTPUT = '/no/such/folder/out';
  const DRY = ['compress', 'm', '-o', OUTPUT, '--preset', 'lossless-split-plane', '--dry-run'];
  const engine = { compress: () => Promise.reject(new Error('a dry run must not run')) };

  it('prints the estimate and exits 0', async () => {
    const terminal = createFakeTerminal({ engine });
    expect(await terminal.run(...DRY, '--json')).toBe(EXIT.done);
    expect(terminal.json()).toEqual(ESTIMATED);
  });

  it('prints the plan of an evaluation, and runs none', async () => {
    const evaluate = () => Promise.reject(new Error('a dry run must not run'));
    const asked = ['evaluate', 'm', '--text', 't', '--dry-run'];
    const json = createFakeTerminal({ engine: { evaluate } });
    expect(await json.run(...asked, '--json')).toBe(EXIT.done);
    expect(json.json()).toEqual(EVALUATION_PLAN);
    const people = createFakeTerminal({ engine: { evaluate } });
    expect(await people.run(...asked)).toBe(EXIT.done);
    expect(people.printed.stdout).toContain('A dry run: no token was run and nothing was written.');
  });

  it('exits by the error that the run would end in', async () => {
    const problems = [{ message: 'No tensor of this model can be coded.', blocking: true }];
    const estimate = () => Promise.resolve({ ...ESTIMATED, problems, wouldFail: true });
    const terminal = createFakeTerminal({ engine: { ...engine, estimate } });
    expect(await terminal.run(...DRY, '--json')).toBe(EXIT.usage);
    expect(terminal.json()).toMatchObject({
      wouldFail: true,
      error: { code: 'RECIPE_NOT_SUPPORTED', what: expect.stringContaining('No tensor of this model can be coded.') },
    });
  });
});

describe('memory', () => {
  it('that runs out is exit code 4 with its advice', async () => {
    const error = new ResourceError({ code: 'RESOURCE_MEMORY_LIMIT', what: 'Too little.', whatToDo: 'Allow more.' });
    const terminal = createFakeTerminal({ engine: { inspect: () => Promise.reject(error) } });
    expect(await terminal.run('inspect', 'm')).toBe(EXIT.resources);
    expect(terminal.printed.stderr).toContain('Allow more.');
  });
});
