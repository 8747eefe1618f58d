import { ModelError } from '../errors.ts';
import { quoted } from '../quoted.ts';
import type { FileAccess } from './file-access.ts';
import type { GgufModel } from './gguf-model.ts';
import { pieceMerges } from './gguf-piece-merges.ts';
import { addsBosByDefault, knownPreTokenizers, preTokenizerSteps } from './gguf-pre-tokenizers.ts';
import { readGgufVocabulary, type GgufVocabulary, type VocabularyToken } from './gguf-vocabulary.ts';
import type { JsonObject } from './model-config.ts';

/** What Hugging Face keeps beside a model. */
export interface GgufTokenizer {
  /** As `tokenizer.json` has it. */
  tokenizerJson: JsonObject;
  /** As `tokenizer_config.json` has it. */
  tokenizerConfig: JsonObject;
}

/** Sentencepiece's sign for a space. */
const SPACE_SIGN = '\u2581';

/**
 * The tokenizer of a GGUF file, in Hugging Face's formats: byte-level BPE (`gpt2`) and sentencepiece's BPE (`llama`).
 *
 * Source: llama.cpp's converters, the other way round; `tokenizer.ggml.pre` names the words that a text is split into.
 * @throws ModelError TOKENIZER_MISSING, TOKENIZER_INVALID, TOKENIZER_NOT_SUPPORTED (names the kind); FormatError
 * FORMAT_HEADER_INVALID; what `access` throws
 * Cost: reads the lists of tokens; memory some 100 bytes a token and merge.
 */
export async function readGgufTokenizer(model: GgufModel, access: FileAccess): Promise<GgufTokenizer> {
  const { fields, weightFiles } = model;
  const [{ path: file }] = weightFiles;
  const kind = fields.optionalText('tokenizer.ggml.model');
  if (kind === null) throw missing(file);
  if (kind !== 'gpt2' && kind !== 'llama') {
    throw notSupported(file, `has a tokenizer of the kind ${quoted(kind)}; known are "gpt2" and "llama"`);
  }
  const vocabulary = await readGgufVocabulary(model, access);
  const config = tokenizerConfig(model, vocabulary, kind === 'llama' || addsBosByDefault(vocabulary.pre ?? ''));
  const parts = kind === 'gpt2' ? byteLevelParts(vocabulary, file) : piecesParts(vocabulary, model);
  return {
    tokenizerJson: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: parts.tokens.filter(isAdded).map(addedToken),
      normalizer: parts.normalizer,
      pre_tokenizer: parts.preTokenizer,
      post_processor: template(config, vocabulary),
      decoder: parts.decoder,
      model: parts.model,
    },
    tokenizerConfig: config,
  };
}

interface TokenizerParts {
  tokens: readonly VocabularyToken[];
  normalizer: JsonObject | null;
  preTokenizer: JsonObject | null;
  decoder: JsonObject;
  model: JsonObject;
}

function byteLevelParts({ tokens, merges, pre }: GgufVocabulary, file: string): TokenizerParts {
  if (pre === null) {
    throw notSupported(file, 'does not tell into which words its tokenizer splits a text ("tokenizer.ggml.pre")');
  }
  const steps = preTokenizerSteps(pre);
  if (steps === null) {
    throw notSupported(file, `has a pre-tokenizer of the kind ${quoted(pre)}; known are ${knownPreTokenizers()}`);
  }
  if (merges.length === 0) throw notSupported(file, 'has no merges for its tokenizer');
  return {
    tokens,
    normalizer: steps.normalizer,
    preTokenizer: steps.preTokenizer,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: bpe(tokens, merges, { ignore_merges: steps.ignoresMerges }),
  };
}

function piecesParts({ tokens, merges }: GgufVocabulary, { fields }: GgufModel): TokenizerParts {
  const addsSpace = fields.flag('tokenizer.ggml.add_space_prefix', true);
  // The converter writes spaces in user-defined pieces, which the text does not have any more when it is merged.
  const pieces = tokens.map((token) =>
    token.kind === 'user-defined' ? { ...token, text: token.text.replaceAll(' ', SPACE_SIGN) } : token,
  );
  const unknown = pieces.find(({ kind }) => kind === 'unknown')?.text ?? null;
  const hasBytes = pieces.some(({ kind }) => kind === 'byte');
  const spaces = { type: 'Replace', pattern: { String: ' ' }, content: SPACE_SIGN };
  return {
    tokens: pieces,
    normalizer: addsSpace
      ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: SPACE_SIGN }, spaces] }
      : spaces,
    preTokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: SPACE_SIGN }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(addsSpace ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: bpe(pieces, merges.length > 0 ? merges : pieceMerges(pieces), {
      unk_token: unknown,
      fuse_unk: true,
      byte_fallback: hasBytes,
    }),
  };
}

function bpe(tokens: readonly VocabularyToken[], merges: string[], options: JsonObject): JsonObject {
  const used = tokens.filter(({ kind }) => kind !== 'unused');
  return {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    ...options,
    vocab: Object.fromEntries(used.map(({ text, id }) => [text, id])),
    merges,
  };
}

function isAdded({ kind }: VocabularyToken): boolean {
  return kind === 'control' || kind === 'user-defined' || kind === 'unknown';
}

function addedToken({ id, text, kind }: VocabularyToken): JsonObject {
  const special = kind !== 'user-defined';
  return { id, content: text, single_word: false, lstrip: false, rstrip: false, normalized: false, special };
}

/** The beginning's and the end's token around a text, where the file asks for them. */
function template(config: JsonObject, { tokens }: GgufVocabulary): JsonObject | null {
  const before = config['add_bos_token'] === true ? config['bos_token'] : undefined;
  const after = config['add_eos_token'] === true ? config['eos_token'] : undefined;
  const ids = new Map(tokens.map(({ text, id }) => [text, id]));
  const special = [before, after].filter((text): text is string => typeof text === 'string' && ids.has(text));
  if (special.length === 0) return null;
  const around = (sequences: readonly ('A' | 'B')[]) =>
    sequences.flatMap((id, typeId) => [
      ...(typeof before === 'string' ? [{ SpecialToken: { id: before, type_id: typeId } }] : []),
      { Sequence: { id, type_id: typeId } },
      ...(typeof after === 'string' ? [{ SpecialToken: { id: after, type_id: typeId } }] : []),
    ]);
  return {
    type: 'TemplateProcessing',
    single: around(['A']),
    pair: around(['A', 'B']),
    special_tokens: Object.fromEntries(
      special.map((text) => [text, { id: text, ids: [ids.get(text)], tokens: [text] }]),
    ),
  };
}

const SPECIAL_TOKENS = [
  ['bos_token', 'bos_token_id'],
  ['eos_token', 'eos_token_id'],
  ['unk_token', 'unknown_token_id'],
  ['pad_token', 'padding_token_id'],
] as const;

function tokenizerConfig({ fields, config }: GgufModel, { tokens }: GgufVocabulary, addsBos: boolean): JsonObject {
  const keys = fields.under('tokenizer.ggml.');
  const special = SPECIAL_TOKENS.map(([name, key]) => {
    const id = keys.optionalCount(key);
    return [name, id === null ? undefined : tokens[id]?.text] as const;
  });
  const named: JsonObject = Object.fromEntries(special.filter(([, text]) => text !== undefined));
  const chatTemplate = fields.optionalText('tokenizer.chat_template');
  const positions = config?.['max_position_embeddings'] ?? config?.['n_positions'];
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    add_bos_token: keys.flag('add_bos_token', addsBos && named['bos_token'] !== undefined),
    add_eos_token: keys.flag('add_eos_token', false),
    clean_up_tokenization_spaces: false,
    ...named,
    ...(typeof positions === 'number' ? { model_max_length: positions } : {}),
    ...(chatTemplate === null ? {} : { chat_template: chatTemplate }),
  };
}

function missing(file: string): ModelError {
  return new ModelError({
    code: 'TOKENIZER_MISSING',
    what: `${quoted(file)} holds no tokenizer, so no text can be given to the model.`,
    where: { file },
    whatToDo: 'Get a GGUF file that llama.cpp takes.',
  });
}

function notSupported(file: string, found: string): ModelError {
  return new ModelError({
    code: 'TOKENIZER_NOT_SUPPORTED',
    what: `${quoted(file)} ${found}.`,
    where: { file },
    whatToDo: 'Restore the model, and put the tokenizer.json of the original beside it.',
  });
}
