import { expect, test } from 'vitest';
import { addDfloat11Config, parseDfloat11Config } from '../../core/formats/dfloat11/dfloat11-config.ts';
import { linearShape } from '../../core/model/linear-shapes.ts';
import { architectureOf, hasTiedEmbeddings, parseModelConfig } from '../../core/model/model-config.ts';
import { mutateBytes, mutateValue } from '../helpers/fuzz-mutations.ts';
import type { FuzzRandom } from '../helpers/fuzz-random.ts';
import { OFFICIAL_CONFIG } from '../helpers/official-dfloat11.ts';
import { runFuzz, showBytes } from '../helpers/run-fuzz.ts';

const { dfloat11_config: _added, ...PLAIN } = OFFICIAL_CONFIG;
const NESTED = {
  architectures: ['Gemma3ForConditionalGeneration'],
  text_config: { ...PLAIN, moe_intermediate_size: 8 },
};
const NAMES = ['self_attn.q_proj', 'self_attn.k_proj', 'mlp.experts.3.up_proj', 'mlp.down_proj', 'embed_tokens', 'x'];

function makeConfig(random: FuzzRandom): Uint8Array {
  const sound = random.of([PLAIN, NESTED]);
  const text = JSON.stringify(random.once(3) ? sound : mutateValue(random, sound), null, random.of([undefined, 2]));
  const python = random.once(4) ? text.replace(/: \d+/, ': -Infinity') : text;
  const bytes = new TextEncoder().encode(python);
  return random.once(3) ? mutateBytes(random, bytes) : bytes;
}

function readConfig(bytes: Uint8Array): void {
  const { config, text } = parseModelConfig(bytes, 'config.json');
  expect([null, 'string']).toContain(architectureOf(config) === null ? null : typeof architectureOf(config));
  expect(typeof hasTiedEmbeddings(config, new Set(['lm_head.weight']))).toBe('boolean');
  for (const name of NAMES) {
    const shape = linearShape(config, `model.layers.0.${name}.weight`, 65_536);
    if (shape) expect(shape.every((dim) => Number.isSafeInteger(dim) && dim > 0)).toBe(true);
  }
  const extended = addDfloat11Config(text, { 'model\\.layers\\.\\d+': ['mlp.up_proj'] }, 'config.json');
  const again = parseModelConfig(new TextEncoder().encode(extended), 'config.json').config;
  expect(parseDfloat11Config(again, 'config.json').patterns).toHaveLength(1);
  const { dfloat11_config: _, ...rest } = again;
  expect(rest).toEqual(config);
}

test('model configs', async () => {
  const { outcomes } = await runFuzz(makeConfig, readConfig, showBytes);
  expect(outcomes.get('accepted')).toBeGreaterThan(0);
});
