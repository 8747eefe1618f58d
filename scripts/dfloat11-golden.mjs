/**
 * `node scripts/dfloat11-golden.mjs FOLDER > test/golden/dfloat11/docs-llama-7m.json`: writes down what an official
 * DFloat11 folder is, without its 10 MB: the text of each header, and the SHA-256 of each file and of each tensor's bytes.
 *
 * The folder is what the official package makes of the sample model on a CPU (dfloat11 0.5.0, transformers 5.23):
 * `compress_model(model, {r"model\.layers\.\d+": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
 * "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]}, FOLDER, save_single_file=False,
 * check_correctness=False)`.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isProgram, runProgram, Stop } from './run-command.mjs';

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

function describeFile(path) {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const header = bytes.toString('utf8', 8, start);
  const entries = Object.entries(JSON.parse(header)).filter(([name]) => name !== '__metadata__');
  const tensors = entries.map(
    ([
      name,
      {
        data_offsets: [begin, end],
      },
    ]) => {
      return [name, sha256(bytes.subarray(start + begin, start + end))];
    },
  );
  return { bytes: bytes.length, sha256: sha256(bytes), header, tensors: Object.fromEntries(tensors) };
}

function describeFolder() {
  const folder = process.argv[2];
  if (folder === undefined) throw new Stop('Usage: node scripts/dfloat11-golden.mjs FOLDER');
  const names = readdirSync(folder).filter((name) => name.endsWith('.safetensors'));
  const files = names.sort().map((name) => [name, describeFile(join(folder, name))]);
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  console.log(JSON.stringify({ config, files: Object.fromEntries(files) }, null, 2));
}

if (isProgram(import.meta.url)) await runProgram(describeFolder);
