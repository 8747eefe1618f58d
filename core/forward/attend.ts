import type { AttentionInputs, AttentionShape, Kernels } from '../kernels/kernels.ts';
import type { AttentionHalf, RotaryEmbedding } from '../model/architectures/decoder-description.ts';
import { rotaryTables, type RotaryTables } from './rotary-frequencies.ts';

/** The outputs of a block's projections, by name. */
export type Projected = ReadonlyMap<string, Float32Array>;

const NO_TABLES: RotaryTables = { cosines: new Float32Array(0), sines: new Float32Array(0) };

/** Attention of blocks over windows of one length: rotary tables are made once. */
export class Attender {
  readonly #kernels: Pick<Kernels, 'attendWindows'>;
  readonly #threads: number;
  #length = 0;
  readonly #tables = new Map<RotaryEmbedding, RotaryTables>();

  constructor(kernels: Pick<Kernels, 'attendWindows'>, threads: number) {
    this.#kernels = kernels;
    this.#threads = threads;
  }

  /** @param out f32 [windows * length, heads * headSize]; filled */
  attend(half: AttentionHalf, windows: number, length: number, projected: Projected, out: Float32Array): void {
    const { rotary, heads, keyHeads, headSize, scale, softCap, window } = half;
    const { inputs, ...strides } = layOut(half, projected);
    const shape: AttentionShape = {
      windows,
      length,
      heads,
      keyHeads,
      headSize,
      scale,
      softCap,
      window,
      rotaryDimensions: rotary?.dimensions ?? 0,
      ...strides,
    };
    this.#kernels.attendWindows(shape, inputs, this.#tablesOf(rotary, length), out, this.#threads);
  }

  #tablesOf(rotary: RotaryEmbedding | null, length: number): RotaryTables {
    if (rotary === null) return NO_TABLES;
    if (this.#length !== length) this.#tables.clear();
    this.#length = length;
    let tables = this.#tables.get(rotary);
    if (tables === undefined) {
      tables = rotaryTables(rotary, length);
      this.#tables.set(rotary, tables);
    }
    return tables;
  }
}

function layOut(
  { heads, keyHeads, headSize }: AttentionHalf,
  projected: Projected,
): { inputs: AttentionInputs; queryStride: number; keyStride: number; valueStride: number } {
  const [queries, keys] = [heads * headSize, keyHeads * headSize];
  const fused = projected.get('queryKeyValue');
  if (fused !== undefined) {
    const stride = queries + 2 * keys;
    const inputs = { query: fused, key: fused.subarray(queries), value: fused.subarray(queries + keys) };
    return { inputs, queryStride: stride, keyStride: stride, valueStride: stride };
  }
  const [query, key, value] = ['query', 'key', 'value'].map((name) => projected.get(name) ?? new Float32Array(0));
  const inputs = {
    query: query ?? new Float32Array(0),
    key: key ?? new Float32Array(0),
    value: value ?? new Float32Array(0),
  };
  return { inputs, queryStride: queries, keyStride: keys, valueStride: keys };
}
