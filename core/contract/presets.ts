/** The recipes that ship with the program, as text, so that they take the same road as a recipe file. */

const LOSSLESS_DFLOAT11 = `\
# Codes the BF16 linear maps in the layout of the DFloat11 package, version 0.5.0, which loads the result.
# Every file of the model folder comes back byte for byte with \`lathe restore\`.
lathe: 1
name: lossless DFloat11
steps:
  - step: encode
    codec: dfloat11
    units: auto
`;

const LOSSLESS_SPLIT_PLANE = `\
# Codes every tensor of any dtype in Lathe's own split-plane layout: smaller than DFloat11, and read tensor by tensor.
# Every file of the model folder comes back byte for byte with \`lathe restore\`.
lathe: 1
name: lossless split-plane
steps:
  - step: encode
    codec: split-plane
`;

/** Every matrix in one block format. */
function wholePreset(format: string, bits: string): string {
  return `\
# A GGUF file of ${bits} bits a weight: every matrix in ${format.toUpperCase()}, rounded to nearest.
lathe: 1
name: ${format}
steps:
  - step: quantize
    format: ${format}
    include: [blocks, embeddings, head]
`;
}

/** One of llama.cpp's mixes. */
function mixPreset(mix: string): string {
  return `\
# A GGUF file with the types that llama.cpp's mix ${mix.toUpperCase()} gives each tensor, rounded to nearest.
# With --calibration FILE columns are weighted by what the model's maps are given.
lathe: 1
name: ${mix}
steps:
  - step: quantize
    format: ${mix}
`;
}

const Q2_K = `\
# A GGUF file of about three bits a weight, with the types of llama.cpp's mix Q2_K. It costs much: look at what it costs.
# With --calibration FILE columns are weighted by what the model's maps are given.
lathe: 1
name: q2_k
steps:
  - step: quantize
    format: q2_k
    include: [blocks, embeddings, head]
overrides:
  - { match: '(v|o|down)_proj\\.weight$', quantize: { format: q3_k } }
  - { match: 'embed_tokens|lm_head', quantize: { format: q6_k } }
`;

const Q4_GPTQ = `\
# A GGUF file with the types of llama.cpp's mix Q4_K_M, by GPTQ: error feedback from column to column.
# Needs --calibration FILE, a text of the kind that the model is for.
lathe: 1
name: q4_k_m by GPTQ
steps:
  - step: quantize
    method: gptq
    format: q4_k_m
`;

const ALLOCATED_FORMATS = '[q2_k, q3_k, q4_k, q5_k, q6_k, q8_0]';

/** Types chosen tensor by tensor under a budget, by GPTQ. */
function allocatedPreset(name: string, comment: string, budget: string): string {
  return `\
# ${comment}
# Every tensor gets the type that costs the model least within the budget, as measured on the calibration text.
# Needs --calibration FILE, a text of the kind that the model is for.
lathe: 1
name: ${name}
steps:
  - step: quantize
    method: gptq
    include: [blocks, embeddings, head]
    allocation:
      method: dp
      ${budget}
      formats: ${ALLOCATED_FORMATS}
`;
}

function averagePreset(bits: number): [string, string] {
  const comment = `A GGUF file of ${bits} bits a weight over all matrices.`;
  return [`dp-${bits}`, allocatedPreset(`allocated, ${bits} bits`, comment, `averageBits: ${bits}`)];
}

/** Recipe text by the name that `--preset` takes; the same text stands in `examples/recipes/NAME.yaml`. */
export const PRESETS: ReadonlyMap<string, string> = new Map([
  ['lossless-dfloat11', LOSSLESS_DFLOAT11],
  ['lossless-split-plane', LOSSLESS_SPLIT_PLANE],
  ['q8_0', wholePreset('q8_0', '8.5')],
  ['q6_k', wholePreset('q6_k', '6.6')],
  ...['q5_k_m', 'q5_k_s', 'q4_k_m', 'q4_k_s', 'q3_k_l', 'q3_k_m', 'q3_k_s'].map((mix): [string, string] => [
    mix,
    mixPreset(mix),
  ]),
  ['q2_k', Q2_K],
  ['q4_k_m-gptq', Q4_GPTQ],
  ...[5.5, 4.5, 3.5, 3].map(averagePreset),
]);

/** The recipe of `--fit`: the best file of at most so many bytes. */
export function fitRecipe(totalBytes: number): string {
  const comment = `A GGUF file of at most ${totalBytes} bytes.`;
  return allocatedPreset(`fit in ${totalBytes} bytes`, comment, `totalBytes: ${totalBytes}`);
}
