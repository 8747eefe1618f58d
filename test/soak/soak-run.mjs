/** What `npm run soak` runs once all is built; scripts/soak.mjs names the options. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { describeMachine } from '../../scripts/describe-machine.mjs';
import { replaceFigures } from '../../scripts/replace-figures.mjs';
import { formatDuration, inRepository, isProgram, runProgram, Stop } from '../../scripts/run-command.mjs';
import { outputOf } from '../../scripts/time-process.mjs';
import { compressCommand as compressOnce } from '../bench/lossless/lathe-commands.mjs';
import { makeManyShards, makeModel } from '../bench/lossless/make-weights.mjs';
import { drawNumbers } from './draw-numbers.mjs';
import { killCommand } from './kill-runs.mjs';
import { CODECS, compressCommand, evaluateCommand, restoreCommand, SAMPLE } from './killed-commands.mjs';
import { measureEngineLeaks } from './leak-bounds.mjs';
import { measureLimitedMemory } from './limited-memory.mjs';
import { measureSameBytes } from './same-bytes.mjs';
import { killTable, leakTable, limitTable, sameBytesTable } from './soak-tables.mjs';

const PARTS = ['kills', 'leaks', 'memory', 'bytes'];
const DEFAULT_SEED = 20261;
const MEBI = 1 << 20;
/** Kills by command: the sample twice, as a usual run of it journals nothing before it is over. */
const LONG = {
  kills: { sample: 28, synced: 28, made: 12, restore: 20, evaluate: 24 },
  jobs: 1000,
  every: 100,
  limitMebibytes: 256,
  tokens: 16000,
};
const SHORT = {
  kills: { sample: 6, synced: 6, made: 1, restore: 4, evaluate: 4 },
  jobs: 300,
  every: 30,
  limitMebibytes: 160,
  tokens: 6000,
};

function parseOptions() {
  const { values } = parseArgs({
    options: {
      short: { type: 'boolean' },
      seed: { type: 'string' },
      only: { type: 'string' },
      folder: { type: 'string' },
      report: { type: 'boolean' },
    },
  });
  const parts = values.only?.split(',') ?? PARTS;
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Stop(`"${unknown}" is not a part. Parts: ${PARTS.join(', ')}`);
  const seed = Number(values.seed ?? DEFAULT_SEED);
  if (!Number.isInteger(seed) || seed < 0) throw new Stop('--seed takes a whole number, 0 or more.');
  return {
    parts: new Set(parts),
    seed,
    isShort: values.short === true,
    size: values.short ? SHORT : LONG,
    folder: values.folder ?? tmpdir(),
    report: values.report === true,
  };
}

async function runKills(work, { kills, tokens }, draw, seed) {
  const made = join(work, 'made');
  makeModel(made, 512 * MEBI, 1024, seed);
  const commands = [];
  for (const codec of CODECS) {
    commands.push([compressCommand('the sample', SAMPLE, codec), kills.sample]);
    commands.push([compressCommand('the sample', SAMPLE, codec, { syncsEvery: true }), kills.synced]);
    commands.push([compressCommand('512 MiB', made, codec), kills.made]);
    const compressed = join(work, `sample.${codec}`);
    const { command, args, env } = compressOnce(work, SAMPLE, compressed, codec);
    await outputOf(command, args, { env });
    commands.push([restoreCommand(`the sample, ${codec}`, compressed), kills.restore]);
  }
  commands.push([evaluateCommand(tokens), kills.evaluate]);
  const rows = [];
  let before = 0;
  for (const [command, count] of commands) {
    const onKill = (done) => showProgress(`kills: ${before + done}, ${command.name}`);
    rows.push({
      isResumable: command.isResumable,
      ...(await killCommand(work, command, { kills: count, draw, onKill })),
    });
    before += rows.at(-1).kills + rows.at(-1).killedAgain;
  }
  showProgress('');
  rmSync(made, { recursive: true });
  return rows;
}

function showProgress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function soak() {
  const { parts, seed, isShort, size, folder, report } = parseOptions();
  const startedAt = performance.now();
  const work = realpathSync(mkdtempSync(join(folder, 'lathe-soak-')));
  process.once('SIGINT', () => {
    rmSync(work, { recursive: true, force: true });
    process.exit(130);
  });
  const machine = await describeMachine();
  console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.kernel}, Node ${machine.node}`);
  console.log(`commit ${machine.commit}, ${machine.date}, seed ${seed}${isShort ? ', short' : ''}`);
  const draw = drawNumbers(seed);
  const [tables, problems, results] = [[], [], {}];
  function show(table, found) {
    tables.push(table);
    problems.push(...found);
    console.log(table);
  }
  try {
    if (parts.has('kills')) {
      results.kills = await runKills(work, size, draw, seed);
      show(
        killTable(results.kills),
        results.kills.flatMap((row) => row.problems),
      );
    }
    if (parts.has('leaks')) {
      results.leaks = await measureEngineLeaks(work, size.jobs, size.every);
      show(leakTable(results.leaks), results.leaks.problems);
    }
    if (parts.has('memory')) {
      results.memory = await measureLimitedMemory(work, size.limitMebibytes, seed);
      show(limitTable(results.memory), results.memory.problems);
    }
    if (parts.has('bytes')) {
      const many = join(work, 'many');
      makeManyShards(many, 20, 50);
      const models = { 'the sample': SAMPLE, '1,000 tensors in 20 shards': many };
      results.bytes = await measureSameBytes(work, models, { draw });
      show(
        sameBytesTable(results.bytes),
        results.bytes.flatMap((row) => row.problems),
      );
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const took = formatDuration(performance.now() - startedAt);
  mkdirSync(inRepository('bench-results'), { recursive: true });
  const document = { schema: 1, machine, seed, isShort, took, results };
  writeFileSync(inRepository('bench-results/soak.json'), `${JSON.stringify(document, null, 1)}\n`);
  const command = `npm run soak --${isShort ? ' --short' : ''} --seed ${seed}`;
  if (report) replaceFigures('soak', { machine, facts: [`\`${command}\`, ${took}`], tables });
  for (const problem of problems) console.log(`FAILED: ${problem.trim()}`);
  if (problems.length > 0) throw new Stop(`soak: ${problems.length} failed after ${took} (seed ${seed})`);
  console.log(`soak: all held, ${took} (seed ${seed})`);
}

if (isProgram(import.meta.url)) await runProgram(soak);
