/** Longer names are cut in messages; the whole name stands in the error's `where`. */
const MAX_QUOTED_CHARACTERS = 160;

/**
 * A name from a file or a user, in quotes, for a message. Control characters are escaped: a hostile name cannot move the
 * cursor of a terminal, nor fake a line of output.
 */
export function quoted(name: string): string {
  const cut = name.length > MAX_QUOTED_CHARACTERS ? `${name.slice(0, MAX_QUOTED_CHARACTERS)}…` : name;
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
