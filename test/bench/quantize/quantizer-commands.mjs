/** `lathe compress` and `llama-quantize` onto the same types, and the proof that both files are worth timing. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Stop } from '../../../scripts/run-command.mjs';
import { outputOf } from '../../../scripts/time-process.mjs';
import { lathe, resultOf } from '../lossless/lathe-commands.mjs';

/**
 * `plain` formats are rounded, the others searched. All matrices get the one type (`--pure`), so that a rate is that of the
 * type it stands beside; the last is the mix that people use.
 */
export const FORMATS = [
  { name: 'Q8_0', recipe: 'q8_0', theirs: 'Q8_0', isPlain: true },
  { name: 'Q4_0', recipe: 'q4_0', theirs: 'Q4_0', isPlain: true },
  { name: 'Q6_K', recipe: 'q6_k', theirs: 'Q6_K' },
  { name: 'Q5_K', recipe: 'q5_k', theirs: 'Q5_K_S' },
  { name: 'Q4_K', recipe: 'q4_k', theirs: 'Q4_K_S' },
  { name: 'Q3_K', recipe: 'q3_k', theirs: 'Q3_K_S' },
  { name: 'Q2_K', recipe: 'q2_k', theirs: 'Q2_K' },
  { name: 'IQ4_XS', recipe: 'iq4_xs', theirs: 'IQ4_XS' },
  { name: 'Q4_K_M', preset: 'q4_k_m', theirs: 'Q4_K_M' },
];

/** A difference in the relative error that is rounding of sums, not of weights. */
const SAME_ERROR = 1e-6;

function recipeFile(work, recipe) {
  const path = join(work, `${recipe}.yaml`);
  const step = `  - step: quantize\n    format: ${recipe}\n    include: [blocks, embeddings, head]\n`;
  writeFileSync(path, `lathe: 1\nname: ${recipe}\nsteps:\n${step}`);
  return path;
}

/** @returns { ours, theirs }, commands as of `timeInTurn`, each with the `file` it writes */
export function commandsFor({ name, recipe, preset, theirs }, { work, model, source, llamaQuantize, threads }) {
  mkdirSync(work, { recursive: true });
  const [ourFolder, theirFile] = [join(work, `${name}.ours`), join(work, `${name}.theirs.gguf`)];
  const how = preset === undefined ? ['--recipe', recipeFile(work, recipe)] : ['--preset', preset];
  const pure = preset === undefined ? ['--pure'] : [];
  return {
    ours: {
      ...lathe(work, 'compress', model, '-o', ourFolder, ...how, '--threads', String(threads)),
      before: () => rmSync(ourFolder, { recursive: true, force: true }),
      file: join(ourFolder, 'model.gguf'),
      output: ourFolder,
    },
    theirs: {
      command: llamaQuantize,
      args: [...pure, source, theirFile, theirs, String(threads)],
      env: {},
      before: () => rmSync(theirFile, { force: true }),
      file: theirFile,
      output: theirFile,
    },
  };
}

/** Type and relative error of every tensor of a GGUF file, by name. */
async function tensorsOf(work, file, model) {
  const types = (await resultOf(lathe(work, 'inspect', file))).tensors;
  const { tensors } = await resultOf(lathe(work, 'verify', file, '--against', model));
  const errors = new Map(tensors.map(({ name, relativeError }) => [name, relativeError]));
  return new Map(types.map(({ name, dtype, shape }) => [name, { dtype, shape, error: errors.get(name) }]));
}

/** Root of the mean square of the tensors' relative errors, each tensor as often as it has weights. */
function errorOf(tensors) {
  const [sum, weights] = [...tensors.values()].reduce(
    ([squares, all], { shape, error }) => {
      const count = shape.reduce((product, dimension) => product * dimension, 1);
      return [squares + count * error ** 2, all + count];
    },
    [0, 0],
  );
  return Math.sqrt(sum / weights);
}

/**
 * Runs both once, and proves that what they write may be compared: the same types, and ours no worse.
 *
 * @returns the errors of both files, and how many tensors of ours have the greater error
 */
export async function proveOutputs(work, model, { ours, theirs }) {
  ours.before();
  await outputOf(ours.command, ours.args, { env: ours.env });
  const our = await tensorsOf(work, ours.file, model);
  if (theirs === undefined) return { ourError: errorOf(our), theirError: null, worseTensors: null };
  theirs.before();
  await outputOf(theirs.command, theirs.args);
  const their = await tensorsOf(work, theirs.file, model);
  let worseTensors = 0;
  for (const [name, { dtype, error }] of our) {
    const other = their.get(name);
    if (other?.dtype !== dtype)
      throw new Stop(`${name} is ${dtype} in ${ours.file}, ${other?.dtype} in ${theirs.file}.`);
    if (error > other.error * (1 + SAME_ERROR)) worseTensors += 1;
  }
  const [ourError, theirError] = [errorOf(our), errorOf(their)];
  if (our.size !== their.size) throw new Stop(`${our.size} tensors in ${ours.file}, ${their.size} in ${theirs.file}.`);
  if (ourError > theirError * (1 + SAME_ERROR)) {
    throw new Stop(`${ours.file} has the error ${ourError}, ${theirs.file} ${theirError}: nothing to time.`);
  }
  return { ourError, theirError, worseTensors };
}
