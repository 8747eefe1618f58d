/** The sample model as GGUF files, with its tokenizer. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '../../core/model/model-config.ts';
import type { WeightSource } from '../../core/model/weight-source.ts';
import { buildGguf, type GgufSpec } from './build-gguf.ts';
import { convertToGguf, ggufTokenizer, type TokenizerJson } from './convert-to-gguf.ts';

export const SAMPLE_MODEL = fileURLToPath(new URL('../../examples/models/docs-llama-7m', import.meta.url));

export function readSampleJson<T>(name: string): T {
  return JSON.parse(readFileSync(`${SAMPLE_MODEL}/${name}`, 'utf8')) as T;
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The weights of a safetensors file in BF16 or F32. */
export function safetensorsWeights(path: string): WeightSource {
  const file = readFileSync(path);
  const dataStart = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, dataStart)) as Record<
    string,
    { dtype: 'BF16' | 'F32'; shape: number[]; data_offsets: [number, number] }
  >;
  const names = Object.keys(header).filter((name) => name !== '__metadata__');
  return {
    names: new Set(names),
    shapeOf: (name) => header[name]?.shape ?? null,
    read(name, out) {
      const { dtype, data_offsets: offsets } = header[name]!;
      const bytes = file.subarray(dataStart + offsets[0], dataStart + offsets[1]);
      const word = new DataView(new ArrayBuffer(4));
      for (let index = 0; index < out.length; index++) {
        if (dtype === 'F32') out[index] = bytes.readFloatLE(4 * index);
        else {
          word.setUint32(0, bytes.readUInt16LE(2 * index) << 16);
          out[index] = word.getFloat32(0);
        }
      }
      return Promise.resolve();
    },
  };
}

export async function sampleGguf(type: 'F32' | 'BF16' | 'Q8_0', more: GgufSpec['metadata'] = []): Promise<Uint8Array> {
  const weights = safetensorsWeights(`${SAMPLE_MODEL}/model.safetensors`);
  const tokenizer = ggufTokenizer(readSampleJson<TokenizerJson>('tokenizer.json'), 'gpt-2');
  const spec = await convertToGguf(readSampleJson<JsonObject>('config.json'), weights, { tokenizer, type });
  return buildGguf({ ...spec, metadata: [...(spec.metadata ?? []), ...more] });
}
