/**
 * Headers that the official dfloat11 package (0.5.0) wrote for a Llama of 8 layers, hidden size 256, intermediate size 704,
 * vocabulary 4096, tied embeddings: of two layers and of the remainder, with their padding. Only the text is kept here.
 */
export const OFFICIAL_HEADERS = {
  'model_layers_0.safetensors':
    '{"model.layers.0.split_positions":{"dtype":"I64","shape":[6],"data_offsets":[0,48]},"model.layers.0.input_layernorm.weight":{"dtype":"BF16","shape":[256],"data_offsets":[48,560]},"model.layers.0.post_attention_layernorm.weight":{"dtype":"BF16","shape":[256],"data_offsets":[560,1072]},"model.layers.0.encoded_exponent":{"dtype":"U8","shape":[245962],"data_offsets":[1072,247034]},"model.layers.0.gaps":{"dtype":"U8","shape":[19520],"data_offsets":[247034,266554]},"model.layers.0.luts":{"dtype":"U8","shape":[4,256],"data_offsets":[266554,267578]},"model.layers.0.output_positions":{"dtype":"U8","shape":[248],"data_offsets":[267578,267826]},"model.layers.0.sign_mantissa":{"dtype":"U8","shape":[737280],"data_offsets":[267826,1005106]}}       ',
  'model_layers_1.safetensors':
    '{"model.layers.1.split_positions":{"dtype":"I64","shape":[6],"data_offsets":[0,48]},"model.layers.1.input_layernorm.weight":{"dtype":"BF16","shape":[256],"data_offsets":[48,560]},"model.layers.1.post_attention_layernorm.weight":{"dtype":"BF16","shape":[256],"data_offsets":[560,1072]},"model.layers.1.encoded_exponent":{"dtype":"U8","shape":[239702],"data_offsets":[1072,240774]},"model.layers.1.gaps":{"dtype":"U8","shape":[18880],"data_offsets":[240774,259654]},"model.layers.1.luts":{"dtype":"U8","shape":[5,256],"data_offsets":[259654,260934]},"model.layers.1.output_positions":{"dtype":"U8","shape":[240],"data_offsets":[260934,261174]},"model.layers.1.sign_mantissa":{"dtype":"U8","shape":[737280],"data_offsets":[261174,998454]}}',
  'model.safetensors':
    '{"__metadata__":{"format":"pt"},"model.embed_tokens.weight":{"dtype":"BF16","shape":[4096,256],"data_offsets":[0,2097152]},"model.norm.weight":{"dtype":"BF16","shape":[256],"data_offsets":[2097152,2097664]}} ',
};

/** Sizes of the two units, as in those headers. */
export const OFFICIAL_SIZES = {
  'model.layers.0': { elements: 737280, streamBytes: 245962, blocks: 61, positionEntries: 62, lutRows: 4 },
  'model.layers.1': { elements: 737280, streamBytes: 239702, blocks: 59, positionEntries: 60, lutRows: 5 },
};

/** The config's parts that matter for DFloat11. */
export const OFFICIAL_CONFIG = {
  architectures: ['LlamaForCausalLM'],
  dfloat11_config: {
    bytes_per_thread: 8,
    pattern_dict: {
      'model\\.layers\\.\\d+': [
        'self_attn.q_proj',
        'self_attn.k_proj',
        'self_attn.v_proj',
        'self_attn.o_proj',
        'mlp.gate_proj',
        'mlp.up_proj',
        'mlp.down_proj',
      ],
    },
    threads_per_block: [512],
    version: '0.5.0',
  },
  head_dim: 32,
  hidden_size: 256,
  intermediate_size: 704,
  num_attention_heads: 8,
  num_hidden_layers: 8,
  num_key_value_heads: 4,
  tie_word_embeddings: true,
  vocab_size: 4096,
};
