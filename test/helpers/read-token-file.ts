/** Reads a token file as docs/formats/tokens.md has it. */
export interface TokenFileHeader {
  version: number;
  model: string;
  texts: {
    text: string;
    windows: number;
    predictions: number;
    columns: Record<string, { dtype: string; count: number; offset: number }>;
  }[];
}

export function readTokenFile(file: Uint8Array) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const text = (from: number, to: number) => new TextDecoder().decode(file.subarray(from, to));
  if (text(0, 8) !== 'LTHTOKN1') throw new Error('not a token file');
  const dataStart = 12 + view.getUint32(8, true);
  const header = JSON.parse(text(12, dataStart)) as TokenFileHeader;
  const columns = header.texts.map(({ columns: described }) =>
    Object.fromEntries(
      Object.entries(described).map(([name, { dtype, count, offset }]) => {
        const at = dataStart + offset;
        const values = Array.from({ length: count }, (_, index) => {
          if (dtype === 'u8') return view.getUint8(at + index);
          return dtype === 'i32' ? view.getInt32(at + 4 * index, true) : view.getFloat32(at + 4 * index, true);
        });
        return [name, values];
      }),
    ),
  );
  return { dataStart, header, columns };
}
