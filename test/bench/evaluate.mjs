/**
 * `npm run bench -- evaluate [--model PATH]… [--large] [--quick] [--report]`: the speed and memory of `lathe evaluate`.
 *
 * The sample model, and every model folder given by --model, block by block beside one ONNX Runtime session that holds
 * the whole model as constants; where the time goes; the vocabulary kernel beside a memory copy; peak memory. `--large`
 * adds a random Llama of a billion parameters under --memory-limit 3GiB (minutes, 2.1 GB of disk). Results are compared
 * before they are timed. `--report` puts the tables into docs/benchmarks/evaluate.md.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { inRepository, isProgram, runProgram } from '../../scripts/run-command.mjs';
import { makeLlama } from './evaluate/make-llama.mjs';
import { bundleMeasurer, measurePasses } from '../../scripts/measure-models.mjs';
import { kernelTable, largeTable, passTable, processTable, splitTable } from './evaluate/evaluation-tables.mjs';
import { measureVocabulary } from './evaluate/vocabulary-rates.mjs';
import { writeFigures } from './evaluate/write-figures.mjs';
import { describeMachine } from '../../scripts/describe-machine.mjs';
import { lathe } from './lossless/lathe-commands.mjs';
import { peakMemoryOf } from '../../scripts/time-process.mjs';

const SAMPLE = inRepository('examples/models/docs-llama-7m');
const TEXT = inRepository('examples/texts/docs.test.txt');
const CONTEXT = 256;
const SEED = 20240;

function parseOptions() {
  const { values } = parseArgs({
    options: {
      model: { type: 'string', multiple: true },
      large: { type: 'boolean' },
      quick: { type: 'boolean' },
      report: { type: 'boolean' },
    },
  });
  return {
    models: [SAMPLE, ...(values.model ?? [])],
    isLarge: values.large === true,
    rounds: values.quick ? 2 : 5,
    report: values.report === true,
  };
}

/** Windows that take some seconds a round: fewer for larger models. */
function windowsFor(model) {
  return model === SAMPLE ? 64 : 8;
}

/** The whole command, with what it says of itself and what the kernel says of its memory. */
async function runCommandLine(work, model, tokens, more = []) {
  const asked = ['--text', TEXT, '--context', String(CONTEXT), '--limit-tokens', String(tokens)];
  const { command, args, env } = lathe(work, 'evaluate', model, ...asked, ...more);
  const { peakBytes, stdout } = await peakMemoryOf(command, args, env);
  // Paths of this machine are nobody's business.
  return { ...JSON.parse(stdout), model: basename(model), peakBytes };
}

async function bench() {
  const { models, isLarge, rounds, report } = parseOptions();
  const work = mkdtempSync(join(tmpdir(), 'lathe-bench-'));
  process.once('SIGINT', () => {
    rmSync(work, { recursive: true, force: true });
    process.exit(130);
  });
  const tables = [];
  function show(table) {
    tables.push(table);
    console.log(table);
  }
  const machine = await describeMachine();
  console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.kernel}, Node ${machine.node}, ${machine.rustc}`);
  console.log(`commit ${machine.commit}, ${machine.date}, ${rounds} rounds, medians`);
  const results = {};
  try {
    const measurer = await bundleMeasurer();
    results.passes = [];
    for (const model of models) {
      for (const threads of [1, machine.cores]) {
        const asked = { model, text: TEXT, windows: windowsFor(model), context: CONTEXT, threads, rounds };
        results.passes.push({ name: basename(model), ...(await measurePasses(measurer, asked)) });
      }
    }
    show(passTable(results.passes));
    show(splitTable(results.passes.filter(({ threads }) => threads === 1)));
    results.vocabulary = await measureVocabulary();
    show(kernelTable(results.vocabulary));
    results.processes = [];
    for (const model of models) {
      const tokens = CONTEXT * windowsFor(model);
      results.processes.push(await runCommandLine(work, model, tokens));
      results.processes.push(await runCommandLine(work, model, tokens, ['--reference', model]));
    }
    show(processTable(results.processes));
    if (isLarge) {
      const model = join(work, 'random-llama-1b');
      const parameters = makeLlama(model, SAMPLE, SEED);
      const large = await runCommandLine(work, model, 4096, ['--memory-limit', '3GiB']);
      results.large = { parameters, ...large };
      show(largeTable(results.large));
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  mkdirSync(inRepository('bench-results'), { recursive: true });
  writeFileSync(inRepository('bench-results/evaluate.json'), JSON.stringify({ machine, ...results }, null, 2));
  if (report) writeFigures({ machine, rounds, tables });
}

if (isProgram(import.meta.url)) await runProgram(bench);
