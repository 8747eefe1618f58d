import type { Command } from 'commander';
import { checkPath, invalidArgument, parseCount } from './flag-values.ts';
import type { CalibrationChoice, Invocation } from './invocation.ts';
import { CALIBRATION_DEFAULTS } from '../core/contract/calibration-result.ts';

/** `lathe calibrate`, and `lathe cache show | clear`. */
export function defineCacheCommands(
  program: Command,
  onParsed: (invocation: Invocation) => void,
  isDryRun: () => boolean,
): void {
  addCalibrationOptions(
    program
      .command('calibrate')
      .description("measure what a model's linear maps are given; figures are kept, and found again by every method")
      .argument('<model>', 'model folder, safetensors or GGUF file, shard index, or compressed folder'),
  )
    .option('--gram', 'also Gram matrices, which GPTQ and the like need')
    .action((model: string, options: CalibrationFlags & { gram?: true }) => {
      const calibration = chooseCalibration(options);
      if (calibration === null) throw invalidArgument('"lathe calibrate" needs a text.', 'Write --text FILE.');
      onParsed({ command: 'calibrate', model: checkPath(model, 'MODEL'), ...calibration, gram: options.gram === true });
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
export interface CalibrationFlags {
  text?: string[];
  sequences?: number;
  sequenceLength?: number;
  seed?: number;
}

/** The options that say what a model is shown. */
export function addCalibrationOptions(command: Command): Command {
  const { sequences, sequenceLength, seed } = CALIBRATION_DEFAULTS;
  return command
    .option('--text <file...>', 'UTF-8 calibration texts')
    .option('--sequences <n>', `windows chosen from the texts (default: ${sequences})`, (text) =>
      parseCount(text, '--sequences', 1),
    )
    .option('--sequence-length <n>', `tokens of a window (default: ${sequenceLength})`, (text) =>
      parseCount(text, '--sequence-length', 2),
    )
    .option('--seed <n>', `decides which windows (default: ${seed})`, (text) => parseCount(text, '--seed', 0));
}

/**
 * What was chosen; null where no text was named.
 *
 * @throws UsageError USAGE_INVALID_ARGUMENT for the other options without a text
 */
export function chooseCalibration(options: CalibrationFlags): CalibrationChoice | null {
  const { sequences, sequenceLength, seed } = options;
  const texts = (options.text ?? []).map((text) => checkPath(text, '--text'));
  const others = { '--sequences': sequences, '--sequence-length': sequenceLength, '--seed': seed };
  const [alone] = Object.entries(others).find(([, value]) => value !== undefined) ?? [];
  if (texts.length === 0 && alone !== undefined) {
    throw invalidArgument(`${alone} means nothing without a text.`, 'Add --text FILE, or leave it away.');
  }
  if (texts.length === 0) return null;
  return {
    texts,
    sequences: sequences ?? CALIBRATION_DEFAULTS.sequences,
    sequenceLength: sequenceLength ?? CALIBRATION_DEFAULTS.sequenceLength,
    seed: seed ?? CALIBRATION_DEFAULTS.seed,
  };
}
