import { ModelError } from '../errors.ts';
import type { GgufValue } from '../formats/gguf/gguf-writer.ts';
import { quoted, shown } from '../quoted.ts';
import { knownPreTokenizers, preTokenizerName } from './gguf-pre-tokenizers.ts';
import { isJsonObject, type JsonObject } from './model-config.ts';

/** What Hugging Face keeps of a tokenizer beside a model, parsed and found sound by `createTokenizer`. */
export interface TokenizerSource {
  tokenizerJson: JsonObject;
  tokenizerConfig: JsonObject | null;
  config: JsonObject;
  /** `chat_template.jinja`, where it stands in a file of its own. */
  chatTemplate: string | null;
  /** Whether the model's tokenizer puts the token of the beginning in front. */
  addsBos: boolean;
  /** Rows of the embedding: the tokens that the file has to name. */
  vocabularySize: number;
  /** Where it came from, for messages. */
  file: string;
}

/** Source: llama.cpp's `llama_token_type`. */
const KIND = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/**
 * The metadata of a tokenizer: byte-level BPE by the structure of its steps (llama.cpp's own converter knows them by a hash
 * of ids), or sentencepiece's BPE.
 *
 * @throws ModelError TOKENIZER_NOT_SUPPORTED, naming what a GGUF file cannot say
 */
export function ggufTokenizerKeys(source: TokenizerSource): Map<string, GgufValue> {
  const { tokenizerJson: json } = source;
  const model = isJsonObject(json['model']) ? json['model'] : {};
  if ((model['type'] ?? 'BPE') !== 'BPE') throw notSupported(source, `a model of type ${shown(model['type'])}`);
  const metadata = new Map<string, GgufValue>();
  const tokens = tokensOf(source, model);
  const isPieces = model['byte_fallback'] === true;
  metadata.set('tokenizer.ggml.model', { type: 'string', value: isPieces ? 'llama' : 'gpt2' });
  metadata.set('tokenizer.ggml.pre', { type: 'string', value: isPieces ? 'default' : byteLevelName(source, model) });
  metadata.set('tokenizer.ggml.tokens', { type: 'array', of: 'string', items: tokens.texts });
  if (isPieces)
    metadata.set('tokenizer.ggml.scores', { type: 'array', of: 'f32', items: scoresOf(tokens.texts, model) });
  metadata.set('tokenizer.ggml.token_type', { type: 'array', of: 'i32', items: tokens.kinds });
  if (!isPieces) metadata.set('tokenizer.ggml.merges', { type: 'array', of: 'string', items: mergesOf(model) });
  if (isPieces) {
    metadata.set('tokenizer.ggml.add_space_prefix', { type: 'bool', value: prependsSpace(source) });
  }
  for (const [key, id] of specialIds(source, tokens.texts)) metadata.set(key, { type: 'u32', value: id });
  metadata.set('tokenizer.ggml.add_bos_token', { type: 'bool', value: source.addsBos });
  if (source.tokenizerConfig?.['add_eos_token'] === true) {
    metadata.set('tokenizer.ggml.add_eos_token', { type: 'bool', value: true });
  }
  const template = chatTemplateOf(source);
  if (template !== null) metadata.set('tokenizer.chat_template', { type: 'string', value: template });
  return metadata;
}

interface Tokens {
  texts: string[];
  kinds: number[];
}

/** In the order of their ids; holes are filled with names that no text has. */
function tokensOf(source: TokenizerSource, model: JsonObject): Tokens {
  const { tokenizerJson, vocabularySize } = source;
  const texts: string[] = [];
  const kinds: number[] = [];
  const unknown = model['unk_token'] ?? null;
  for (const [text, id] of Object.entries(isJsonObject(model['vocab']) ? model['vocab'] : {})) {
    texts[Number(id)] = text;
    kinds[Number(id)] = kindOf(text, text === unknown, model['byte_fallback'] === true);
  }
  for (const token of Array.isArray(tokenizerJson['added_tokens'])
    ? (tokenizerJson['added_tokens'] as unknown[])
    : []) {
    if (!isJsonObject(token)) continue;
    const id = Number(token['id']);
    const text = String(token['content']);
    texts[id] = text;
    if (text === unknown) kinds[id] = KIND.unknown;
    else kinds[id] = token['special'] === true ? KIND.control : KIND.userDefined;
  }
  if (texts.length > vocabularySize) {
    throw notSupported(source, `${texts.length} tokens, but the model has embeddings for ${vocabularySize}`);
  }
  const taken = new Set(texts.filter((text) => typeof text === 'string'));
  for (let id = 0; id < vocabularySize; id++) {
    if (texts[id] !== undefined) continue;
    let name = `[PAD${id}]`;
    while (taken.has(name)) name = `[${name}]`;
    taken.add(name);
    texts[id] = name;
    kinds[id] = KIND.unused;
  }
  return { texts, kinds };
}

function kindOf(text: string, isUnknown: boolean, hasBytes: boolean): number {
  if (isUnknown) return KIND.unknown;
  return hasBytes && /^<0x[0-9A-F]{2}>$/.test(text) ? KIND.byte : KIND.normal;
}

function byteLevelName(source: TokenizerSource, model: JsonObject): string {
  const { tokenizerJson } = source;
  const name = preTokenizerName({
    normalizer: isJsonObject(tokenizerJson['normalizer']) ? tokenizerJson['normalizer'] : null,
    preTokenizer: isJsonObject(tokenizerJson['pre_tokenizer']) ? tokenizerJson['pre_tokenizer'] : {},
    ignoresMerges: model['ignore_merges'] === true,
  });
  if (name !== null) return name;
  const steps = JSON.stringify({
    normalizer: tokenizerJson['normalizer'],
    pre_tokenizer: tokenizerJson['pre_tokenizer'],
  });
  throw notSupported(
    source,
    `steps that none of the kinds ${knownPreTokenizers()} has: ${steps.slice(0, MAX_SHOWN_STEPS)}`,
  );
}

/** Of a tokenizer's steps in a message. */
const MAX_SHOWN_STEPS = 600;

/** As "a b". A space within a part is written as byte level writes it. */
function mergesOf(model: JsonObject): string[] {
  const merges = Array.isArray(model['merges']) ? (model['merges'] as unknown[]) : [];
  return merges.map((merge) => {
    if (!Array.isArray(merge)) return String(merge);
    return merge.map((part) => String(part).replaceAll(' ', '\u0120')).join(' ');
  });
}

/** Sentencepiece merges by score; the order of the merges is that of the scores. */
function scoresOf(texts: readonly string[], model: JsonObject): number[] {
  const ranks = new Map<string, number>();
  for (const merge of mergesOfPieces(model)) if (!ranks.has(merge)) ranks.set(merge, ranks.size);
  return texts.map((text) => -(ranks.get(text) ?? ranks.size));
}

/** What each merge makes. */
function mergesOfPieces(model: JsonObject): string[] {
  const merges = Array.isArray(model['merges']) ? (model['merges'] as unknown[]) : [];
  return merges.map((merge) => (Array.isArray(merge) ? merge.join('') : String(merge).replace(' ', '')));
}

/** Whether a space is put in front of a text, as the normalizer or the step that makes words has it. */
function prependsSpace({ tokenizerJson }: TokenizerSource): boolean {
  const steps = JSON.stringify([tokenizerJson['normalizer'], tokenizerJson['pre_tokenizer']]);
  return steps.includes('"Prepend"') || /"prepend_scheme":"(?:always|first)"/.test(steps);
}

function specialIds({ tokenizerConfig, config }: TokenizerSource, texts: readonly string[]): [string, number][] {
  const ids: [string, number][] = [];
  for (const [key, field] of [
    ['bos_token_id', 'bos_token'],
    ['eos_token_id', 'eos_token'],
    ['unknown_token_id', 'unk_token'],
    ['padding_token_id', 'pad_token'],
  ] as const) {
    const named = tokenizerConfig?.[field] ?? null;
    const text = isJsonObject(named) ? named['content'] : named;
    const byName = typeof text === 'string' ? texts.indexOf(text) : -1;
    const listed: unknown = config[key];
    // Several ends are allowed in a config; the first one is the usual one.
    const first: unknown = Array.isArray(listed) ? listed[0] : listed;
    const id = byName >= 0 ? byName : first;
    if (typeof id === 'number' && id >= 0 && id < texts.length) ids.push([`tokenizer.ggml.${key}`, id]);
  }
  return ids;
}

function chatTemplateOf({ tokenizerConfig, chatTemplate }: TokenizerSource): string | null {
  const found: unknown = tokenizerConfig?.['chat_template'] ?? null;
  if (typeof found === 'string') return found;
  if (Array.isArray(found)) {
    const usual = (found as unknown[]).find((one) => isJsonObject(one) && one['name'] === 'default');
    if (isJsonObject(usual) && typeof usual['template'] === 'string') return usual['template'];
  }
  return chatTemplate;
}

function notSupported({ file }: TokenizerSource, found: string): ModelError {
  return new ModelError({
    code: 'TOKENIZER_NOT_SUPPORTED',
    what: `${quoted(file)} has ${found}; a GGUF file cannot say that.`,
    where: { file },
    whatToDo: 'Choose another format, or export without a tokenizer (--no-tokenizer).',
  });
}
