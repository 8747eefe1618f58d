/** What each format, method and allocation costs one model. */
import { formatTable } from '../format-table.mjs';
import { formatDifference, isWorse, pairedDifference } from './paired-difference.mjs';
import { CALIBRATION, runRecipe } from './run-recipe.mjs';

const UNIFORM = ['q8_0', 'q6_k', 'q5_k', 'q4_k', 'iq4_xs', 'q3_k', 'q2_k'];
const ROUND_BITS = [8, 6, 5, 4, 3.5, 3, 2.5, 2];
const ALLOCATED = ['q2_k', 'q3_k', 'iq4_xs', 'q4_k', 'iq4_nl', 'q5_0', 'q5_k', 'q6_k', 'q8_0'];
/** Above this so little is lost that methods cannot be told apart. */
const JUDGED_BITS = 4.6;

function quantize(step, calibration) {
  return { ...(calibration ? { calibration: CALIBRATION } : {}), steps: [{ step: 'quantize', ...step }] };
}

function allocate(budget, method = 'gptq') {
  return quantize({ method, allocation: { method: 'dp', ...budget, formats: ALLOCATED } }, true);
}

/** Stored bits over the matrices of the blocks. */
function blockBits({ bitsPerBlockWeight }) {
  return bitsPerBlockWeight.toFixed(3);
}

function kl({ klDivergence }) {
  return klDivergence.mean.toPrecision(3);
}

export async function measureModel(model, work, windows) {
  const rows = [];
  const wrong = [];
  for (const format of UNIFORM) {
    console.error(`quality: ${model.name}, ${format}`);
    const plain = await runRecipe(model, quantize({ format }, false), work, windows);
    const weighted = await runRecipe(model, quantize({ format }, true), work, windows);
    const gptq = await runRecipe(model, quantize({ format, method: 'gptq' }, true), work, windows);
    const averageBits = plain.bitsPerBlockWeight;
    const dp = await runRecipe(model, allocate({ averageBits }), work, windows);
    const calibrated = pairedDifference(gptq.divergences, plain.divergences);
    const allocated = dp && pairedDifference(dp.divergences, gptq.divergences);
    if (averageBits <= JUDGED_BITS && isWorse(calibrated)) wrong.push(`${model.name} ${format}: GPTQ against plain`);
    if (averageBits <= JUDGED_BITS && allocated && isWorse(allocated))
      wrong.push(`${model.name} ${format}: allocated against uniform`);
    rows.push([
      format,
      blockBits(plain),
      kl(plain),
      kl(weighted),
      kl(gptq),
      dp === null ? '-' : kl(dp),
      formatDifference(calibrated),
      allocated === null ? '-' : formatDifference(allocated),
      dp === null ? '-' : dp.perplexity.toFixed(3),
    ]);
  }
  const round = [];
  for (const averageBits of ROUND_BITS) {
    console.error(`quality: ${model.name}, ${averageBits} bits`);
    const dp = await runRecipe(model, allocate({ averageBits }), work, windows);
    round.push(
      dp === null
        ? [averageBits, 'below the smallest formats', '', '', '']
        : [averageBits, blockBits(dp), kl(dp), dp.perplexity.toFixed(3), dp.fileBytes],
    );
  }
  const columns = [
    'format',
    'bits',
    'plain',
    'weighted',
    'GPTQ',
    'GPTQ, allocated',
    'GPTQ - plain',
    'allocated - GPTQ',
    'its perplexity',
  ];
  return {
    wrong,
    tables: [
      formatTable(`${model.name}: the blocks in one format, and allocated with as many bits`, columns, rows),
      formatTable(
        `${model.name}: allocated, GPTQ`,
        ['asked', 'bits', 'KL divergence', 'perplexity', 'file bytes'],
        round,
      ),
    ],
  };
}
