/**
 * `npm run demo`: the main job on the sample model. Inspects it, compresses it with both lossless codecs, verifies,
 * restores, and compares every restored file with the original by SHA-256, computed here and not by Lathe. Then writes GGUF
 * files of 8 and 4 bits, and shows what each of all these costs in perplexity and KL divergence.
 * Works in a temporary folder that it removes; `--keep` leaves it and prints where it is.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from './build.mjs';
import {
  formatBytes,
  formatDuration,
  inRepository,
  isProgram,
  REPOSITORY,
  runCommand,
  runProgram,
  Stop,
} from './run-command.mjs';
import { setup } from './setup.mjs';

const MODEL = 'examples/models/docs-llama-7m';
const RECIPES = [
  { title: 'DFloat11', recipe: 'examples/recipes/lossless-dfloat11.yaml', folder: 'dfloat11' },
  { title: 'split-plane', recipe: 'examples/recipes/lossless-split-plane.yaml', folder: 'split-plane' },
];

const TEXT = 'examples/texts/docs.test.txt';
/** A few seconds' worth. */
const TEXT_LIMITS = ['--context', '256', '--limit-tokens', '4096'];

/**
 * Lossy: 8 and 4 bits in the format that llama.cpp runs; with error feedback from what the model's maps are given; and with
 * types that are chosen tensor by tensor.
 */
const CALIBRATION = ['--calibration', 'examples/texts/docs.calibration.txt'];
const GGUF_FOLDERS = [
  { title: 'GGUF Q8_0', preset: 'q8_0', more: [] },
  { title: 'GGUF Q4_K_M', preset: 'q4_k_m', more: [] },
  { title: 'Q4_K_M by GPTQ', preset: 'q4_k_m-gptq', more: CALIBRATION },
  { title: 'allocated', preset: 'dp-4.5', more: CALIBRATION },
];

/** Runs one Lathe command, shows it, and returns its JSON result with the wall time of the whole process. */
async function lathe(work, ...args) {
  const shown = args.map((argument) => argument.replace(`${work}/`, 'demo/'));
  const env = { LATHE_HOME: join(work, 'home') };
  const program = inRepository('dist/cli/lathe.js');
  const options = { env, output: 'capture' };
  const { code, stdout, stderr, durationMs } = await runCommand(
    process.execPath,
    [program, ...args, '--json'],
    options,
  );
  console.log(`$ lathe ${shown.join(' ')}  (${formatDuration(durationMs)})`);
  if (code !== 0) throw new Stop(`It ended with exit code ${code}:\n${stderr}${stdout}`);
  return { ...JSON.parse(stdout), durationMs };
}

/** Every file below a folder with its size and SHA-256, by path. */
function readFolder(folder) {
  const paths = readdirSync(folder, { recursive: true }).filter((path) => statSync(join(folder, path)).isFile());
  return new Map(
    paths.sort().map((path) => {
      const bytes = readFileSync(join(folder, path));
      return [path, { sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }];
    }),
  );
}

function folderBytes(files) {
  return [...files.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** Throws unless both folders hold the same files with the same bytes. */
function compareFolders(original, restored, title) {
  const names = new Set([...original.keys(), ...restored.keys()]);
  const different = [...names].filter((name) => original.get(name)?.sha256 !== restored.get(name)?.sha256);
  if (different.length > 0) throw new Stop(`${title}: not restored byte for byte: ${different.join(', ')}`);
}

function printTable(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const [index, row] of rows.entries()) {
    const cells = row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])));
    console.log(`  ${cells.join('   ')}`);
    if (index === 0) console.log(`  ${widths.map((width) => '-'.repeat(width)).join('   ')}`);
  }
}

function formatShare(part, whole) {
  return `${((100 * part) / whole).toFixed(1)} %`;
}

function printInspection({ format, architecture, parameters, storedBytes, bitsPerWeight, tensors, losslessEstimate }) {
  const coded = tensors.filter(({ exponentEntropyBits }) => typeof exponentEntropyBits === 'number');
  const bits = coded.map(({ exponentEntropyBits }) => exponentEntropyBits);
  console.log(`  ${architecture}, ${format}: ${parameters.toLocaleString('en')} weights in ${tensors.length} tensors`);
  console.log(`  ${formatBytes(storedBytes)}, ${bitsPerWeight.toFixed(2)} bits per weight`);
  if (bits.length > 0) {
    const [least, most] = [Math.min(...bits), Math.max(...bits)].map((value) => value.toFixed(2));
    console.log(`  exponents: 8 bits stored, ${least} to ${most} bits of information, tensor by tensor`);
  }
  const { dfloat11Bytes, splitPlaneBytes } = losslessEstimate;
  console.log(
    `  predicted: DFloat11 ${formatShare(dfloat11Bytes, storedBytes)}, split-plane ${formatShare(splitPlaneBytes, storedBytes)}`,
  );
}

/** One recipe from compression to proof, as a row of the table. */
async function runRecipe(work, original, sourceBytes, { title, recipe, folder }) {
  const output = join(work, folder);
  const restoredFolder = join(work, `${folder}-restored`);
  const compressed = await lathe(work, 'compress', MODEL, '-o', output, '--recipe', recipe);
  const verified = await lathe(work, 'verify', output, '--against', MODEL);
  const restored = await lathe(work, 'restore', output, '-o', restoredFolder);
  if (compressed.verified !== true || verified.ok !== true) throw new Stop(`${title}: not verified.`);
  if (!verified.tensors.every(({ bitExact }) => bitExact === true))
    throw new Stop(`${title}: a tensor is not bit-exact.`);
  compareFolders(original, readFolder(restoredFolder), title);
  return [
    title,
    formatBytes(compressed.storedBytes),
    formatShare(compressed.storedBytes, sourceBytes),
    compressed.bitsPerWeight.toFixed(2),
    formatBytes(folderBytes(readFolder(output))),
    `${verified.tensors.length} bit-exact`,
    `${original.size} of ${original.size} files`,
    formatDuration(compressed.durationMs),
    formatDuration(restored.durationMs),
  ];
}

/** Writes the folders with GGUF files; each with its stored bits. */
async function quantize(work) {
  const quantized = [];
  for (const { title, preset, more } of GGUF_FOLDERS) {
    const path = join(work, preset);
    const result = await lathe(work, 'compress', MODEL, '-o', path, '--preset', preset, ...more);
    if (result.verified !== true) throw new Stop(`${title}: not verified.`);
    quantized.push({ title, path, bits: result.bitsPerWeight });
  }
  return quantized;
}

/** What the model makes of a text, before and after: read straight from the compressed folders and the GGUF files. */
async function compareQuality(work, sourceBits) {
  const rows = [['', 'bits/weight', 'nats per token', 'perplexity', 'KL divergence from the original']];
  const lossless = RECIPES.map(({ title, folder }) => ({ title, path: join(work, folder), bits: null }));
  const models = [{ title: 'original', path: MODEL, bits: sourceBits }, ...lossless, ...(await quantize(work))];
  let windows = 0;
  for (const { title, path, bits } of models) {
    const reference = path === MODEL ? [] : ['--reference', MODEL];
    const result = await lathe(work, 'evaluate', path, '--text', TEXT, ...TEXT_LIMITS, ...reference);
    const divergence =
      result.klDivergence === undefined ? '' : `${formatDivergence(result.klDivergence.mean)} nats per token`;
    if (path !== MODEL && bits === null && result.klDivergence?.max !== 0)
      throw new Stop(`${title}: predicts other tokens.`);
    const { meanNegativeLogLikelihood, perplexity } = result;
    const stored = bits === null ? '' : bits.toFixed(2);
    rows.push([title, stored, meanNegativeLogLikelihood.toFixed(6), perplexity.toFixed(4), divergence]);
    windows = result.windows;
  }
  console.log(`\n${TEXT}, the first ${windows} windows of 256 tokens, each scored from its 2nd token:\n`);
  printTable(rows);
}

function formatDivergence(nats) {
  return nats === 0 ? '0' : nats.toFixed(6);
}

async function demo() {
  const unknown = process.argv.slice(2).filter((argument) => argument !== '--keep');
  if (unknown.length > 0) throw new Stop(`Unknown: ${unknown.join(' ')}. Usage: npm run demo [-- --keep]`);
  process.chdir(REPOSITORY);
  await setup();
  await build();
  const work = mkdtempSync(join(tmpdir(), 'lathe-demo-'));
  try {
    console.log();
    const inspected = await lathe(work, 'inspect', MODEL, '--statistics');
    printInspection(inspected);
    const original = readFolder(MODEL);
    const rows = [];
    for (const entry of RECIPES) rows.push(await runRecipe(work, original, inspected.storedBytes, entry));
    console.log('\nLossless compression of the sample model, whole processes, verification included:\n');
    printTable([
      [
        '',
        'weights',
        'of original',
        'bits/weight',
        'all files',
        'tensors',
        'restored identical',
        'compress',
        'restore',
      ],
      [
        'original',
        formatBytes(inspected.storedBytes),
        '100.0 %',
        inspected.bitsPerWeight.toFixed(2),
        formatBytes(folderBytes(original)),
        ...['', '', '', ''],
      ],
      ...rows,
    ]);
    console.log();
    await compareQuality(work, inspected.bitsPerWeight);
    console.log('\nProof: SHA-256 of every original file, equal to that of both restored ones:\n');
    for (const [path, { sha256, sizeBytes }] of original)
      console.log(`  ${sha256}  ${path} (${formatBytes(sizeBytes)})`);
    console.log();
  } finally {
    if (process.argv.includes('--keep')) console.log(`Kept: ${work}`);
    else rmSync(work, { recursive: true, force: true });
  }
}

if (isProgram(import.meta.url)) await runProgram(demo);
