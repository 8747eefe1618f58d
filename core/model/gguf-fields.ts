import { ModelError } from '../errors.ts';
import type { GgufEntry, GgufMetadata, GgufScalar } from '../formats/gguf/gguf-metadata.ts';
import { quoted, shown } from '../quoted.ts';

/** As `config-fields.ts` has it: above every size of a published model by orders of magnitude. */
const MAX_WHOLE = 2 ** 24;
const INTEGER_TYPES: readonly string[] = ['u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'u64', 'i64'];
/** Significant digits that tell any two floats of 32 bits apart. */
const FLOAT_DIGITS = 9;

/** The metadata of a GGUF file, each value checked where it is read; keys of the architecture without its name. */
export class GgufFields {
  readonly #metadata: GgufMetadata;
  readonly #file: string;
  readonly #prefix: string;

  /** @param prefix put in front of every key, such as `llama.` */
  constructor(metadata: GgufMetadata, file: string, prefix = '') {
    this.#metadata = metadata;
    this.#file = file;
    this.#prefix = prefix;
  }

  /** Those of an architecture, or another family of keys. */
  under(prefix: string): GgufFields {
    return new GgufFields(this.#metadata, this.#file, prefix);
  }

  has(key: string): boolean {
    return this.#metadata.has(`${this.#prefix}${key}`);
  }

  /** As it stands in the file; undefined if it is not there. */
  entry(key: string): GgufEntry | undefined {
    return this.#metadata.get(`${this.#prefix}${key}`);
  }

  /** A whole number from 1 on. */
  whole(key: string): number {
    const value = this.optionalWhole(key);
    if (value !== null) return value;
    throw this.invalid(key, undefined, `a whole number from 1 to ${MAX_WHOLE}`);
  }

  /** A whole number from 1 on, or null where there is none. */
  optionalWhole(key: string): number | null {
    const count = this.optionalCount(key);
    if (count !== 0) return count;
    throw this.invalid(key, count, `a whole number from 1 to ${MAX_WHOLE}`);
  }

  /** A whole number from 0 on, or null where there is none. */
  optionalCount(key: string): number | null {
    const entry = this.entry(key);
    if (!entry) return null;
    const value = scalarOf(entry);
    const isRight = INTEGER_TYPES.includes(entry.type) && typeof value === 'number' && value >= 0 && value <= MAX_WHOLE;
    if (isRight) return value;
    throw this.invalid(key, value ?? 'a list', `a whole number from 0 to ${MAX_WHOLE}`);
  }

  /** A number above zero, or null where there is none. Of a float, the shortest decimal that stands for it. */
  optionalPositive(key: string): number | null {
    const entry = this.entry(key);
    if (!entry) return null;
    const value = scalarOf(entry);
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) {
      return entry.type === 'f32' ? shortestDecimal(value) : value;
    }
    throw this.invalid(key, value ?? 'a list', 'a number above 0');
  }

  positive(key: string): number {
    const value = this.optionalPositive(key);
    if (value !== null) return value;
    throw this.invalid(key, undefined, 'a number above 0');
  }

  flag(key: string, fallback: boolean): boolean {
    const entry = this.entry(key);
    if (!entry) return fallback;
    const value = scalarOf(entry);
    if (typeof value === 'boolean') return value;
    throw this.invalid(key, value ?? 'a list', 'a bool');
  }

  optionalText(key: string): string | null {
    const entry = this.entry(key);
    if (!entry) return null;
    const value = scalarOf(entry);
    if (typeof value === 'string') return value;
    throw this.invalid(key, value ?? 'a list', 'a text');
  }

  /** The error for a key whose value cannot be. */
  invalid(key: string, found: unknown, expected: string): ModelError {
    return new ModelError({
      code: 'MODEL_CONFIG_INVALID',
      what: `${quoted(`${this.#prefix}${key}`)} of ${quoted(this.#file)} is ${shown(found)}, expected ${expected}.`,
      where: { file: this.#file },
      whatToDo: 'Get a GGUF file that llama.cpp takes.',
    });
  }
}

/** Null for a list. Integers too large for a number are as wrong as texts to those who ask for numbers. */
function scalarOf({ value }: GgufEntry): GgufScalar | null {
  if (typeof value === 'object') return null;
  return typeof value === 'bigint' ? String(value) : value;
}

function shortestDecimal(value: number): number {
  for (let digits = 1; digits < FLOAT_DIGITS; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === value) return decimal;
  }
  return value;
}
