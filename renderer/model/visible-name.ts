/** Signs that change what stands around them, or that nobody sees: names of files and tensors may try to fool with them. */
// eslint-disable-next-line no-control-regex
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** A name with such signs written out. */
export function visibleName(name: string): string {
  return name.replace(
    INVISIBLE,
    (sign) => `\u27e8U+${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}\u27e9`,
  );
}
