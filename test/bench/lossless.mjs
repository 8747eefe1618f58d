/**
 * `npm run bench -- lossless [--quick] [--only PART,PART…] [--folder DIR] [--report]`: speed, size and memory of both lossless codecs
 * beside a memory copy, zstd, ZipNN and the DFloat11 package's own loop.
 *
 * Parts: kernels, sample, processes, large, scaling, memory, starts, python. Everything is decoded and compared before it
 * is timed. Tables go to the terminal, all figures to bench-results/lossless.json. `--quick` leaves out what takes minutes
 * (large, scaling, memory) and repeats less. Works below DIR (default: /dev/shm if it has room, else the temporary folder);
 * the large model lies in the temporary folder always, and takes about 12 GiB there. `--report` puts the tables into
 * docs/benchmarks/lossless.md.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { inRepository, isProgram, runCommand, runProgram, Stop } from '../../scripts/run-command.mjs';
import { measureSizes } from './lossless/code-sizes.mjs';
import { describeMachine } from '../../scripts/describe-machine.mjs';
import { goalTable, judgeGoals } from './lossless/judge-goals.mjs';
import { measureKernels } from './lossless/kernel-rates.mjs';
import { lathe, resultOf } from './lossless/lathe-commands.mjs';
import { makeModel } from './lossless/make-weights.mjs';
import { measureMemory, measureStarts } from './lossless/memory-and-starts.mjs';
import { measurePythonPeers } from './lossless/python-peers.mjs';
import {
  formatTable,
  kernelTable,
  memoryTable,
  processTable,
  scalingTable,
  seconds,
} from './lossless/report-tables.mjs';
import { writeReport } from './lossless/write-report.mjs';
import { measureProcesses, measureScaling } from './lossless/whole-processes.mjs';

const PARTS = ['kernels', 'sample', 'processes', 'large', 'scaling', 'memory', 'starts', 'python'];
const SLOW_PARTS = ['large', 'scaling', 'memory'];
const SAMPLE = inRepository('examples/models/docs-llama-7m');
const GIBI = 1 << 30;
const SEED = 20240;
/** `--memory-limit` has to hold from 256 MiB on. */
const MEMORY_LIMITS = [null, '256MiB'];

function parseOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      only: { type: 'string' },
      folder: { type: 'string' },
      report: { type: 'boolean' },
    },
  });
  const asked = values.only?.split(',') ?? PARTS.filter((part) => !values.quick || !SLOW_PARTS.includes(part));
  const unknown = asked.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Stop(`"${unknown}" is not a part. Parts: ${PARTS.join(', ')}`);
  return {
    parts: new Set(asked),
    runs: values.quick ? 3 : 7,
    folder: values.folder ?? fastFolder(),
    report: values.report === true,
  };
}

/** Memory rather than disk, so that both sides of a comparison meet the same files and no disk. */
function fastFolder() {
  const shared = '/dev/shm';
  if (!existsSync(shared)) return tmpdir();
  const { bavail, bsize } = statfsSync(shared);
  return bavail * bsize > 6 * GIBI ? shared : tmpdir();
}

/** zstd comes from Debian; it is installed where that can be done without asking. */
async function hasZstd() {
  const works = async () => (await runCommand('zstd', ['--version'], { output: 'capture' })).code === 0;
  if (await works()) return true;
  if (process.getuid?.() === 0) {
    await runCommand('apt-get', ['install', '-y', '--no-install-recommends', 'zstd'], { output: 'capture' });
  }
  return works();
}

async function bench() {
  const { parts, runs, folder, report } = parseOptions();
  const work = mkdtempSync(join(folder, 'lathe-bench-'));
  const diskWork = mkdtempSync(join(tmpdir(), 'lathe-bench-'));
  function removeAll() {
    for (const path of [work, diskWork]) rmSync(path, { recursive: true, force: true });
  }
  process.once('SIGINT', () => {
    removeAll();
    process.exit(130);
  });
  const tables = [];
  function show(table) {
    tables.push(table);
    console.log(table);
  }
  const machine = await describeMachine();
  console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.kernel}, Node ${machine.node}, ${machine.rustc}`);
  console.log(`commit ${machine.commit}, ${machine.date}, files in ${folder}, ${runs} runs, medians`);
  const zstd = await hasZstd();
  if (!zstd) console.log('zstd is not installed: its rows are not measured here.');
  const levels = zstd ? [1, 3] : [];
  const results = {};
  try {
    if (parts.has('kernels')) {
      results.kernels = await measureKernels();
      show(kernelTable(results.kernels));
    }
    if (parts.has('sample')) {
      const weightFile = join(SAMPLE, 'model.safetensors');
      const options = { levels: zstd ? [1, 3, 19] : [], runs };
      results.sample = await measureProcesses(work, SAMPLE, weightFile, options);
      show(processTable('The sample model (13.3 MiB), whole processes, one thread', results.sample));
      results.sizes = { 'sample model': await measureSizes(work, SAMPLE) };
    }
    if (parts.has('processes') || parts.has('python')) {
      const model = join(work, 'model');
      const weightFile = makeModel(model, GIBI / 4, 1024, SEED);
      if (parts.has('processes')) {
        results.processes = await measureProcesses(work, model, weightFile, { levels, runs });
        show(processTable('256 MiB of made-up weights, whole processes, one thread', results.processes));
      }
      if (parts.has('python')) {
        results.python = await measurePythonPeers(work, weightFile);
        show(pythonTable(results.python));
      }
      rmSync(model, { recursive: true });
    }
    if (parts.has('large') || parts.has('scaling')) {
      const model = join(work, 'model');
      const weightFile = makeModel(model, GIBI, 2048, SEED);
      if (parts.has('large')) {
        results.large = await measureProcesses(work, model, weightFile, { levels, runs: 3 });
        show(processTable('1 GiB of made-up weights, whole processes, one thread', results.large));
        results.sizes = { ...results.sizes, '1 GiB of made-up weights': await measureSizes(work, model) };
      }
      if (parts.has('scaling')) {
        results.scaling = await measureScaling(work, model, 3);
        show(scalingTable(results.scaling));
      }
      rmSync(model, { recursive: true });
    }
    if (parts.has('memory')) {
      const model = join(diskWork, 'model');
      const modelBytes = statSync(makeModel(model, 4 * GIBI, 4096, SEED)).size;
      const largestTensorBytes = await largestTensor(diskWork, model);
      results.memory = { modelBytes, largestTensorBytes, rows: await measureMemory(diskWork, model, MEMORY_LIMITS) };
      show(memoryTable(results.memory.rows, modelBytes, largestTensorBytes));
      rmSync(model, { recursive: true });
    }
    if (parts.has('starts')) {
      results.starts = await measureStarts(work, runs);
      const { inspect, help, node } = results.starts;
      const rows = Object.entries({
        'inspect, 100 shards, 5,000 tensors': inspect,
        'lathe --help': help,
        'node -e 0': node,
      });
      const cells = rows.map(([what, time]) => [what, seconds(time.wallSeconds), seconds(time.bestWallSeconds)]);
      show(formatTable('Starts, whole processes', ['what', 'median', 'best'], cells));
    }
  } finally {
    removeAll();
  }
  const goals = judgeGoals(results);
  show(goalTable(goals));
  mkdirSync(inRepository('bench-results'), { recursive: true });
  const document = { schema: 1, machine, folder, runs, results, goals, tables };
  writeFileSync(inRepository('bench-results/lossless.json'), `${JSON.stringify(document, null, 1)}\n`);
  console.log('All figures: bench-results/lossless.json');
  if (report) writeReport(document);
}

async function largestTensor(work, model) {
  const { tensors } = await resultOf(lathe(work, 'inspect', model));
  return Math.max(...tensors.map(({ storedBytes }) => storedBytes));
}

function pythonTable({ dfloat11Loop, zipnn, note }) {
  const missing = note ?? 'not measured here';
  const mega = (value) => `${value.toFixed(value < 10 ? 1 : 0)} M weights/s`;
  return formatTable(
    'In Python, one thread',
    ['what', 'encode', 'decode', 'of original'],
    [
      ["the DFloat11 package's loop over weights", dfloat11Loop ? mega(dfloat11Loop.encodeMweights) : missing, '', ''],
      zipnn
        ? [zipnn.version, mega(zipnn.encodeMweights), mega(zipnn.decodeMweights), `${(100 * zipnn.ratio).toFixed(2)} %`]
        : ['ZipNN', missing, '', ''],
    ],
  );
}

if (isProgram(import.meta.url)) await runProgram(bench);
