import type { Dtype } from '../../core/formats/safetensors/dtypes.ts';
import { buildSafetensorsHeader } from '../../core/formats/safetensors/safetensors-writer.ts';
import type { ModelTensor } from '../../core/model/open-model.ts';

export interface LlamaSizes {
  layers: number;
  hidden: number;
  intermediate: number;
  keys: number;
  vocabulary: number;
  tied: boolean;
}

/** Tensors of one file, placed as a writer would. */
export function placeTensors(specs: { name: string; dtype?: Dtype; shape: number[] }[]): ModelTensor[] {
  const { tensors } = buildSafetensorsHeader(
    specs.map(({ name, dtype, shape }) => ({ name, dtype: dtype ?? 'BF16', shape })),
    null,
  );
  return tensors.map((tensor) => ({ ...tensor, file: 'model.safetensors' }));
}

/** The tensors of a Llama in BF16, by name as its files have them. */
export function llamaTensors({ layers, hidden, intermediate, keys, vocabulary, tied }: LlamaSizes): ModelTensor[] {
  const specs = [{ name: 'model.embed_tokens.weight', shape: [vocabulary, hidden] }];
  for (let layer = 0; layer < layers; layer++) {
    const shapes: [string, number[]][] = [
      ['input_layernorm', [hidden]],
      ['mlp.down_proj', [hidden, intermediate]],
      ['mlp.gate_proj', [intermediate, hidden]],
      ['mlp.up_proj', [intermediate, hidden]],
      ['post_attention_layernorm', [hidden]],
      ['self_attn.k_proj', [keys, hidden]],
      ['self_attn.o_proj', [hidden, hidden]],
      ['self_attn.q_proj', [hidden, hidden]],
      ['self_attn.v_proj', [keys, hidden]],
    ];
    for (const [path, shape] of shapes) specs.push({ name: `model.layers.${layer}.${path}.weight`, shape });
  }
  specs.push({ name: 'model.norm.weight', shape: [hidden] });
  if (!tied) specs.push({ name: 'lm_head.weight', shape: [vocabulary, hidden] });
  return placeTensors(specs);
}
