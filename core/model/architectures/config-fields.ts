import { ModelError } from '../../errors.ts';
import { shown } from '../../quoted.ts';
import { isJsonObject, type JsonObject } from '../model-config.ts';

/** Above every size of a published model by orders of magnitude; products of two still are exact. */
const MAX_WHOLE = 2 ** 24;

/** The fields of a `config.json`, each checked where it is read; null counts as left out, as in Python's configs. */
export class ConfigFields {
  readonly #config: JsonObject;
  readonly #path: string;

  /** @param path where these fields lie in the file, for messages: '' or such as `rope_scaling.` */
  constructor(config: JsonObject, path = '') {
    this.#config = config;
    this.#path = path;
  }

  has(key: string): boolean {
    return (this.#config[key] ?? null) !== null;
  }

  /** A whole number from 1 on; without `fallback` it must be there. */
  whole(key: string, fallback?: number): number {
    const value = this.#value(key, fallback);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 1 || value > MAX_WHOLE) {
      throw this.invalid(key, value, `a whole number from 1 to ${MAX_WHOLE}`);
    }
    return value;
  }

  /** A whole number from 1 on, or null where the field is left out. */
  optionalWhole(key: string): number | null {
    return this.has(key) ? this.whole(key) : null;
  }

  /** A finite number above zero; without `fallback` it must be there. */
  positive(key: string, fallback?: number): number {
    const value = this.#value(key, fallback);
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
      throw this.invalid(key, value, 'a number above 0');
    }
    return value;
  }

  optionalPositive(key: string): number | null {
    return this.has(key) ? this.positive(key) : null;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.#value(key, fallback);
    if (typeof value !== 'boolean') throw this.invalid(key, value, 'true or false');
    return value;
  }

  text(key: string, fallback?: string): string {
    const value = this.#value(key, fallback);
    if (typeof value !== 'string') throw this.invalid(key, value, 'a text');
    return value;
  }

  /** A list of numbers above zero. */
  positives(key: string, length: number): number[] {
    const value = this.#value(key, undefined);
    const isRight =
      Array.isArray(value) && value.length === length && value.every((item) => typeof item === 'number' && item > 0);
    if (!isRight) {
      const found = Array.isArray(value) ? `a list of ${value.length} items` : value;
      throw this.invalid(key, found, `a list of ${length} numbers above 0`);
    }
    return value as number[];
  }

  /** A list of texts, or null where the field is left out. */
  optionalTexts(key: string, length: number): string[] | null {
    if (!this.has(key)) return null;
    const value = this.#config[key];
    if (!Array.isArray(value) || value.length !== length || !value.every((item) => typeof item === 'string')) {
      const found = Array.isArray(value) ? `a list of ${value.length} items` : value;
      throw this.invalid(key, found, `a list of ${length} texts`);
    }
    return value;
  }

  /** The fields of an object inside this one; null where it is left out. */
  optionalObject(key: string): ConfigFields | null {
    if (!this.has(key)) return null;
    const value = this.#config[key];
    if (!isJsonObject(value)) throw this.invalid(key, value, 'an object');
    return new ConfigFields(value, `${this.#path}${key}.`);
  }

  /** The error for a field whose value cannot be. */
  invalid(key: string, found: unknown, expected: string): ModelError {
    return new ModelError({
      code: 'MODEL_CONFIG_INVALID',
      what: `"${this.#path}${key}" of config.json is ${shown(found)}, expected ${expected}.`,
      where: { file: 'config.json' },
      whatToDo: 'Download this file again, or correct it.',
    });
  }

  #value(key: string, fallback: unknown): unknown {
    return this.#config[key] ?? fallback;
  }
}
