import { describe, expect, it } from 'vitest';
import { parseCommandLine } from '../../../cli/command-line.ts';
import { UsageError } from '../../../core/errors.ts';

function parse(...argv: string[]) {
  const request = parseCommandLine(argv, '1.2.3', 100);
  if (request.kind !== 'run') throw new Error('expected a command');
  return request;
}

function faultOf(...argv: string[]): UsageError {
  try {
    parseCommandLine(argv, '1.2.3', 100);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('expected a usage error');
}

const NO_FLAGS = { json: false, events: false, quiet: false, verbose: false, threads: null, memoryLimitBytes: null };

describe('parsing the command line', () => {
  it('reads each command with what it leaves out filled in', () => {
    const preset = { kind: 'preset', name: 'lossless-dfloat11', calibrationTexts: [] };
    const withPreset = ['--preset', 'lossless-dfloat11'];
    expect(parse('inspect', 'm')).toEqual({
      kind: 'run',
      flags: NO_FLAGS,
      invocation: { command: 'inspect', model: 'm', statistics: false, texts: [] },
    });
    expect(parse('compress', 'm', '-o', 'out', ...withPreset).invocation).toEqual({
      command: 'compress',
      model: 'm',
      output: 'out',
      recipe: preset,
      resume: false,
      force: false,
      dryRun: false,
    });
    expect(parse('restore', 'm', '--output', 'out').invocation).toEqual({
      command: 'restore',
      model: 'm',
      output: 'out',
      dtype: null,
      maxShardBytes: null,
      force: false,
    });
    expect(parse('verify', 'd').invocation).toEqual({ command: 'verify', folder: 'd', against: null });
    expect(parse('estimate', 'm', ...withPreset).invocation).toEqual({
      command: 'estimate',
      model: 'm',
      recipe: preset,
    });
    expect(parse('evaluate', 'm', '--text', 't').invocation).toEqual({
      command: 'evaluate',
      model: 'm',
      reference: null,
      texts: ['t'],
      choices: null,
      context: 256,
      limitTokens: null,
      tokensOut: null,
      noiseFloorSeed: null,
      resume: false,
      force: false,
      dryRun: false,
    });
    expect(parse('doctor').invocation).toEqual({ command: 'doctor' });
    expect(parse('serve', '--open-none').invocation).toEqual({ command: 'serve', port: 0 });
    expect(parse('serve', '--port', '8470').invocation).toEqual({ command: 'serve', port: 8470 });
    expect(parse('schema', 'recipe').invocation).toEqual({ command: 'schema', kind: 'recipe' });
  });

  it('reads every flag of a command', () => {
    expect(parse('inspect', 'm', '--statistics').invocation).toMatchObject({ statistics: true });
    expect(parse('inspect', 'm', '--statistics', '--text', 'a').invocation).toMatchObject({ texts: ['a'] });
    expect(parse('cache', 'clear', '--dry-run').invocation).toEqual({ command: 'cache-clear', dryRun: true });
    expect(parse('run', 'b.yaml', '--force').invocation).toMatchObject({
      command: 'run',
      batch: 'b.yaml',
      force: true,
    });
    expect(parse('compress', 'm', '-o', 'o', '--recipe', 'r.yaml', '--resume', '--force').invocation).toMatchObject({
      recipe: { kind: 'file', path: 'r.yaml' },
      resume: true,
      force: true,
    });
    expect(parse('compress', 'm', '-o', 'o', '--recipe', 'r.yaml', '--dry-run').invocation).toMatchObject({
      dryRun: true,
    });
    expect(
      parse('restore', 'm', '-o', 'o', '--dtype', 'f32', '--max-shard-size', '5GB', '--force').invocation,
    ).toMatchObject({ dtype: 'f32', maxShardBytes: 5e9, force: true });
    expect(parse('verify', 'd', '--against', 'm').invocation).toMatchObject({ against: 'm' });
    const evaluate = ['evaluate', 'm', '--text', 'a', 'b', '--text', 'c', '--choices', 'q', '--reference', 'r'];
    const numbers = ['--context', '512', '--limit-tokens', '9000', '--noise-floor', '0'];
    expect(parse(...evaluate, ...numbers, '--tokens-out', 'o', '--resume', '--force').invocation).toEqual({
      command: 'evaluate',
      model: 'm',
      reference: 'r',
      texts: ['a', 'b', 'c'],
      choices: 'q',
      context: 512,
      limitTokens: 9000,
      tokensOut: 'o',
      noiseFloorSeed: 0,
      resume: true,
      force: true,
      dryRun: false,
    });
    expect(parse('evaluate', 'm', '--text', 't', '--dry-run').invocation).toMatchObject({ dryRun: true });
  });

  it.each([
    [[]],
    [['--text', '']],
    [['--choices', 'q', '--tokens-out', 'o']],
    [['--text', 't', '--noise-floor', '1']],
    [['--choices', 'q', '--reference', 'r', '--noise-floor', '1']],
    [['--text', 't', '--context', '1']],
    [['--text', 't', '--context', '2.5']],
    [['--text', 't', '--context', '-256']],
    [['--text', 't', '--context', '4294967296']],
    [['--text', 't', '--limit-tokens', '0']],
    [['--text', 't', '--dry-run', '--resume']],
  ])('refuses an evaluation that says nothing or contradicts itself: %j', (flags) => {
    expect(faultOf('evaluate', 'm', ...flags).code).toBe('USAGE_INVALID_ARGUMENT');
  });

  it.each([
    [['--json', '--threads', '3', '--memory-limit', '8GiB', 'inspect', 'm', '--events', 'ndjson']],
    [['inspect', '--threads=3', 'm', '--json', '--memory-limit', '8GiB', '--events=ndjson']],
    [['inspect', 'm', '--events', 'ndjson', '--memory-limit=8GiB', '--threads', '3', '--json']],
  ])('takes the global flags before and after the command: %j', (argv) => {
    expect(parse(...argv).flags).toEqual({
      ...NO_FLAGS,
      json: true,
      events: true,
      threads: 3,
      memoryLimitBytes: 8 * 2 ** 30,
    });
  });

  it('takes --device auto and --device cpu', () => {
    expect(parse('inspect', 'm', '--device', 'auto').flags).toEqual(NO_FLAGS);
    expect(parse('--device', 'cpu', 'inspect', 'm').flags).toEqual(NO_FLAGS);
  });

  it('takes what follows -- as arguments, whatever they look like', () => {
    expect(parse('inspect', '--', '--json').invocation).toEqual({
      command: 'inspect',
      model: '--json',
      statistics: false,
      texts: [],
    });
  });

  it('answers help and version as text', () => {
    expect(parseCommandLine(['--version'], '1.2.3', 100)).toEqual({ kind: 'text', key: 'version', text: '1.2.3\n' });
    for (const argv of [['--help'], ['-h'], ['help'], ['inspect', '--help'], ['help', 'inspect']]) {
      const request = parseCommandLine(argv, '1.2.3', 100);
      expect(request).toMatchObject({ kind: 'text', key: 'help' });
      expect(request.kind === 'text' && request.text).toMatch(/^Usage: lathe [\s\S]*--json[\s\S]*Exit codes:/);
    }
  });

  it.each([
    [[], 'USAGE_INVALID_ARGUMENT', 'No command was given.', 'inspect, compress, run, restore'],
    [['frobnicate'], 'USAGE_UNKNOWN_COMMAND', '"frobnicate" is not a command.', 'lathe --help'],
    [['compres', 'm'], 'USAGE_UNKNOWN_COMMAND', '"compres"', 'Write compress'],
    [['help', 'frobnicate'], 'USAGE_UNKNOWN_COMMAND', '"frobnicate"', 'lathe --help'],
    [['serve', '--port', '0'], 'USAGE_INVALID_ARGUMENT', '"0" is not a port for --port', '1 to 65535'],
    [['serve', '--port', '65536'], 'USAGE_INVALID_ARGUMENT', '"65536" is not a port', '1 to 65535'],
    [['serve', '--dry-run'], 'USAGE_INVALID_ARGUMENT', '--dry-run means nothing to "lathe serve"', 'Leave it away'],
    [['inspect'], 'USAGE_INVALID_ARGUMENT', 'MODEL is missing', 'lathe inspect --help'],
    [['inspect', 'a', 'b'], 'USAGE_INVALID_ARGUMENT', 'Expected 1 argument but got 2', 'lathe inspect --help'],
    [['inspect', ''], 'USAGE_INVALID_ARGUMENT', 'MODEL is empty', 'Write a path'],
    [
      ['inspect', 'm', '--frobnicate'],
      'USAGE_INVALID_ARGUMENT',
      '"--frobnicate" is not a flag',
      'lathe inspect --help',
    ],
    [['inspect', 'm', '--statistic'], 'USAGE_INVALID_ARGUMENT', '"--statistic"', 'Write --statistics'],
    [['--jsn', 'inspect', 'm'], 'USAGE_INVALID_ARGUMENT', '"--jsn"', 'Write --json'],
    [['inspect', 'm', '-z'], 'USAGE_INVALID_ARGUMENT', '"-z" is not a flag', 'lathe inspect --help'],
    [['inspect', 'm', '--threads'], 'USAGE_INVALID_ARGUMENT', '--threads <n>" has no value', '--help'],
    [['inspect', 'm', '--threads', '0'], 'USAGE_INVALID_ARGUMENT', '"0"', '1 to 1024'],
    [['inspect', 'm', '--threads', '-1'], 'USAGE_INVALID_ARGUMENT', '"-1"', '1 to 1024'],
    [['inspect', 'm', '--threads', '2.5'], 'USAGE_INVALID_ARGUMENT', '"2.5"', '1 to 1024'],
    [['inspect', 'm', '--threads', '1025'], 'USAGE_INVALID_ARGUMENT', '"1025"', '1 to 1024'],
    [['inspect', 'm', '--memory-limit', 'much'], 'USAGE_INVALID_ARGUMENT', '"much"', '8GiB'],
    [['inspect', 'm', '--memory-limit', '0'], 'USAGE_INVALID_ARGUMENT', '--memory-limit is "0"', 'above 0'],
    [['inspect', 'm', '--events', 'xml'], 'USAGE_INVALID_ARGUMENT', '"xml" is not a value of --events', 'ndjson'],
    [['inspect', 'm', '--device', 'gpu'], 'USAGE_INVALID_ARGUMENT', '"gpu" is not supported', '--device cpu'],
    [['inspect', 'm', '--device', 'gpu:1'], 'USAGE_INVALID_ARGUMENT', '"gpu:1" is not supported', '--device cpu'],
    [['inspect', 'm', '--device', 'tpu'], 'USAGE_INVALID_ARGUMENT', '"tpu" is not a value', 'auto, cpu'],
    [
      ['inspect', 'm', '--force'],
      'USAGE_INVALID_ARGUMENT',
      '--force means nothing',
      'compress, run, restore, export or evaluate',
    ],
    [['inspect', 'm', '--text', 'a'], 'USAGE_INVALID_ARGUMENT', '--text means nothing', '--statistics'],
    [['calibrate', 'm'], 'USAGE_INVALID_ARGUMENT', 'needs a text', '--text FILE'],
    [
      ['export', 'm', '--to', 'gguf', '--type', 'Q4_0', '-o', 'o.gguf', '--text', 'a', '--imatrix', 'b'],
      'USAGE_INVALID_ARGUMENT',
      'Both --text and --imatrix',
      'one of them',
    ],
    [
      ['export', 'm', '--to', 'gguf', '--type', 'Q4_0', '-o', 'o.gguf', '--imatrix', 'b', '--method', 'gptq'],
      'USAGE_INVALID_ARGUMENT',
      '--method gptq needs a calibration text',
      '--text FILE',
    ],
    [['verify', 'd', '--dry-run'], 'USAGE_INVALID_ARGUMENT', '--dry-run means nothing', 'compress'],
    [['restore', 'm', '-o', 'o', '--dry-run'], 'USAGE_INVALID_ARGUMENT', '--dry-run is not supported', 'compress'],
    [['restore', 'm'], 'USAGE_INVALID_ARGUMENT', '--output <dir>" is missing', 'lathe restore --help'],
    [['restore', 'm', '-o', ''], 'USAGE_INVALID_ARGUMENT', '--output is empty', 'Write a path'],
    [['restore', 'm', '-o', 'o', '--dtype', 'f64'], 'USAGE_INVALID_ARGUMENT', '"f64"', 'bf16, f16 or f32'],
    [['restore', 'm', '-o', 'o', '--max-shard-size', '0B'], 'USAGE_INVALID_ARGUMENT', '"0B"', 'above 0'],
    [['compress', 'm', '-o', 'o'], 'USAGE_INVALID_ARGUMENT', 'needs a recipe', '--preset NAME'],
    [['estimate', 'm'], 'USAGE_INVALID_ARGUMENT', '"lathe estimate" needs a recipe', '--recipe FILE'],
    [['estimate', 'm', '--recipe', ''], 'USAGE_INVALID_ARGUMENT', '--recipe is empty', 'Write a path'],
    [
      ['estimate', 'm', '--recipe', 'a', '--preset', 'b'],
      'USAGE_INVALID_ARGUMENT',
      'Both --recipe and --preset',
      'one',
    ],
    [['compress', 'm', '-o', 'o', '--recipe', 'r', '--dry-run', '--resume'], 'USAGE_INVALID_ARGUMENT', 'Both', 'one'],
    [['doctor', 'm'], 'USAGE_INVALID_ARGUMENT', 'Expected 0 arguments but got 1', 'lathe doctor --help'],
    [['schema'], 'USAGE_INVALID_ARGUMENT', 'KIND is missing', 'lathe schema --help'],
  ])('refuses %j as %s', (argv, code, what, whatToDo) => {
    const fault = faultOf(...argv);
    expect(fault.code).toBe(code);
    expect(fault.what).toContain(what);
    expect(fault.whatToDo).toContain(whatToDo);
    expect(`${fault.what} ${fault.whatToDo}`).not.toContain('error:');
  });
});
