import type { SplitPlaneDescription } from '../../core/formats/split-plane/split-plane-header.ts';
import { concatBytes } from './build-safetensors.ts';

const SHA256 = '0123456789abcdef'.repeat(4);
const XXH3 = '0123456789abcdef';

/** A sound description of a source with a BF16 tensor "a" of 4 weights and an empty U8 tensor "b". */
export function describeSplitPlane(): SplitPlaneDescription {
  return {
    source: { bytes: 108, sha256: SHA256, header: { offset: 0, bytes: 100 } },
    tensors: [
      {
        name: 'a',
        dtype: 'BF16',
        shape: [2, 2],
        bytes: 8,
        sha256: SHA256,
        planes: [
          { kind: 'exp', codec: 'const', offset: 128, bytes: 1, elements: 4, first: 0, xxh3: XXH3 },
          { kind: 'sm', codec: 'raw', offset: 192, bytes: 4, elements: 4, first: 0, xxh3: XXH3 },
        ],
      },
      {
        name: 'b',
        dtype: 'U8',
        shape: [0],
        bytes: 0,
        sha256: SHA256,
        planes: [{ kind: 'bytes', codec: 'raw', offset: 256, bytes: 0, elements: 0, first: 0, xxh3: XXH3 }],
      },
    ],
  };
}

/** A `.splane` file with this JSON and zeros as data. Written apart from core's own writer. */
export function buildSplitPlane(json: string, dataBytes = 256, magic = 'SPLPLANE'): Uint8Array {
  const text = new TextEncoder().encode(json);
  const padded = new Uint8Array(Math.ceil((16 + text.length) / 64) * 64 - 16).fill(0x20);
  padded.set(text);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.length), true);
  return concatBytes([new TextEncoder().encode(magic), length, padded, new Uint8Array(dataBytes)]);
}
