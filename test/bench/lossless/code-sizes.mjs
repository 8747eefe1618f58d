/** Stored sizes against what the formats promise: DFloat11's formula, and exponent entropy for split-plane. */
import { closeSync, openSync, readdirSync, readFileSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CODECS, compressCommand, lathe, resultOf } from './lathe-commands.mjs';

function readHeader(path) {
  const file = openSync(path, 'r');
  const first = Buffer.alloc(8);
  readSync(file, first, 0, 8, 0);
  const text = Buffer.alloc(Number(first.readBigUInt64LE(0)));
  readSync(file, text, 0, text.length, 8);
  closeSync(file);
  return JSON.parse(text.toString());
}

/**
 * All units of a DFloat11 folder together, from the headers of its files.
 *
 * The formula: 8 bits of sign and mantissa, the code's average length c, its index of 5 bits in 64 (gaps) and 32 bits in
 * 32,768 (positions): 8 + c (1 + 5/64 + 1/1024); tables, and the padding of a unit's last block, come on top.
 */
function sumUnits(folder) {
  const sum = { weights: 0, storedBytes: 0, streamBytes: 0, tableBytes: 0 };
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.safetensors'))) {
    for (const [tensor, { shape }] of Object.entries(readHeader(join(folder, name)))) {
      const field = tensor.split('.').at(-1);
      if (field === 'sign_mantissa') sum.weights += shape[0];
      if (field === 'encoded_exponent') sum.streamBytes += shape[0];
      if (field === 'luts') sum.tableBytes += shape[0] * shape[1];
      if (['sign_mantissa', 'encoded_exponent', 'gaps', 'output_positions'].includes(field))
        sum.storedBytes += shape[0];
    }
  }
  const averageCodeBits = (8 * sum.streamBytes) / sum.weights;
  return {
    weights: sum.weights,
    averageCodeBits,
    bitsPerWeight: (8 * (sum.storedBytes + sum.tableBytes)) / sum.weights,
    formulaBitsPerWeight: 8 + averageCodeBits * (1 + 5 / 64 + 1 / 1024) + (8 * sum.tableBytes) / sum.weights,
  };
}

/** Of the BF16 matrices (two dimensions, 4096 weights at least) in split-plane: bits stored, and 8 + exponent entropy. */
function sumMatrices(inspected, latheFile) {
  const entropies = new Map(inspected.tensors.map(({ name, exponentEntropyBits }) => [name, exponentEntropyBits]));
  const sum = { weights: 0, storedBits: 0, entropyBits: 0, largestExcessBits: 0 };
  for (const { name, dtype, shape, storedBytes } of latheFile.tensors) {
    const weights = shape.reduce((product, dim) => product * dim, 1);
    if (dtype !== 'BF16' || shape.length !== 2 || weights < 4096) continue;
    const bound = 8 + entropies.get(name);
    sum.weights += weights;
    sum.storedBits += 8 * storedBytes;
    sum.entropyBits += bound * weights;
    sum.largestExcessBits = Math.max(sum.largestExcessBits, (8 * storedBytes) / weights - bound);
  }
  return {
    weights: sum.weights,
    bitsPerWeight: sum.storedBits / sum.weights,
    entropyBitsPerWeight: sum.entropyBits / sum.weights,
    largestExcessBits: sum.largestExcessBits,
  };
}

export async function measureSizes(work, model) {
  const inspected = await resultOf(lathe(work, 'inspect', model, '--statistics'));
  const sizes = { losslessEstimate: inspected.losslessEstimate };
  for (const codec of CODECS) {
    const output = join(work, `sizes-${codec}`);
    const { storedBytes } = await resultOf(compressCommand(work, model, output, codec));
    const latheFile = JSON.parse(readFileSync(join(output, 'lathe.json'), 'utf8'));
    const parts = codec === 'dfloat11' ? sumUnits(output) : sumMatrices(inspected, latheFile);
    sizes[codec] = { storedBytes, ...parts };
    rmSync(output, { recursive: true });
  }
  return sizes;
}
