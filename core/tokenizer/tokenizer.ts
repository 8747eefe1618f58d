import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { FormatError, ModelError } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../model/model-config.ts';
import { quoted } from '../quoted.ts';
import { checkTokenizerJson } from './check-tokenizer-json.ts';
import { correctSteps, spellOutMetaspace } from './correct-steps.ts';
import { cutRulesOf, cutText, hasAddedToken, type CutRules } from './safe-cuts.ts';

/** Characters of a piece: enough to hide what a piece costs, little enough that a signal is seen in a tenth of a second. */
const PIECE_CHARACTERS = 64 << 10;

/**
 * A run of characters without white space (or of white space alone) becomes one word, which takes some 300 bytes a
 * character while it is merged. The longest real ones are data written as text.
 */
const MAX_RUN_CHARACTERS = 4 << 20;

/** Text to token ids and back, as the model's own tokenizer does it. */
export interface Tokenizer {
  /** Tokens known: one more than the greatest id. */
  readonly vocabularySize: number;
  /** Whether `encode` puts the token of the beginning in front: only where tokenizer_config.json asks for it. */
  readonly addsBos: boolean;
  /** What a user may want to know, in whole sentences. */
  readonly notes: readonly string[];
  /** No special token is added but the one that `addsBos` tells of; special tokens written in the text are taken as such. */
  encode(text: string): Int32Array;
  /** The same ids, piece by piece in order: for progress, for cancelling, and for stopping early. */
  encodePieces(text: string): Iterable<Int32Array>;
  /** Special tokens are written out; bytes that are not UTF-8 become U+FFFD. */
  decode(ids: Int32Array): string;
  /** The text of one token as it is stored, for messages and lists; null for an id that no token has. */
  tokenOf(id: number): string | null;
}

export interface TokenizerFiles {
  /** Parsed `tokenizer.json`. */
  tokenizerJson: unknown;
  /** Parsed `tokenizer_config.json`; null where there is none. */
  tokenizerConfig: JsonObject | null;
  /** Where it came from, for messages. */
  file: string;
  /** How long a piece of a text is; no id depends on it. */
  pieceCharacters?: number | undefined;
}

/**
 * Makes a tokenizer.
 *
 * Source: the `tokenizers` library's file format, by its authors' JavaScript implementation; where that differs from
 * the library itself, it is set right (`correct-steps.ts`).
 * @throws ModelError TOKENIZER_INVALID, TOKENIZER_NOT_SUPPORTED
 */
export function createTokenizer(files: TokenizerFiles): Tokenizer {
  const { tokenizerJson, tokenizerConfig, file, pieceCharacters = PIECE_CHARACTERS } = files;
  const checked = checkTokenizerJson(tokenizerJson, file);
  // Only what is asked of the text itself: everything else in this file is for other users.
  const config = { clean_up_tokenization_spaces: false };
  const whole = build(checked.json, config, file);
  const rules = cutRulesOf(checked.json);
  const rest = rules?.hasPrefix === true ? buildContinuation(checked.json, rules, whole, config, file) : whole;
  const bos = beginningToken(tokenizerConfig, whole, file);
  const { vocabularySize } = checked;

  function encodePart(part: string, by: HuggingFaceTokenizer): Int32Array {
    if (part === '') return new Int32Array(0);
    refuseLongRuns(part);
    const { ids } = by.encode(part, { add_special_tokens: false });
    const missing = (ids as (number | undefined)[]).indexOf(undefined);
    if (missing !== -1) throw noToken(file);
    return Int32Array.from(ids);
  }

  function* encodePieces(text: string): Iterable<Int32Array> {
    if (bos !== null) yield Int32Array.of(bos);
    // A prefix stands after every special token in the text too: then pieces would have to know what is in them.
    const canCut = rules !== null && !(rules.hasPrefix && hasAddedToken(checked.json, text));
    if (!canCut) {
      yield encodePart(text, whole);
      return;
    }
    let by = whole;
    for (const piece of cutText(text, pieceCharacters)) {
      yield encodePart(piece, by);
      by = rest;
    }
  }

  return {
    vocabularySize,
    addsBos: bos !== null,
    notes: notesOf(checked.json, bos),
    encodePieces,
    encode: (text) => joinIds([...encodePieces(text)]),
    decode: (ids) => (ids.length === 0 ? '' : whole.decode([...ids], { clean_up_tokenization_spaces: false })),
    tokenOf: (id) => whole.id_to_token(id) ?? null,
  };
}

/** One array out of several. */
export function joinIds(parts: readonly Int32Array[]): Int32Array {
  const ids = new Int32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    ids.set(part, at);
    at += part.length;
  }
  return ids;
}

function build(json: JsonObject, config: JsonObject, file: string): HuggingFaceTokenizer {
  try {
    const tokenizer = new HuggingFaceTokenizer(
      { ...json, pre_tokenizer: spellOutMetaspace(json['pre_tokenizer']) },
      config,
    );
    correctSteps(tokenizer);
    return tokenizer;
  } catch (cause) {
    throw new ModelError({
      code: 'TOKENIZER_NOT_SUPPORTED',
      what: `${quoted(file)} asks for what is not supported: ${cause instanceof Error ? cause.message : String(cause)}.`,
      where: { file },
      whatToDo: 'Use a model whose tokenizer is a usual one, BPE with known steps.',
      cause,
    });
  }
}

/** For pieces that are not the first: no prefix is put in front. The vocabulary is shared. */
function buildContinuation(
  json: JsonObject,
  rules: CutRules,
  whole: HuggingFaceTokenizer,
  config: JsonObject,
  file: string,
): HuggingFaceTokenizer {
  const emptyModel = { type: 'BPE', vocab: {}, merges: [] };
  const steps = { normalizer: rules.normalizerWithoutPrefix, pre_tokenizer: rules.preTokenizerWithoutPrefix };
  const tokenizer = build({ ...json, ...steps, model: emptyModel, added_tokens: [] }, config, file);
  tokenizer.model = whole.model;
  return tokenizer;
}

/** The id that is put in front of a text, or null: "no BOS unless the model's tokenizer_config asks for it". */
function beginningToken(config: JsonObject | null, tokenizer: HuggingFaceTokenizer, file: string): number | null {
  if (config?.['add_bos_token'] !== true) return null;
  const named = config['bos_token'];
  const content = isJsonObject(named) ? named['content'] : named;
  const id = typeof content === 'string' ? tokenizer.token_to_id(content) : undefined;
  if (id !== undefined) return id;
  throw new ModelError({
    code: 'TOKENIZER_INVALID',
    what: `The tokenizer's config asks for a token at the beginning (add_bos_token), but ${
      typeof content === 'string' ? `${quoted(content)} is not in ${quoted(file)}` : 'names none'
    }.`,
    where: { file },
    whatToDo: 'Download the tokenizer again, or set "add_bos_token" to false in tokenizer_config.json.',
  });
}

function notesOf(json: JsonObject, bos: number | null): string[] {
  const processor = json['post_processor'];
  if (bos !== null || !isJsonObject(processor)) return [];
  const single = /"single":\[\{"SpecialToken":\{"id":("(?:[^"\\]|\\.)*")/.exec(JSON.stringify(processor));
  const token = single?.[1] === undefined ? null : (JSON.parse(single[1]) as string);
  if (token === null) return [];
  return [
    `The tokenizer's template puts ${quoted(token)} in front of a text; tokenizer_config.json does not ask for it (add_bos_token), so it is left away.`,
  ];
}

function refuseLongRuns(text: string): void {
  if (text.length <= MAX_RUN_CHARACTERS) return;
  const edge = /(?<=\S)(?=\s)|(?<=\s)(?=\S)|$/g;
  let start = 0;
  for (let match = edge.exec(text); match !== null && start < text.length; match = edge.exec(text)) {
    if (match.index - start > MAX_RUN_CHARACTERS) throw runTooLong(text.slice(start, start + 40));
    start = match.index;
    edge.lastIndex = start + 1;
  }
}

function runTooLong(beginning: string): FormatError {
  return new FormatError({
    code: 'TEXT_RUN_TOO_LONG',
    what: `The text has a word (or a gap) of more than ${MAX_RUN_CHARACTERS} characters; it begins with ${quoted(beginning)}.`,
    whatToDo: 'Take out what is not text, or break it into lines.',
  });
}

function noToken(file: string): ModelError {
  return new ModelError({
    code: 'TOKENIZER_INVALID',
    what: `${quoted(file)} has no token for a part of the text, and none for what is unknown.`,
    where: { file },
    whatToDo: 'Download the tokenizer again.',
  });
}
