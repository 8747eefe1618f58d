import { expect, test } from 'vitest';
import { parseShardIndex } from '../../core/formats/safetensors/shard-index.ts';
import { isPlainRelativePath } from '../../core/relative-path.ts';
import { mutateBytes, mutateValue } from '../helpers/fuzz-mutations.ts';
import type { FuzzRandom } from '../helpers/fuzz-random.ts';
import { runFuzz, showBytes } from '../helpers/run-fuzz.ts';

const SOUND = {
  metadata: { total_size: 1.5e10, total_parameters: 7 },
  weight_map: {
    'model.embed_tokens.weight': 'model-00001-of-00002.safetensors',
    'model.norm.weight': 'model-00002-of-00002.safetensors',
    größe: 'parts/x.safetensors',
  },
};

function makeIndex(random: FuzzRandom): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(random.once(2) ? SOUND : mutateValue(random, SOUND), null, 2));
  return random.once(2) ? mutateBytes(random, text) : text;
}

function readIndex(bytes: Uint8Array): void {
  const { weightMap, shards } = parseShardIndex(bytes, 'model.safetensors.index.json');
  expect(shards.every((shard) => isPlainRelativePath(shard) && shard.endsWith('.safetensors'))).toBe(true);
  expect(new Set(weightMap.values())).toEqual(new Set(shards));
}

test('shard indexes', async () => {
  const { outcomes } = await runFuzz(makeIndex, readIndex, showBytes);
  expect(outcomes.get('accepted')).toBeGreaterThan(0);
});
