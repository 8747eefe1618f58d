import { describe, expect, it } from 'vitest';
import { serializeError, VerificationError } from '../../../../core/errors.ts';
import type { Engine } from '../../../../workers/engine/index.ts';
import { COMPRESSED, ESTIMATED, EXAMINED, INSPECTED, RESTORED, VERIFIED } from '../../../helpers/fake-engine.ts';
import { createFakeTerminal } from '../../../helpers/fake-terminal.ts';

/** The lines on stdout of one command line, which must not be coloured even on a terminal. */
async function linesOf(engine: Partial<Engine>, ...argv: string[]): Promise<string[]> {
  const terminal = createFakeTerminal({ engine, isStdoutTerminal: true });
  await terminal.run(...argv);
  expect(terminal.printed.stdout).not.toContain('\u001b');
  return terminal.printed.stdout.split('\n');
}

const PRESET = ['--preset', 'lossless-dfloat11'];

describe('inspect for people', () => {
  it('lists tensors, then totals', async () => {
    expect(await linesOf({}, 'inspect', 'm')).toEqual([
      'tensor                     dtype  shape    stored bytes  stored  file',
      'model.embed_tokens.weight  BF16   32 x 64         4,096  plain   model.safetensors',
      'model.norm.weight          BF16   256               512  plain   model.safetensors',
      '',
      'Format        safetensors',
      'Architecture  LlamaForCausalLM',
      'Weights       2,304 in 2 tensors',
      'Stored        4.50 KiB (4,608 bytes), 16.00 bits per weight',
      'All files     4.88 KiB (5,000 bytes)',
      '',
    ]);
  });

  it('adds statistics and what lossless coding would make of it', async () => {
    const [first, second] = INSPECTED.tensors;
    const result = {
      ...INSPECTED,
      architecture: null,
      tensors: [
        {
          ...first!,
          exponentEntropyBits: 2.5,
          min: -0.25,
          max: 1.5,
          rms: 0.0625,
          zeroFraction: 0.001,
          nanCount: 1,
          infiniteCount: 1,
        },
        { ...second!, shape: [], exponentEntropyBits: null, min: null, max: null, rms: null, zeroFraction: null },
      ],
      losslessEstimate: { dfloat11Bytes: null, splitPlaneBytes: 3000 },
    };
    const lines = await linesOf({ inspect: () => Promise.resolve(result) }, 'inspect', 'm', '--statistics');
    expect(lines[1]).toMatch(/BF16 +32 x 64 +4,096 +2\.500 bits +-0\.2500 +1\.500 +0\.06250 +0\.10 % +2 +plain/);
    expect(lines[2]).toMatch(/BF16 +\(\) +512 +- +- +- +- +- +0 +plain/);
    expect(lines).toContain('Architecture      not known');
    expect(lines).toContain('With DFloat11     cannot hold this model');
    expect(lines).toContain('With split-plane  about 2.93 KiB (3,000 bytes), 65.10 % of what is stored now');
  });

  it('keeps a hostile name in its cell', async () => {
    const tensors = [{ ...INSPECTED.tensors[0]!, name: 'a\nFormat\u001b[2J\u009b\tb', file: 'c\rd' }];
    const lines = await linesOf({ inspect: () => Promise.resolve({ ...INSPECTED, tensors }) }, 'inspect', 'm');
    expect(lines[1]).toMatch(/^a\\nFormat\\u001b\[2J\\u009b\\tb +BF16.* c\\u000dd$/);
  });

  it('of a model without tensors has no table', async () => {
    const result = { ...INSPECTED, tensors: [], parameters: 0, storedBytes: 0, bitsPerWeight: 0 };
    const lines = await linesOf({ inspect: () => Promise.resolve(result) }, 'inspect', 'm');
    expect(lines[0]).toBe('Format        safetensors');
  });
});

describe('compress for people', () => {
  it('sums up by method and compares before and after', async () => {
    expect(await linesOf({}, 'compress', 'm', '-o', 'o', ...PRESET)).toEqual([
      'method    tensors  weights  stored bytes  bits per weight',
      'dfloat11        1    2,048         2,788           10.891',
      'plain           1      256           512           16.000',
      '',
      'Output           /out/model.df11',
      'Run              run-1',
      'Weights          4.50 KiB -> 3.22 KiB, 71.61 %',
      'All files        4.88 KiB -> 3.91 KiB, 80.00 %',
      'Bits per weight  16.00 -> 11.46',
      'Time             1.3 s (processor 2.0 s)',
      'Peak memory      100.0 MiB',
      'Verified         every file read again, every tensor decoded and compared with the source',
      '',
    ]);
  });

  it('says that a run was resumed', async () => {
    const compress = () => Promise.resolve({ ...COMPRESSED, resumed: true });
    expect(await linesOf({ compress }, 'compress', 'm', '-o', 'o', ...PRESET)).toContain(
      'Run              run-1, resumed',
    );
  });
});

describe('estimate for people', () => {
  it('gives the bounds of size and time', async () => {
    const lines = await linesOf({}, 'estimate', 'm', ...PRESET);
    expect(lines).toContain('Stored then      3.22 KiB, 71.61 % (3.13 KiB to 3.32 KiB, as the weights turn out)');
    expect(lines).toContain('Time             1.0 s to 3.0 s');
    expect(lines).toContain('Would run        yes');
  });

  it('tells what evaluating takes, or why that cannot be', async () => {
    const lines = await linesOf({}, 'estimate', 'm', ...PRESET);
    const memory = '400.0 MiB of memory at most, 350.0 MiB at least, in windows of 256 tokens';
    expect(lines).toContain(`To evaluate      ${memory}`);
    const none = { context: 256, peakMemoryBytes: null, leastMemoryBytes: null, problem: 'Nobody can run it.' };
    const estimate = () => Promise.resolve({ ...ESTIMATED, evaluation: none });
    expect(await linesOf({ estimate }, 'estimate', 'm', ...PRESET)).toContain(
      'To evaluate      not possible: Nobody can run it.',
    );
  });

  it('lists problems, and says which of them stop the run', async () => {
    const problems = [
      { message: 'One tensor stays plain.', blocking: false },
      { message: 'It has no weights.', blocking: true },
    ];
    const estimate = () => Promise.resolve({ ...ESTIMATED, storedBytesLow: 3300, storedBytesHigh: 3300, problems });
    const lines = await linesOf({ estimate }, 'estimate', 'm', ...PRESET);
    expect(lines).toContain('Stored then      3.22 KiB, 71.61 % (exact)');
    expect(lines.slice(-5)).toEqual([
      '',
      'Problems:',
      '  One tensor stays plain.',
      '  stops it: It has no weights.',
      '',
    ]);
  });
});

describe('verify for people', () => {
  it('says what was checked and against what', async () => {
    expect(await linesOf({}, 'verify', 'd')).toEqual([
      'Format         dfloat11',
      'Compared with  what was recorded when it was written',
      'Files          1 read, 1 with a recorded SHA-256',
      'Tensors        1 decoded, 1 bit-exact',
      'Time           0.5 s (processor 0.6 s)',
      'Peak memory    90.0 MiB',
      'Result         ok',
      '',
    ]);
  });

  it('lists every file and tensor that failed', async () => {
    const fault = new VerificationError({ code: 'VERIFY_FAILED', what: 'Two differ.', whatToDo: 'Write it again.' });
    const result = {
      ...VERIFIED,
      ok: false,
      against: '/the/model',
      tensors: [
        { name: 'a', ok: true, bitExact: true },
        { name: 'b\u001b', ok: false, bitExact: false, problem: 'differs at byte 12' },
      ],
      files: [
        { name: 'model.safetensors', bytes: 1, sha256: '0', ok: false },
        { name: 'other', bytes: 1, sha256: '0', ok: null },
      ],
      error: serializeError(fault),
    };
    const lines = await linesOf({ verify: () => Promise.resolve(result) }, 'verify', 'd', '--against', '/the/model');
    expect(lines).toContain('Compared with  the original, /the/model');
    expect(lines).toContain('Files          2 read, 1 with a recorded SHA-256');
    expect(lines.slice(-6)).toEqual([
      'Result         FAILED',
      '',
      'Failed:',
      '  file model.safetensors: not the bytes that were written',
      '  tensor b\\u001b: differs at byte 12',
      '',
    ]);
  });
});

describe('restore for people', () => {
  it('lists files with their SHA-256 and says whether they are the original ones', async () => {
    const lines = await linesOf({}, 'restore', 'd', '-o', 'o');
    expect(lines[1]).toBe(`config.json    700  ${'0'.repeat(64)}`);
    expect(lines).toContain(
      'Identical    every file has the bytes of the original: weight files by XXH3-64, the others by SHA-256',
    );
    const restore = () => Promise.resolve({ ...RESTORED, filesIdentical: false });
    expect(await linesOf({ restore }, 'restore', 'd', '-o', 'o')).toContain(
      'Identical    every tensor is exact; the bytes of the original files are not known',
    );
  });
});

describe('doctor for people', () => {
  it('ends with the gaps and what to do about each, and exits 0', async () => {
    expect((await linesOf({}, 'doctor')).slice(-3)).toEqual(['', 'No problems found.', '']);
    const problems = [{ message: 'The kernels are missing.', whatToDo: 'Run npm run build.' }];
    const terminal = createFakeTerminal({ engine: { doctor: () => Promise.resolve({ ...EXAMINED, problems }) } });
    expect(await terminal.run('doctor')).toBe(0);
    expect(terminal.printed.stdout).toMatch(/Problems:\n {2}The kernels are missing\.\n {4}Run npm run build\.\n$/);
  });
});

describe('calibrations and the cache for people', () => {
  it('show inputs by the last parts of their maps, and what was found again', async () => {
    const lines = await linesOf({}, 'calibrate', 'm', '--text', 'a.txt');
    expect(lines[1]).toMatch(/^ {4}0 {2}q_proj, k_proj +64 {2}0\.750 +12\.5 +9\.3 +2$/);
    expect(lines).toContain('Tokens       512: 8 sequences of 64');
    expect(lines).toContain('Blocks       0 measured, 1 found in the cache');
  });

  it('show and clear what is kept', async () => {
    const shown = await linesOf({}, 'cache', 'show');
    expect(shown[1]).toMatch(/^input-columns +1 +2\.00 KiB$/);
    expect(shown).toContain('Entries  1, 2.00 KiB of 20.0 GiB');
    expect((await linesOf({}, 'cache', 'clear'))[0]).toMatch(/^1 entries, 2\.00 KiB, were removed from \//);
    expect((await linesOf({}, 'cache', 'clear', '--dry-run'))[0]).toMatch(/would be removed/);
  });
});

describe('schema for people', () => {
  it('is the JSON Schema of recipes as people write them: what has a default may be missing', async () => {
    const terminal = createFakeTerminal();
    expect(await terminal.run('schema', 'recipe')).toBe(0);
    expect(terminal.json()).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      required: ['lathe', 'steps'],
      additionalProperties: false,
    });
    expect(terminal.opened).toEqual([]);
  });

  it('is the JSON Schema of lathe.json, in which later releases may add keys', async () => {
    const terminal = createFakeTerminal();
    expect(await terminal.run('schema', 'result', '--json')).toBe(0);
    expect(terminal.json()).toMatchObject({ schema: 1, properties: { integrity: { type: 'string' } } });
    expect(terminal.json()).not.toHaveProperty('additionalProperties');
  });
});
