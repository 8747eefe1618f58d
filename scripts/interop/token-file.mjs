/** Reads what `lathe evaluate --tokens-out` wrote (docs/formats/tokens.md), for the first text. */
import { readFileSync } from 'node:fs';

const ELEMENTS = { i32: Int32Array, f32: Float32Array, u8: Uint8Array };

/** @returns { context, windows, columns: { token, nll, … } }, columns as typed arrays */
export function readTokenFile(path) {
  const file = readFileSync(path);
  if (file.toString('latin1', 0, 8) !== 'LTHTOKN1') throw new Error(`${path} is not a token file`);
  const dataStart = 12 + file.readUInt32LE(8);
  const { context, texts } = JSON.parse(file.toString('utf8', 12, dataStart));
  const columns = Object.entries(texts[0].columns).map(([name, { dtype, count, offset }]) => {
    const Elements = ELEMENTS[dtype];
    const bytes = file.subarray(dataStart + offset, dataStart + offset + count * Elements.BYTES_PER_ELEMENT);
    return [name, new Elements(Uint8Array.from(bytes).buffer)];
  });
  return { context, windows: texts[0].windows, columns: Object.fromEntries(columns) };
}
