/**
 * `npm run bench -- quantize [--quick] [--full] [--only PART,PART…] [--folder DIR] [--report]`: the speed of quantization
 * to GGUF beside llama.cpp's llama-quantize, per CPU second; GPTQ of a layer beside a matrix product; a model in the shapes
 * of a 7 B one beside a copy of its bytes.
 *
 * Parts: formats, threads, gptq, large. What both programs write is decoded and compared before it is timed. Formats that
 * are only rounded are timed on 1 GiB of weights, searched ones on a quarter of that, with `--full` on 1 GiB too (llama-quantize
 * takes minutes then). `--quick` leaves out large, and times once. The first run builds llama-quantize, which takes minutes.
 * Works below DIR (default: /dev/shm if it has room, else the temporary folder); the large model lies in the temporary
 * folder always. Tables go to the terminal, all figures to bench-results/quantize.json; `--report` puts the tables into
 * docs/benchmarks/quantize.md.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeMachine } from '../../scripts/describe-machine.mjs';
import { ensureLlamaQuantize, LLAMA } from '../../scripts/interop/peers-folder.mjs';
import { replaceFigures } from '../../scripts/replace-figures.mjs';
import { inRepository, isProgram, runProgram, Stop } from '../../scripts/run-command.mjs';
import { goalTable } from './lossless/judge-goals.mjs';
import { exportSource, measureFormats } from './quantize/format-speeds.mjs';
import { measureLarge } from './quantize/large-model.mjs';
import { measureFeedback } from './quantize/layer-feedback.mjs';
import { makeLlamaOf, ONE_GIBI, QUARTER } from './quantize/make-llamas.mjs';
import {
  errorsTable,
  feedbackTable,
  formatsTable,
  judgeQuantizeGoals,
  largeTable,
} from './quantize/quantize-tables.mjs';
import { FORMATS } from './quantize/quantizer-commands.mjs';

const PARTS = ['formats', 'threads', 'gptq', 'large'];
const GIBI = 2 ** 30;
/** One rounded and one searched type say how threads help. */
const THREADED = ['Q8_0', 'Q4_K'];

function parseOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      full: { type: 'boolean' },
      only: { type: 'string' },
      folder: { type: 'string' },
      report: { type: 'boolean' },
    },
  });
  const asked = values.only?.split(',') ?? PARTS.filter((part) => !values.quick || part !== 'large');
  const unknown = asked.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Stop(`"${unknown}" is not a part. Parts: ${PARTS.join(', ')}`);
  return {
    parts: new Set(asked),
    runs: values.quick ? 1 : 3,
    isFull: values.full === true,
    folder: values.folder ?? fastFolder(),
    report: values.report === true,
  };
}

/** Memory rather than disk, so that both programs meet the same files and no disk. */
function fastFolder() {
  const shared = '/dev/shm';
  if (!existsSync(shared)) return tmpdir();
  const { bavail, bsize } = statfsSync(shared);
  return bavail * bsize > 6 * GIBI ? shared : tmpdir();
}

/** Null, said aloud, where it cannot be built: its columns are not measured then. */
async function findPeer() {
  try {
    return { path: await ensureLlamaQuantize(), note: `llama-quantize of node-llama-cpp ${LLAMA.version}'s source` };
  } catch (error) {
    const note = `llama-quantize is not measured: ${String(error.message).split('\n')[0]}`;
    console.log(note);
    return { path: null, note };
  }
}

async function measureBoth(work, { parts, runs, isFull }, llamaQuantize) {
  const rows = [];
  const sizes = [
    [ONE_GIBI, ({ isPlain }) => isFull || isPlain === true],
    [QUARTER, ({ isPlain }) => !isFull && isPlain !== true],
  ];
  for (const [shape, isWanted] of sizes) {
    const formats = FORMATS.filter(isWanted);
    if (formats.length === 0) continue;
    const [model, source] = [join(work, 'model'), join(work, 'source.gguf')];
    const { weights } = makeLlamaOf(shape, model);
    await exportSource(work, model, source);
    const place = { work, model, source, llamaQuantize };
    function onRow(row) {
      console.log(formatsTable([row]).split('\n').slice(-2)[0]);
    }
    if (parts.has('formats'))
      rows.push(...(await measureFormats(formats, place, { weights, threads: 1, runs, onRow })));
    if (parts.has('threads')) {
      const threaded = formats.filter(({ name }) => THREADED.includes(name));
      rows.push(...(await measureFormats(threaded, place, { weights, threads: 2, runs, onRow })));
    }
    for (const path of [model, source]) rmSync(path, { recursive: true, force: true });
  }
  return rows.sort((a, b) => a.threads - b.threads);
}

async function bench() {
  const options = parseOptions();
  const { parts, runs, folder, report } = options;
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
  const results = {};
  let peerNote = null;
  try {
    if (parts.has('formats') || parts.has('threads')) {
      const { path, note } = await findPeer();
      peerNote = note;
      results.formats = await measureBoth(work, options, path);
      show(formatsTable(results.formats));
      if (parts.has('formats')) show(errorsTable(results.formats));
    }
    if (parts.has('gptq')) {
      results.feedback = await measureFeedback();
      show(feedbackTable(results.feedback));
    }
    if (parts.has('large')) {
      results.large = await measureLarge(diskWork);
      show(largeTable(results.large));
    }
  } finally {
    removeAll();
  }
  const goals = judgeQuantizeGoals(results);
  show(goalTable(goals));
  mkdirSync(inRepository('bench-results'), { recursive: true });
  const document = { schema: 1, machine, folder, runs, peerNote, results, goals, tables };
  writeFileSync(inRepository('bench-results/quantize.json'), `${JSON.stringify(document, null, 1)}\n`);
  console.log('All figures: bench-results/quantize.json');
  if (!report) return;
  const facts = [`Medians of ${runs} runs, files in \`${folder}\`, the large model on disk`];
  if (peerNote !== null) facts.push(peerNote);
  // The goals come last on the terminal and first on the page.
  replaceFigures('quantize', { machine, facts, tables: [tables.at(-1), ...tables.slice(0, -1)] });
}

if (isProgram(import.meta.url)) await runProgram(bench);
