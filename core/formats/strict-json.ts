import { FormatError, ModelError, type ErrorCode } from '../errors.ts';
import { quoted } from '../quoted.ts';
import { decodeUtf8 } from '../utf8.ts';
import { scanJson, type JsonProblem, type JsonScanLimits } from './json-scan.ts';

export interface StrictJsonOptions {
  /** Shown in messages, and kept in `where`. */
  file: string;
  /** Where the bytes begin in the file. */
  offsetBytes: number;
  limits: JsonScanLimits;
  /** Code for bytes that are not UTF-8 or not JSON. */
  syntaxCode: 'FORMAT_HEADER_NOT_JSON' | 'MODEL_INDEX_INVALID';
  /** True where the keys of the root object are tensor names, so that errors can say which tensor they met. */
  rootKeysAreTensors: boolean;
}

export interface StrictJson {
  value: Record<string, unknown>;
  /** In the order of the text. */
  keys: string[];
}

/**
 * Parses bytes that must be one JSON object, after checks that `JSON.parse` does not make: depth, size, repeated keys,
 * numbers that would lose digits.
 *
 * @throws FormatError FORMAT_HEADER_TOO_DEEP, FORMAT_HEADER_TOO_LARGE, FORMAT_DUPLICATE_KEY, FORMAT_OFFSET_NOT_INTEGER,
 * FORMAT_HEADER_INVALID (an escape that is half a character), or `syntaxCode`
 */
export function parseStrictJson(bytes: Uint8Array, options: StrictJsonOptions): StrictJson {
  const { file, offsetBytes, syntaxCode } = options;
  const syntaxError = (what: string, byteOffset: number, cause?: unknown) => {
    const parts = { code: syntaxCode, what: `${quoted(file)}: ${what}`, where: { file, byteOffset }, cause };
    const whatToDo = 'Download this file again, or ask who made it.';
    return syntaxCode === 'MODEL_INDEX_INVALID'
      ? new ModelError({ ...parts, whatToDo })
      : new FormatError({ ...parts, whatToDo });
  };

  if (bytes[0] !== 0x7b) {
    const found = bytes[0] === undefined ? 'nothing' : `byte 0x${bytes[0].toString(16).padStart(2, '0')}`;
    throw syntaxError(`the JSON begins with ${found}, not with "{".`, offsetBytes);
  }
  const text = decodeUtf8(bytes);
  if (text === null) throw syntaxError('the JSON is not valid UTF-8.', offsetBytes);
  const { problem, rootKeys } = scanJson(text, options.limits);
  if (problem) throw errorOfProblem(problem, offsetBytes + utf8Length(text, problem.position), options);
  try {
    return { value: JSON.parse(text) as Record<string, unknown>, keys: rootKeys };
  } catch (cause) {
    throw syntaxError('the header is not valid JSON.', offsetBytes, cause);
  }
}

function errorOfProblem(problem: JsonProblem, byteOffset: number, options: StrictJsonOptions): FormatError {
  const { file } = options;
  const tensor = options.rootKeysAreTensors ? (problem.rootKey ?? undefined) : undefined;
  const at = `${quoted(file)}: at byte ${byteOffset}`;
  const error = (code: ErrorCode, what: string, whatToDo: string) =>
    new FormatError({ code, what, where: { file, tensor, byteOffset }, whatToDo });
  switch (problem.kind) {
    case 'too-deep':
      return error(
        'FORMAT_HEADER_TOO_DEEP',
        `${at} the JSON is nested more than ${problem.detail} levels deep.`,
        REFUSE,
      );
    case 'too-many-members':
      return error(
        'FORMAT_HEADER_TOO_LARGE',
        `${at} a list or object has more than ${problem.detail} members.`,
        REFUSE,
      );
    case 'duplicate-key':
      return error('FORMAT_DUPLICATE_KEY', `${at} the key ${quoted(problem.detail)} stands a second time.`, REFUSE);
    case 'lone-surrogate':
      return error(
        'FORMAT_HEADER_INVALID',
        `${at} the key ${quoted(problem.detail)} holds half of a character.`,
        REFUSE,
      );
    case 'not-whole-number':
      return error(
        'FORMAT_OFFSET_NOT_INTEGER',
        `${at} found the number ${quoted(problem.detail)}, expected a whole number of 0 or more, in plain digits.`,
        REFUSE,
      );
  }
}

const REFUSE = 'Do not use this file: no known program writes such a header.';

/** Bytes that the first `units` UTF-16 units of a text take; only for messages. */
function utf8Length(text: string, units: number): number {
  let length = 0;
  for (let i = 0; i < units; i++) {
    const unit = text.charCodeAt(i);
    const isSurrogate = unit >= 0xd800 && unit <= 0xdfff;
    length += unit < 0x80 ? 1 : unit < 0x800 || isSurrogate ? 2 : 3;
  }
  return length;
}
