import { Command, CommanderError } from 'commander';
import {
  checkDevice,
  checkPath,
  formatAlternatives,
  invalidArgument,
  parseChoice,
  parseCount,
  parsePositiveBytes,
  parseThreads,
} from './flag-values.ts';
import {
  addCalibrationOptions,
  chooseCalibration,
  defineCacheCommands,
  type CalibrationFlags,
} from './cache-commands.ts';
import { GGUF_MIXES, ggufMixNamed, type GgufMix } from '../core/contract/gguf-mixes.ts';
import type { EvaluateInvocation, Invocation, Request } from './invocation.ts';
import { addRecipeOptions, chooseRecipe, type RecipeFlags } from './recipe-options.ts';
import { defineRunCommands } from './run-commands.ts';
import { defineServeCommand } from './serve-options.ts';
import { toUsageError, unknownCommand } from './usage-fault.ts';

const OUTPUT_TEXT = `
Output:
  Data goes to stdout; progress, notes, warnings and errors go to stderr. Progress is a line that is rewritten on a
  terminal, else a plain line at each stage and every 10 seconds. With --json stdout has the document and nothing
  else, notes stand in it, and only a terminal shows progress. NO_COLOR=1 turns colour off.
  LATHE_HOME is the folder of runs and settings. The first Ctrl-C stops cleanly, the second at once.

Exit codes:
  0 done   1 expected failure   2 usage   3 bad input file   4 not enough memory or disk   5 verification failed
  6 a quality limit was missed   70 a fault in Lathe   75 interrupted, can be resumed   130 cancelled`;

const EXAMPLES_TEXT = `
Examples:
  lathe inspect path/to/model --statistics
  lathe compress path/to/model -o model.df11 --preset lossless-dfloat11
  lathe verify model.df11 --against path/to/model
  lathe evaluate model.df11 --text some.txt --reference path/to/model
  lathe restore model.df11 -o model.restored
  lathe run nightly.yaml
  lathe runs list
  lathe resume 20260102T1504
  lathe export path/to/model --to gguf --type Q4_K_M -o model.gguf`;

/** Flags of the program itself, as commander gives them. */
interface GlobalOptions {
  json?: true;
  events?: 'ndjson';
  quiet?: true;
  verbose?: true;
  threads?: number;
  memoryLimit?: number;
  dryRun?: true;
  force?: true;
}

/**
 * Parses the arguments.
 *
 * @param argv without the program's own two
 * @param helpColumns how wide help may be
 * @throws UsageError USAGE_UNKNOWN_COMMAND, USAGE_INVALID_ARGUMENT
 */
export function parseCommandLine(argv: readonly string[], version: string, helpColumns: number): Request {
  let printed = '';
  const parsed: Invocation[] = [];
  const program = defineProgram(version, (text) => (printed += text), helpColumns);
  defineCommands(program, (invocation) => parsed.push(invocation));
  const names = program.commands.map((command) => command.name());
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) {
      return { kind: 'text', key: error.code === 'commander.version' ? 'version' : 'help', text: printed };
    }
    if (error.code === 'commander.help' && argv.includes('help')) {
      throw unknownCommand(argv[argv.indexOf('help') + 1] ?? '', 'See "lathe --help".');
    }
    const command = argv.find((argument) => names.includes(argument)) ?? null;
    throw toUsageError(error, command, names);
  }
  const [invocation] = parsed;
  if (invocation === undefined) throw new Error('commander returned without a command');
  const { json, events, quiet, verbose, threads, memoryLimit, force, dryRun } = program.opts<GlobalOptions>();
  refuseMeaningless(invocation, force === true, dryRun === true);
  return {
    kind: 'run',
    flags: {
      json: json === true,
      events: events === 'ndjson',
      quiet: quiet === true,
      verbose: verbose === true,
      threads: threads ?? null,
      memoryLimitBytes: memoryLimit ?? null,
    },
    invocation,
  };
}

/** Of `export`, as commander gives them. */
interface ExportFlags extends CalibrationFlags {
  output: string;
  type?: GgufMix;
  method?: 'rtn' | 'gptq';
  imatrix?: string;
  tokenizer: boolean;
}

/** Of `evaluate`, as commander gives them. */
interface EvaluateFlags {
  text?: string[];
  choices?: string;
  reference?: string;
  context?: number;
  limitTokens?: number;
  tokensOut?: string;
  noiseFloor?: number;
  resume?: true;
}

/** Every model takes it, it is quick, and it does not depend on the model, so that figures can be compared. */
const DEFAULT_CONTEXT = 256;

function defineProgram(version: string, write: (text: string) => void, helpColumns: number): Command {
  return (
    new Command('lathe')
      .description('A workbench for compressing language models: lossless coding, verified, byte for byte undone.')
      .usage('COMMAND [arguments] [flags]')
      .exitOverride()
      .configureOutput({ writeOut: write, writeErr: () => undefined, getOutHelpWidth: () => helpColumns })
      .configureHelp({ showGlobalOptions: true })
      .version(version, '--version', 'print the version')
      .option('--json', 'print one JSON document on stdout, also on failure')
      .option('--events <format>', 'stream progress events and errors on stderr: ndjson', (text) =>
        parseChoice(text, '--events', ['ndjson']),
      )
      .option('--quiet', 'no progress and no notes on stderr; warnings and errors stay')
      .option('--verbose', "errors with stack and causes, and what goes into the run's log")
      .option('--threads <n>', 'threads to compute with (default: every logical processor)', parseThreads)
      .option('--memory-limit <bytes>', 'most memory of the process, as in 8GiB', (text) =>
        parsePositiveBytes(text, '--memory-limit'),
      )
      .option('--device <device>', 'auto, cpu or gpu[:N]; this release computes on the CPU', checkDevice)
      .option(
        '--dry-run',
        'compress, run, evaluate, runs clean, cache clear: check all, say what would be done, write nothing',
      )
      .option('--force', 'compress, run, restore, export, evaluate: replace an existing output')
      // Exit codes stand on every command's page, examples on the first.
      .addHelpText('after', EXAMPLES_TEXT)
      .addHelpText('afterAll', OUTPUT_TEXT)
  );
}

function defineCommands(program: Command, onParsed: (invocation: Invocation) => void): void {
  function isSet(name: 'force' | 'dryRun'): boolean {
    return program.opts<GlobalOptions>()[name] === true;
  }
  program
    .command('inspect')
    .description('list the tensors of a model, its size, and with --statistics what lossless coding would gain')
    .argument('<model>', 'model folder, safetensors or GGUF file, shard index, or compressed folder')
    .option('--statistics', 'read the data too: entropy, extremes, zeros, predicted sizes')
    .option(
      '--text <file...>',
      'with --statistics: also what each linear map is given, as "lathe calibrate" measures it',
    )
    .action((model: string, options: { statistics?: true; text?: string[] }) => {
      const texts = (options.text ?? []).map((text) => checkPath(text, '--text'));
      if (texts.length > 0 && options.statistics !== true) {
        throw invalidArgument('--text means nothing without --statistics.', 'Add --statistics, or leave --text away.');
      }
      onParsed({ command: 'inspect', model: checkModel(model), statistics: options.statistics === true, texts });
    });
  addRecipeOptions(
    program
      .command('compress')
      .description('compress a model by a recipe, and verify what was written')
      .argument('<model>', 'model folder, safetensors file or shard index')
      .requiredOption('-o, --output <dir>', 'the folder to write'),
  )
    .option('--resume', 'go on with the interrupted run on this output')
    .action((model: string, options: RecipeFlags & { output: string; resume?: true }) => {
      onParsed({
        command: 'compress',
        model: checkModel(model),
        output: checkPath(options.output, '--output'),
        recipe: chooseRecipe('compress', options),
        resume: options.resume === true,
        force: isSet('force'),
        dryRun: isSet('dryRun'),
      });
    });
  program
    .command('run')
    .description('run a batch: many recipes over many models; run again, it does only what is missing')
    .argument('<batch>', 'batch file, YAML or JSON; "lathe schema batch" says what is in one')
    .action((batch: string) => {
      onParsed({ command: 'run', batch: checkPath(batch, 'BATCH'), force: isSet('force'), dryRun: isSet('dryRun') });
    });
  program
    .command('restore')
    .description('undo a compression, byte for byte; make a safetensors model of a GGUF file')
    .argument('<model>', 'compressed folder, or GGUF file')
    .requiredOption('-o, --output <dir>', 'the folder to write')
    .option('--dtype <dtype>', 'bf16, f16 or f32, where files are made anew', (text) =>
      parseChoice(text.toLowerCase(), '--dtype', ['bf16', 'f16', 'f32']),
    )
    .option('--max-shard-size <bytes>', 'as in 5GB, where files are made anew', (text) =>
      parsePositiveBytes(text, '--max-shard-size'),
    )
    .action((model: string, options: { output: string; dtype?: 'bf16' | 'f16' | 'f32'; maxShardSize?: number }) => {
      onParsed({
        command: 'restore',
        model: checkModel(model),
        output: checkPath(options.output, '--output'),
        dtype: options.dtype ?? null,
        maxShardBytes: options.maxShardSize ?? null,
        force: isSet('force'),
      });
    });
  addCalibrationOptions(
    program
      .command('export')
      .description('write a model in the format of another program, and verify it by reading it back')
      .argument('<model>', 'model folder, safetensors file or shard index, or a folder that a recipe has quantized')
      .requiredOption('--to <format>', 'gguf', (text) => parseChoice(text, '--to', ['gguf']))
      .option(
        '--type <type>',
        `what the weights become: ${GGUF_MIXES.join(', ')}; left away for a folder that a recipe has quantized`,
        parseMix,
      )
      .requiredOption('-o, --output <file>', 'the file to write'),
  )
    .option(
      '--method <method>',
      'with a text: rtn (weighted rounding, the default), or gptq (error feedback)',
      (text) => parseChoice(text, '--method', ['rtn', 'gptq']),
    )
    .option('--imatrix <file>', "in place of a text: llama.cpp's importance matrix, in GGUF")
    .option('--no-tokenizer', 'leave the tokenizer away, where GGUF cannot hold it')
    .action((model: string, options: ExportFlags) => {
      const calibration = chooseCalibration(options);
      const { method = 'rtn', type } = options;
      if (
        type === undefined &&
        (calibration !== null || options.imatrix !== undefined || options.method !== undefined)
      ) {
        throw invalidArgument('Nothing is quantized without --type.', 'Add --type, or leave the other flags away.');
      }
      if (method === 'gptq' && calibration === null) {
        throw invalidArgument('--method gptq needs a calibration text.', 'Add --text FILE.');
      }
      const imatrix = options.imatrix === undefined ? null : checkPath(options.imatrix, '--imatrix');
      if (imatrix !== null && calibration !== null) {
        throw invalidArgument('Both --text and --imatrix were given.', 'Write one of them.');
      }
      onParsed({
        command: 'export',
        model: checkModel(model),
        output: checkGgufPath(options.output),
        type: options.type ?? null,
        calibration,
        imatrix,
        method,
        hasTokenizer: options.tokenizer,
        force: isSet('force'),
      });
    });
  program
    .command('verify')
    .description('re-read a compressed folder or GGUF file, decode every tensor, compare with the original')
    .argument('<dir>', 'compressed folder, or GGUF file')
    .option('--against <model>', 'the original, to compare with bit by bit')
    .action((folder: string, { against }: { against?: string }) => {
      onParsed({
        command: 'verify',
        folder: checkPath(folder, 'DIR'),
        against: against === undefined ? null : checkPath(against, '--against'),
      });
    });
  addRecipeOptions(
    program
      .command('estimate')
      .description('from headers alone: output size, memory and time of a recipe, and what is unsupported')
      .argument('<model>', 'model folder, safetensors file or shard index'),
  ).action((model: string, options: RecipeFlags) => {
    onParsed({ command: 'estimate', model: checkModel(model), recipe: chooseRecipe('estimate', options) });
  });
  addRecipeOptions(
    program
      .command('explain')
      .description('what a recipe makes of each tensor, and which of its rules decided')
      .argument('<model>', 'model folder, safetensors file or shard index'),
  )
    .option('--tensor <name>', 'a name, or a regular expression that is searched for in names')
    .action((model: string, options: RecipeFlags & { tensor?: string }) => {
      const recipe = chooseRecipe('explain', options);
      onParsed({ command: 'explain', model: checkModel(model), recipe, tensor: options.tensor ?? null });
    });
  program
    .command('evaluate')
    .description('measure a model: perplexity, divergence from a reference, or accuracy on choices')
    .argument('<model>', 'model folder, safetensors or GGUF file, shard index, or compressed folder')
    .option('--text <file...>', 'UTF-8 texts; each is measured on its own')
    .option('--choices <file>', 'questions, {"context", "choices", "answer"} a line')
    .option('--reference <model>', 'the model to compare with, of the same tokenizer')
    .option(
      '--context <n>',
      `tokens of a window (default: ${DEFAULT_CONTEXT}, which every model takes; published figures often have 2048)`,
      (text) => parseCount(text, '--context', 2),
    )
    .option('--limit-tokens <n>', 'the first n tokens of each text', (text) => parseCount(text, '--limit-tokens', 1))
    .option('--tokens-out <file>', 'write the figures of every token, as docs/formats/tokens.md says')
    .option('--noise-floor <seed>', 'also the divergence that rounding the reference at random makes', (text) =>
      parseCount(text, '--noise-floor', 0),
    )
    .option('--resume', 'go on with the interrupted evaluation of the same arguments')
    .action((model: string, options: EvaluateFlags) => {
      const path = (name: string, value: string | undefined) => (value === undefined ? null : checkPath(value, name));
      onParsed({
        command: 'evaluate',
        model: checkModel(model),
        reference: path('--reference', options.reference),
        texts: (options.text ?? []).map((text) => checkPath(text, '--text')),
        choices: path('--choices', options.choices),
        context: options.context ?? DEFAULT_CONTEXT,
        limitTokens: options.limitTokens ?? null,
        tokensOut: path('--tokens-out', options.tokensOut),
        noiseFloorSeed: options.noiseFloor ?? null,
        resume: options.resume === true,
        force: isSet('force'),
        dryRun: isSet('dryRun'),
      });
    });
  defineCacheCommands(program, onParsed, () => isSet('dryRun'));
  defineRunCommands(program, onParsed, () => isSet('dryRun'));
  defineServeCommand(program, onParsed);
  program
    .command('doctor')
    .description('show processor, kernels, limits and versions, and what to do about each gap')
    .action(() => onParsed({ command: 'doctor' }));
  program
    .command('schema')
    .description('print a published JSON Schema')
    .argument('<kind>', 'recipe, batch, or result (lathe.json)')
    .action((kind: string) => onParsed({ command: 'schema', kind }));
}

function parseMix(text: string): GgufMix {
  const mix = ggufMixNamed(text);
  if (mix !== null) return mix;
  throw invalidArgument(`--type is "${text}".`, `Write ${formatAlternatives([...GGUF_MIXES])}.`);
}

/** Other programs know the format by it. */
function checkGgufPath(text: string): string {
  const path = checkPath(text, '--output');
  if (/\.gguf$/i.test(path)) return path;
  throw invalidArgument(`--output is "${text}", which does not end in ".gguf".`, 'Name a file such as model.gguf.');
}

function checkModel(model: string): string {
  return checkPath(model, 'MODEL');
}

/** A flag that would be ignored is refused. */
function refuseMeaningless(invocation: Invocation, force: boolean, dryRun: boolean): void {
  // A command of several words has dashes between them.
  const command = invocation.command.replaceAll('-', ' ');
  const writers = ['compress', 'run', 'restore', 'export', 'evaluate'];
  if (force && !writers.includes(command)) {
    throw invalidArgument(
      `--force means nothing to "lathe ${command}".`,
      `Leave it away; it is for ${formatAlternatives(writers)}.`,
    );
  }
  const planners = ['compress', 'run', 'evaluate', 'runs clean', 'cache clear'];
  if (dryRun && !planners.includes(command)) {
    const why = writers.includes(command) ? 'is not supported by' : 'means nothing to';
    throw invalidArgument(
      `--dry-run ${why} "lathe ${command}".`,
      `Leave it away; it is for ${formatAlternatives(planners)}.`,
    );
  }
  if (invocation.command === 'evaluate') refuseEmptyEvaluation(invocation);
  const { command: asked } = invocation;
  if ((asked === 'compress' || asked === 'evaluate') && invocation.dryRun && invocation.resume) {
    throw invalidArgument('Both --dry-run and --resume were given.', 'Leave one of them away.');
  }
}

function refuseEmptyEvaluation({ texts, choices, reference, noiseFloorSeed, tokensOut }: EvaluateInvocation): void {
  if (texts.length === 0 && choices === null) {
    throw invalidArgument('"lathe evaluate" needs something to read.', 'Write --text FILE, or --choices FILE.');
  }
  if (noiseFloorSeed !== null && (reference === null || texts.length === 0)) {
    throw invalidArgument('--noise-floor needs a text and a reference.', 'Add --text FILE and --reference MODEL.');
  }
  if (tokensOut !== null && texts.length === 0) {
    throw invalidArgument('--tokens-out means nothing without a text.', 'Add --text FILE, or leave it away.');
  }
}
