import { assertNever } from '../../errors.ts';
import type { GgmlType } from '../../kernels/kernels.ts';

/** A tensor type: rows are cut into blocks of so many elements, each of so many bytes. */
export interface GgmlTypeFacts {
  name: string;
  blockElements: number;
  blockBytes: number;
}

/**
 * Every type that ggml defines, by its number in a file. Numbers that are missing were given up.
 *
 * Source: ggml's `ggml_type` and `ggml-common.h`, as of 2026.
 */
const GGML_TYPES: ReadonlyMap<number, GgmlTypeFacts> = new Map(
  (
    [
      [0, 'F32', 1, 4],
      [1, 'F16', 1, 2],
      [2, 'Q4_0', 32, 18],
      [3, 'Q4_1', 32, 20],
      [6, 'Q5_0', 32, 22],
      [7, 'Q5_1', 32, 24],
      [8, 'Q8_0', 32, 34],
      [9, 'Q8_1', 32, 40],
      [10, 'Q2_K', 256, 84],
      [11, 'Q3_K', 256, 110],
      [12, 'Q4_K', 256, 144],
      [13, 'Q5_K', 256, 176],
      [14, 'Q6_K', 256, 210],
      [15, 'Q8_K', 256, 292],
      [16, 'IQ2_XXS', 256, 66],
      [17, 'IQ2_XS', 256, 74],
      [18, 'IQ3_XXS', 256, 98],
      [19, 'IQ1_S', 256, 50],
      [20, 'IQ4_NL', 32, 18],
      [21, 'IQ3_S', 256, 110],
      [22, 'IQ2_S', 256, 82],
      [23, 'IQ4_XS', 256, 136],
      [24, 'I8', 1, 1],
      [25, 'I16', 1, 2],
      [26, 'I32', 1, 4],
      [27, 'I64', 1, 8],
      [28, 'F64', 1, 8],
      [29, 'IQ1_M', 256, 56],
      [30, 'BF16', 1, 2],
      [34, 'TQ1_0', 256, 54],
      [35, 'TQ2_0', 256, 66],
      [39, 'MXFP4', 32, 17],
      [40, 'NVFP4', 64, 36],
      [41, 'Q1_0', 128, 18],
      [42, 'Q2_0', 64, 18],
    ] as const
  ).map(([id, name, blockElements, blockBytes]) => [id, { name, blockElements, blockBytes }]),
);

/** The types that Lathe decodes. */
const DECODABLE: readonly GgmlType[] = [
  'F32',
  'F16',
  'BF16',
  'Q4_0',
  'Q4_1',
  'Q5_0',
  'Q5_1',
  'Q8_0',
  'Q2_K',
  'Q3_K',
  'Q4_K',
  'Q5_K',
  'Q6_K',
  'IQ4_NL',
  'IQ4_XS',
];

/** Types whose elements are stored as they are. */
const PLAIN_TYPES: readonly string[] = ['F32', 'F16', 'BF16', 'F64', 'I8', 'I16', 'I32', 'I64'];

/** Null for a number that ggml does not define. */
export function ggmlTypeOf(id: number): GgmlTypeFacts | null {
  return GGML_TYPES.get(id) ?? null;
}

/** The type as one that can be decoded; null for the others. */
export function decodableType(name: string): GgmlType | null {
  return DECODABLE.find((known) => known === name) ?? null;
}

export function isPlainType(name: string): boolean {
  return PLAIN_TYPES.includes(name);
}

/** For messages. */
export function decodableTypes(): string {
  return DECODABLE.join(', ');
}

/** A type by its name, with its number in a file. */
export function ggmlTypeNamed(name: GgmlType): GgmlTypeFacts & { id: number } {
  for (const [id, facts] of GGML_TYPES) if (facts.name === name) return { ...facts, id };
  return assertNever(name as never, 'type of GGUF tensors');
}
