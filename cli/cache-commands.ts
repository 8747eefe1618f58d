import type { Command } from 'commander';
import { checkPath, invalidArgument, parseCount } from './flag-values.ts';
import type { Invocation } from './invocation.ts';

/** As GPTQ's and llama.cpp's users do: some ten thousand tokens. */
const DEFAULT_SEQUENCES = 64;
const DEFAULT_SEQUENCE_LENGTH = 256;

/** `lathe calibrate`, and `lathe cache show | clear`. */
export function defineCacheCommands(
  program: Command,
  onParsed: (invocation: Invocation) => void,
  isDryRun: () => boolean,
): void {
  program
    .command('calibrate')
    .description("measure what a model's linear maps are given; figures are kept, and found again by every method")
    .argument('<model>', 'model folder, safetensors or GGUF file, shard index, or compressed folder')
    .option('--text <file...>', 'UTF-8 calibration texts')
    .option('--sequences <n>', `windows chosen from the texts (default: ${DEFAULT_SEQUENCES})`, (text) =>
      parseCount(text, '--sequences', 1),
    )
    .option('--sequence-length <n>', `tokens of a window (default: ${DEFAULT_SEQUENCE_LENGTH})`, (text) =>
      parseCount(text, '--sequence-length', 2),
    )
    .option('--seed <n>', 'decides which windows (default: 0)', (text) => parseCount(text, '--seed', 0))
    .option('--gram', 'also Gram matrices, which GPTQ and the like need')
    .action((model: string, options: CalibrateFlags) => {
      const texts = (options.text ?? []).map((text) => checkPath(text, '--text'));
      if (texts.length === 0) throw invalidArgument('"lathe calibrate" needs a text.', 'Write --text FILE.');
      onParsed({
        command: 'calibrate',
        model: checkPath(model, 'MODEL'),
        texts,
        sequences: options.sequences ?? DEFAULT_SEQUENCES,
        sequenceLength: options.sequenceLength ?? DEFAULT_SEQUENCE_LENGTH,
        seed: options.seed ?? 0,
        gram: options.gram === true,
      });
    });
  const cache = program.command('cache').description('the measurement cache: show, clear');
  cache
    .command('show')
    .description('show what is kept, and how much of it')
    .action(() => onParsed({ command: 'cache-show' }));
  cache
    .command('clear')
    .description('remove all of it; what is needed is measured again')
    .action(() => onParsed({ command: 'cache-clear', dryRun: isDryRun() }));
}

/** As commander gives them. */
interface CalibrateFlags {
  text?: string[];
  sequences?: number;
  sequenceLength?: number;
  seed?: number;
  gram?: true;
}
