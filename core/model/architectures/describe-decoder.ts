import { ModelError } from '../../errors.ts';
import { quoted } from '../../quoted.ts';
import { hasTiedEmbeddings, type JsonObject } from '../model-config.ts';
import { ConfigFields } from './config-fields.ts';
import type { DecoderDescription } from './decoder-description.ts';
import { describeGemma2, describeGemma3 } from './describe-gemma.ts';
import { describeGpt2 } from './describe-gpt2.ts';
import { describeLlama } from './describe-llama.ts';
import { describeMistral } from './describe-mistral.ts';
import { describeOlmo2 } from './describe-olmo2.ts';
import { describePhi3 } from './describe-phi3.ts';
import { describeQwen2, describeQwen3 } from './describe-qwen.ts';
import type { StoredNames } from './llama-like.ts';

/** One line a family: docs/architectures.md says what a new one takes. */
const FAMILIES: Record<string, (fields: ConfigFields, stored: StoredNames) => DecoderDescription> = {
  llama: describeLlama,
  mistral: describeMistral,
  qwen2: describeQwen2,
  qwen3: describeQwen3,
  gemma2: describeGemma2,
  gemma3: describeGemma3,
  gemma3_text: describeGemma3,
  phi3: describePhi3,
  gpt2: describeGpt2,
  olmo2: describeOlmo2,
};

/**
 * The decoder that a config describes, as data.
 *
 * @param config in Hugging Face's schema; null where a model has none
 * @param names of the stored tensors: some families keep theirs in more than one place
 * @throws ModelError MODEL_ARCHITECTURE_UNKNOWN, MODEL_CONFIG_INVALID
 */
export function describeDecoder(config: JsonObject | null, names: ReadonlySet<string>): DecoderDescription {
  if (config === null) throw unknown('This model has no config.json, which names its architecture');
  const fields = new ConfigFields(config);
  if (!fields.has('model_type')) throw unknown('config.json of this model does not name its "model_type"');
  const type = fields.text('model_type');
  const describe = Object.hasOwn(FAMILIES, type) ? FAMILIES[type] : undefined;
  if (describe === undefined) throw unknown(`Lathe cannot run models of the architecture ${quoted(type)}`);
  return describe(fields, { names, isTied: hasTiedEmbeddings(config, names) });
}

function unknown(what: string): ModelError {
  return new ModelError({
    code: 'MODEL_ARCHITECTURE_UNKNOWN',
    what: `${what}; it runs ${Object.keys(FAMILIES).join(', ')}.`,
    where: { file: 'config.json' },
    whatToDo:
      'Use the commands that do not run the model: inspect, compress without loss, restore, verify and estimate.',
  });
}
