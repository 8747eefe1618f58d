import { isJsonObject, type JsonObject } from './model-config.ts';

/** How a text becomes words before pairs are merged, as `tokenizer.json` has it. */
export interface PreTokenizerSteps {
  normalizer: JsonObject | null;
  preTokenizer: JsonObject;
  /** True where a word that is a token is taken whole, whatever the merges say. */
  ignoresMerges: boolean;
}

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const REST = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const CASED_REST = ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

/** The expressions of these models' own tokenizer.json. */
const LLAMA_3 = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|${REST}`;
const QWEN_2 = `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|${REST}`;
const TEKKEN = `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*|\\p{N}|${CASED_REST}`;
const GPT_4O = `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+${CONTRACTIONS}?|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*${CONTRACTIONS}?|\\p{N}{1,3}|${CASED_REST}`;

/** GPT-2's words are what the step finds by itself. */
const GPT_2: PreTokenizerSteps = { normalizer: null, preTokenizer: byteLevel(true), ignoresMerges: false };
const SINGLE_DIGITS: PreTokenizerSteps = {
  normalizer: null,
  preTokenizer: {
    type: 'Sequence',
    pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(true)],
  },
  ignoresMerges: false,
};

/** Source: llama.cpp, `llama-vocab.cpp`, and the tokenizer.json of the models that its names stand for. */
const BY_NAME: ReadonlyMap<string, PreTokenizerSteps> = new Map([
  ['gpt-2', GPT_2],
  ['phi-2', GPT_2],
  ['mpt', GPT_2],
  ['olmo', GPT_2],
  ['smollm', SINGLE_DIGITS],
  ['starcoder', SINGLE_DIGITS],
  ['refact', SINGLE_DIGITS],
  ['llama3', split(LLAMA_3, true)],
  ['llama-v3', split(LLAMA_3, true)],
  ['llama-bpe', split(LLAMA_3, true)],
  ['dbrx', split(LLAMA_3, false)],
  ['smaug-bpe', split(LLAMA_3, false)],
  ['qwen2', split(QWEN_2, false, { type: 'NFC' })],
  ['deepseek-r1-qwen', split(QWEN_2, false, { type: 'NFC' })],
  ['tekken', split(TEKKEN, true)],
  ['gpt-4o', split(GPT_4O, false)],
]);

/** Null for a name that is not known here. */
export function preTokenizerSteps(name: string): PreTokenizerSteps | null {
  return BY_NAME.get(name) ?? null;
}

/** Of names with the same steps, the one that llama.cpp's converter writes. */
const WRITTEN = ['gpt-2', 'smollm', 'llama-bpe', 'dbrx', 'qwen2', 'tekken', 'gpt-4o'];

/** The name of steps as a `tokenizer.json` has them; null where none has these. */
export function preTokenizerName(steps: PreTokenizerSteps): string | null {
  const wanted = plainForm(steps);
  return WRITTEN.find((name) => plainForm(BY_NAME.get(name) ?? GPT_2) === wanted) ?? null;
}

/** Steps without what makes no difference to the ids of a text. */
function plainForm({ normalizer, preTokenizer, ignoresMerges }: PreTokenizerSteps): string {
  return JSON.stringify([plainStep(normalizer), plainStep(preTokenizer), ignoresMerges]);
}

function plainStep(step: unknown): unknown {
  if (!isJsonObject(step)) return step;
  const { type } = step;
  const inner: unknown = step['pretokenizers'] ?? step['normalizers'];
  if (type === 'Sequence' && Array.isArray(inner)) {
    const steps = inner.map(plainStep);
    return steps.length === 1 ? steps[0] : ['Sequence', ...steps];
  }
  switch (type) {
    case 'ByteLevel':
      return ['ByteLevel', step['add_prefix_space'] === true, step['use_regex'] !== false];
    case 'Digits':
      return ['Digits', step['individual_digits'] === true];
    case 'Split':
      return ['Split', step['pattern'], step['behavior'], step['invert'] === true];
    default:
      return step;
  }
}

/** For messages. */
export function knownPreTokenizers(): string {
  return [...BY_NAME.keys()].join(', ');
}

/** Whether llama.cpp puts the beginning's token in front where the file is silent. */
export function addsBosByDefault(name: string): boolean {
  return ['llama3', 'llama-v3', 'llama-bpe', 'tekken'].includes(name);
}

function byteLevel(usesRegex: boolean): JsonObject {
  return { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: usesRegex };
}

function split(regex: string, ignoresMerges: boolean, normalizer: JsonObject | null = null): PreTokenizerSteps {
  const words = { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false };
  return {
    normalizer,
    preTokenizer: { type: 'Sequence', pretokenizers: [words, byteLevel(false)] },
    ignoresMerges,
  };
}
