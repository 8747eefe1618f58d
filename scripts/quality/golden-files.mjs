/** Allocations of at most the bytes of llama.cpp's own files of the sample model. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { formatTable } from '../format-table.mjs';
import { formatDifference, isWorse, pairedDifference } from './paired-difference.mjs';
import { CALIBRATION, evaluate, runRecipe } from './run-recipe.mjs';

const FORMATS = ['q2_k', 'q3_k', 'iq4_xs', 'q4_k', 'iq4_nl', 'q5_0', 'q5_k', 'q6_k', 'q8_0'];

function recipeOf(totalBytes) {
  const allocation = { method: 'dp', totalBytes, formats: FORMATS };
  const include = ['blocks', 'embeddings', 'head'];
  return { calibration: CALIBRATION, steps: [{ step: 'quantize', method: 'gptq', include, allocation }] };
}

export async function measureGolden(model, folder, work, windows) {
  const rows = [];
  const wrong = [];
  const files = readdirSync(folder).filter((name) => name.endsWith('.gguf') && !name.includes('imatrix'));
  for (const name of files) {
    console.error(`quality: ${name}`);
    const path = join(folder, name);
    const theirs = await evaluate(path, model, work, windows);
    const bytes = statSync(path).size;
    const ours = await runRecipe(model, recipeOf(bytes), work, windows);
    if (ours === null) {
      rows.push([name, bytes, '-', theirs.klDivergence.mean.toPrecision(3), 'below the smallest formats', '']);
      continue;
    }
    const difference = pairedDifference(ours.divergences, theirs.divergences);
    if (isWorse(difference)) wrong.push(`${name} against llama.cpp`);
    const [ofOurs, ofTheirs] = [ours, theirs].map(({ klDivergence }) => klDivergence.mean.toPrecision(3));
    // `lathe.json` is no part of the file.
    rows.push([name, bytes, ours.storedBytes, ofTheirs, ofOurs, formatDifference(difference)]);
  }
  const columns = ["llama.cpp's file", 'its bytes', 'our stored bytes', 'its KL', 'our KL', 'ours - its'];
  return { wrong, tables: [formatTable(`${model.name}: at most the bytes of llama.cpp's files`, columns, rows)] };
}
