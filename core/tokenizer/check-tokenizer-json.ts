import { ModelError, type ErrorCode } from '../errors.ts';
import { isJsonObject, type JsonObject } from '../model/model-config.ts';
import { quoted, shown } from '../quoted.ts';
import { isSplitAtSpaces, replacesSpaces } from './safe-cuts.ts';

/** The largest vocabularies have 262,144 tokens (Gemma 3); room for 64 times as many. */
const MAX_TOKEN_ID = 1 << 24;

const STEPS = ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder'];

export interface CheckedTokenizer {
  json: JsonObject;
  /** One more than the greatest id. */
  vocabularySize: number;
}

/**
 * Checks a parsed `tokenizer.json` so far that the library can neither fail on its shape nor take another meaning from it.
 *
 * @throws ModelError TOKENIZER_INVALID; TOKENIZER_NOT_SUPPORTED for what the library would silently leave away
 */
export function checkTokenizerJson(value: unknown, file: string): CheckedTokenizer {
  function fail(code: ErrorCode, what: string): ModelError {
    const isInvalid = code === 'TOKENIZER_INVALID';
    return new ModelError({
      code,
      what: `${quoted(file)}: ${what}.`,
      where: { file },
      whatToDo: isInvalid ? 'Download the tokenizer again.' : 'Use a model whose tokenizer is BPE or Unigram.',
    });
  }
  if (!isJsonObject(value)) throw fail('TOKENIZER_INVALID', `holds ${shown(value)}, not an object`);
  const model = value['model'];
  if (!isJsonObject(model)) throw fail('TOKENIZER_INVALID', `"model" is ${shown(model)}, not an object`);
  const addedTokens: unknown = value['added_tokens'] ?? [];
  if (!Array.isArray(addedTokens)) throw fail('TOKENIZER_INVALID', `"added_tokens" is ${shown(addedTokens)}`);
  for (const step of STEPS) {
    const found = value[step] ?? null;
    if (found !== null && !isJsonObject(found)) throw fail('TOKENIZER_INVALID', `"${step}" is ${shown(found)}`);
  }
  checkWordSteps(value['pre_tokenizer'], replacesSpaces(value['normalizer']), fail);
  let greatest = -1;
  function addId(id: unknown, token: string): void {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= MAX_TOKEN_ID) {
      throw fail('TOKENIZER_INVALID', `the token ${quoted(token)} has the id ${shown(id)}`);
    }
    greatest = Math.max(greatest, id);
  }
  switch (model['type'] ?? 'BPE') {
    case 'BPE':
      checkBpe(model, addId, fail);
      break;
    case 'Unigram':
      checkUnigram(model, addId, fail);
      break;
    default:
      throw fail('TOKENIZER_NOT_SUPPORTED', `the model is of type ${shown(model['type'])}`);
  }
  for (const token of addedTokens as unknown[]) {
    if (!isJsonObject(token) || typeof token['content'] !== 'string' || token['content'] === '') {
      throw fail('TOKENIZER_INVALID', 'an added token has no content');
    }
    addId(token['id'], token['content']);
    if (token['single_word'] === true) {
      throw fail('TOKENIZER_NOT_SUPPORTED', `the added token ${quoted(token['content'])} wants whole words`);
    }
  }
  const json: JsonObject = { ...value, added_tokens: addedTokens, model: { type: 'BPE', ...model } };
  for (const step of STEPS) json[step] = value[step] ?? null;
  return { json, vocabularySize: greatest + 1 };
}

type AddId = (id: unknown, token: string) => void;
type Fail = (code: ErrorCode, what: string) => ModelError;

/** Refuses the ways of splitting that the implementation would silently take for others. */
function checkWordSteps(step: unknown, hasNoSpaces: boolean, fail: Fail): void {
  if (!isJsonObject(step)) return;
  const { type, behavior, invert, pretokenizers } = step;
  if (type === 'Sequence' && Array.isArray(pretokenizers)) {
    for (const inner of pretokenizers as unknown[]) checkWordSteps(inner, hasNoSpaces, fail);
  }
  if (type === 'Split' && !(hasNoSpaces && isSplitAtSpaces(step))) {
    const isKnown = behavior === 'Removed' || (behavior === 'Isolated' && invert !== true);
    if (!isKnown) throw fail('TOKENIZER_NOT_SUPPORTED', `a split is ${shown(behavior)} with invert ${shown(invert)}`);
  }
  if (type === 'Punctuation' && behavior !== 'Contiguous') {
    throw fail('TOKENIZER_NOT_SUPPORTED', `punctuation is ${shown(behavior)}`);
  }
}

function checkBpe(model: JsonObject, addId: AddId, fail: Fail): void {
  const { vocab, merges } = model;
  if (!isJsonObject(vocab)) throw fail('TOKENIZER_INVALID', `the vocabulary is ${shown(vocab)}, not an object`);
  for (const [token, id] of Object.entries(vocab)) addId(id, token);
  if (!Array.isArray(merges)) throw fail('TOKENIZER_INVALID', `the merges are ${shown(merges)}, not a list`);
  const isWritten = merges.every((merge) => typeof merge === 'string' && merge.includes(' '));
  const isPaired = merges.every((merge) => {
    return Array.isArray(merge) && merge.length === 2 && merge.every((part) => typeof part === 'string');
  });
  if (!isWritten && !isPaired) throw fail('TOKENIZER_INVALID', 'not every merge is two tokens');
  for (const name of ['continuing_subword_prefix', 'end_of_word_suffix', 'dropout'] as const) {
    const found = model[name] ?? null;
    if (found !== null && found !== '' && found !== 0) {
      throw fail('TOKENIZER_NOT_SUPPORTED', `"${name}" is ${shown(found)}`);
    }
  }
}

function checkUnigram(model: JsonObject, addId: AddId, fail: Fail): void {
  const { vocab } = model;
  if (!Array.isArray(vocab) || vocab.length === 0) throw fail('TOKENIZER_INVALID', `the vocabulary is ${shown(vocab)}`);
  (vocab as unknown[]).forEach((entry, id) => {
    const [token, score] = (Array.isArray(entry) ? entry : []) as unknown[];
    if (typeof token !== 'string' || typeof score !== 'number') {
      throw fail('TOKENIZER_INVALID', `entry ${id} of the vocabulary is not a token with its score`);
    }
    addId(id, token);
  });
}
