/** What of a stream and an environment decides how text may look. */
interface StyledStream {
  readonly isTTY?: boolean | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether a stream is a terminal that understands control sequences at all. */
export function isAnimatable(stream: StyledStream, env: Environment): boolean {
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

/** Source: no-color.org: any value of NO_COLOR but the empty one turns colour off. */
function hasColor(stream: StyledStream, env: Environment): boolean {
  return isAnimatable(stream, env) && (env['NO_COLOR'] ?? '') === '';
}

export interface Style {
  red: (text: string) => string;
  yellow: (text: string) => string;
}

/** Colours for a stream, or functions that change nothing where it has none. */
export function createStyle(stream: StyledStream, env: Environment): Style {
  const isOn = hasColor(stream, env);
  function between(open: number, close: number): (text: string) => string {
    return (text) => (isOn ? `\u001b[${open}m${text}\u001b[${close}m` : text);
  }
  return { red: between(31, 39), yellow: between(33, 39) };
}
