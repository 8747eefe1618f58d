import { ModelError, type ErrorCode } from '../errors.ts';
import { readGgufArray, type GgufItem, type GgufValueType } from '../formats/gguf/gguf-metadata.ts';
import { quoted } from '../quoted.ts';
import type { FileAccess } from './file-access.ts';
import type { GgufModel } from './gguf-model.ts';

/** The tokens of a GGUF file, read from it. */
export interface GgufVocabulary {
  /** In the order of their ids, all different but the unused ones. */
  tokens: VocabularyToken[];
  /** Pairs as "a b"; empty where the file has none. */
  merges: string[];
  /** `tokenizer.ggml.pre`: which words a text is split into; null where the file does not tell. */
  pre: string | null;
}

export interface VocabularyToken {
  id: number;
  text: string;
  kind: TokenKind;
  /** Sentencepiece's: the greater, the earlier it is merged. */
  score: number;
}

/** Source: llama.cpp's `llama_token_type`, from 1 on; unused tokens fill holes. */
const TOKEN_KINDS = ['normal', 'unknown', 'control', 'user-defined', 'unused', 'byte'] as const;
export type TokenKind = (typeof TOKEN_KINDS)[number];

/**
 * Reads the tokens of a GGUF file.
 *
 * @throws ModelError TOKENIZER_MISSING, TOKENIZER_INVALID; FormatError FORMAT_HEADER_INVALID; what `access` throws
 */
export async function readGgufVocabulary(model: GgufModel, access: FileAccess): Promise<GgufVocabulary> {
  const lists = new TokenizerLists(model, access);
  const texts = await lists.read('tokens', ['string']);
  if (texts === null) {
    throw lists.error('TOKENIZER_MISSING', 'has no list of tokens, so no text can be given to the model');
  }
  const kinds = await lists.read('token_type', ['i32', 'u32'], texts.length);
  const scores = await lists.read('scores', ['f32'], texts.length);
  const merges = await lists.read('merges', ['string']);
  const seen = new Set<string>();
  const tokens = texts.map((item, id): VocabularyToken => {
    const text = String(item);
    const kind = kinds === null ? 'normal' : TOKEN_KINDS[Number(kinds[id]) - 1];
    if (kind === undefined) throw lists.error('TOKENIZER_INVALID', `gives token ${id} the type ${String(kinds?.[id])}`);
    if (kind !== 'unused' && seen.has(text)) {
      throw lists.error('TOKENIZER_INVALID', `has the token ${quoted(text)} a second time, as ${id}`);
    }
    seen.add(text);
    return { id, text, kind, score: Number(scores?.[id] ?? 0) };
  });
  return { tokens, merges: (merges ?? []).map(String), pre: model.fields.optionalText('tokenizer.ggml.pre') };
}

/** The lists under `tokenizer.ggml.`. */
class TokenizerLists {
  readonly #model: GgufModel;
  readonly #access: FileAccess;

  constructor(model: GgufModel, access: FileAccess) {
    this.#model = model;
    this.#access = access;
  }

  /** Null where there is no such list. */
  async read(key: string, itemTypes: readonly GgufValueType[], count?: number): Promise<GgufItem[] | null> {
    const { root, fields } = this.#model;
    const [{ path, sizeBytes }] = this.#model.weightFiles;
    const value = fields.entry(`tokenizer.ggml.${key}`)?.value;
    if (value === undefined) return null;
    if (typeof value !== 'object' || !itemTypes.includes(value.itemType)) {
      throw this.error('TOKENIZER_INVALID', `has no list of ${itemTypes.join(' or ')} as "tokenizer.ggml.${key}"`);
    }
    if (count !== undefined && value.count !== count) {
      const found = `has ${value.count} items in "tokenizer.ggml.${key}", but ${count} tokens`;
      throw this.error('TOKENIZER_INVALID', found);
    }
    return readGgufArray({ path: `${root}/${path}`, file: path, sizeBytes }, value, this.#access);
  }

  error(code: ErrorCode, found: string): ModelError {
    const [{ path }] = this.#model.weightFiles;
    const whatToDo = 'Get a GGUF file that llama.cpp takes.';
    return new ModelError({ code, what: `${quoted(path)} ${found}.`, where: { file: path }, whatToDo });
  }
}
