/** Makes the JavaScript implementation do what the tokenizers library does, where the two differ. */
import {
  ByteFallbackDecoder,
  ByteLevelPreTokenizer,
  DigitsPreTokenizer,
  SequenceDecoder,
  SequencePreTokenizer,
  type Decoder,
  type PreTokenizer,
  type Tokenizer,
} from '@huggingface/tokenizers';
import { isJsonObject } from '../model/model-config.ts';

/** GPT-2's words. JavaScript's `\s` has U+FEFF and lacks U+0085; the library's is Unicode's White_Space. */
const BYTE_LEVEL_WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The library's digits are all that Unicode calls numeric; JavaScript's `\d` has the ten of ASCII. */
const EACH_DIGIT = /[^\p{N}]+|\p{N}/gu;
const DIGIT_RUNS = /[^\p{N}]+|\p{N}+/gu;

/** Each of sentencepiece's signs begins a word. */
const METASPACE_WORDS = { type: 'Split', pattern: { Regex: '\u2581[^\u2581]*' }, behavior: 'Isolated', invert: false };

/**
 * A pre-tokenizer's JSON with a step of its own for the words that `Metaspace` is to split into, which the implementation
 * would leave together.
 */
export function spellOutMetaspace(step: unknown): unknown {
  if (!isJsonObject(step)) return step;
  if (step['type'] === 'Sequence' && Array.isArray(step['pretokenizers'])) {
    return { ...step, pretokenizers: (step['pretokenizers'] as unknown[]).map(spellOutMetaspace) };
  }
  if (step['type'] !== 'Metaspace' || step['split'] === false) return step;
  return { type: 'Sequence', pretokenizers: [{ ...step, split: false }, METASPACE_WORDS] };
}

/** Gives steps the character classes of the library, and lets no decoder swallow a byte order mark. Changes the tokenizer. */
export function correctSteps({ pre_tokenizer: preTokenizer, decoder }: Tokenizer): void {
  if (preTokenizer !== null) correctPreTokenizer(preTokenizer);
  if (decoder !== null) correctDecoder(decoder);
}

function correctPreTokenizer(step: PreTokenizer): void {
  if (step instanceof SequencePreTokenizer) {
    step.tokenizers.forEach((inner) => {
      if (inner !== null) correctPreTokenizer(inner);
    });
  } else if (step instanceof ByteLevelPreTokenizer) {
    step.pattern = BYTE_LEVEL_WORDS;
  } else if (step instanceof DigitsPreTokenizer) {
    step.pattern = step.config.individual_digits ? EACH_DIGIT : DIGIT_RUNS;
  }
}

function correctDecoder(step: Decoder): void {
  if (step instanceof SequenceDecoder) {
    step.decoders.forEach((inner) => {
      if (inner !== null) correctDecoder(inner);
    });
  } else if (step instanceof ByteFallbackDecoder) {
    step.text_decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  }
}
