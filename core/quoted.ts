/** Longer names are cut in messages; the whole name stands in the error's `where`. */
const MAX_QUOTED_CHARACTERS = 160;

/**
 * A name from a file or a user, in quotes, for a message. Control characters are escaped: a hostile name cannot move the
 * cursor of a terminal, nor fake a line of output.
 */
export function quoted(name: string): string {
  return escapeControls(JSON.stringify(cut(name)));
}

/** A text that may hold parts of a file, for a message: cut like a name, and control characters escaped; no quotes. */
export function printable(text: string): string {
  return escapeControls(cut(text));
}

function escapeControls(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function cut(text: string): string {
  return text.length > MAX_QUOTED_CHARACTERS ? `${text.slice(0, MAX_QUOTED_CHARACTERS)}…` : text;
}

/**
 * A value from a parsed file, for a message: texts in quotes, numbers as they are, lists and objects by their kind alone
 * (they may be huge, or so deep that no text can be made of them; objects may even lack a way to become text).
 */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return quoted(value);
    case 'number':
    case 'boolean':
      return String(value);
    case 'undefined':
      return 'nothing';
    default:
      return value === null ? 'null' : Array.isArray(value) ? 'a list' : 'an object';
  }
}
