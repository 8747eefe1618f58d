/**
 * Characters that could move a terminal's cursor, change its state, fake a line or turn text around: controls (C0 but
 * tab and line feed, DEL, C1), line and paragraph separators, bidirectional controls; and halves of surrogate pairs.
 */
const UNSAFE = /(?![\t\n])\p{Cc}|\p{Cs}|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Text of several lines, made safe to print: what could act on a terminal is shown as `\u001b`. */
export function escapeText(text: string): string {
  return text.replace(UNSAFE, escapeCharacter);
}

/** The same for what must stay on one line and in one cell of a table, such as a tensor's name from a file. */
export function escapeLine(text: string): string {
  return escapeText(text).replace(/[\t\n]/g, (character) => (character === '\n' ? '\\n' : '\\t'));
}

/** One JSON document. Escapes in it what JSON itself lets through but a terminal obeys; it parses to the same value. */
export function toSafeJson(value: unknown, indent = 0): string {
  const text = JSON.stringify(value, null, indent);
  // Between the tokens there are only spaces and line feeds, so that every other match is inside a string.
  return escapeText(text);
}
