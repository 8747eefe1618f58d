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

/** Recipe text by the name that `--preset` takes; the same text stands in `examples/recipes/NAME.yaml`. */
export const PRESETS: ReadonlyMap<string, string> = new Map([
  ['lossless-dfloat11', LOSSLESS_DFLOAT11],
  ['lossless-split-plane', LOSSLESS_SPLIT_PLANE],
]);
