import { ModelError } from '../errors.ts';
import { scanJson } from '../formats/json-scan.ts';
import { quoted } from '../quoted.ts';
import { decodeUtf8 } from '../utf8.ts';

/** Published configs have 1 to 200 KB, the largest with long label lists. */
export const MAX_CONFIG_BYTES = 16 * 1024 * 1024;
/** Real configs are nested up to 6 levels deep; 16 MB of brackets would take hundreds of MB. */
const LIMITS = {
  maxDepth: 64,
  maxObjectMembers: 1 << 20,
  maxArrayItems: 1 << 20,
  wholeNumbersOnly: false,
  allowsRepeatedKeys: true,
};

export type JsonObject = Record<string, unknown>;

/**
 * Reads a `config.json`, of a repeated key the last value, as Python does. Python writes Infinity and NaN into some of
 * them, which JSON does not have: they are read as null.
 *
 * @throws ModelError MODEL_CONFIG_INVALID
 */
export function parseModelConfig(bytes: Uint8Array, file: string): { config: JsonObject; text: string } {
  const text = decodeUtf8(bytes);
  if (text === null) throw invalidConfig(file, 'is not valid UTF-8');
  const { problem } = scanJson(text, LIMITS);
  if (problem) throw invalidConfig(file, `is nested too deep or has too long a list, at character ${problem.position}`);
  const config = parsePythonJson(text);
  if (!isJsonObject(config)) throw invalidConfig(file, 'is not a JSON object');
  return { config, text };
}

/** What the text stands for, with null for the numbers that only Python writes; undefined if it is not JSON. */
export function parsePythonJson(text: string): unknown {
  for (const candidate of [text, text.replace(/([:[,]\s*)(?:-?Infinity|NaN)(?=\s*[,\]}])/g, '$1null')]) {
    try {
      return JSON.parse(candidate);
    } catch {
      // Not JSON as it stands: the second candidate is JSON if only Python's numbers were in the way.
    }
  }
  return undefined;
}

function invalidConfig(file: string, found: string): ModelError {
  return new ModelError({
    code: 'MODEL_CONFIG_INVALID',
    what: `${quoted(file)} ${found}.`,
    where: { file },
    whatToDo: 'Download this file again.',
  });
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The class of the model, such as `LlamaForCausalLM`; else its model type; null if the config tells neither. */
export function architectureOf(config: JsonObject | null): string | null {
  const classes = config?.['architectures'];
  if (Array.isArray(classes) && typeof classes[0] === 'string') return classes[0];
  const type = config?.['model_type'];
  return typeof type === 'string' ? type : null;
}

/**
 * Whether input and output embeddings are one matrix. Models that read images too keep the answer in `text_config`. Where
 * the config is silent, class defaults differ, so the files decide: tied unless an output matrix is stored.
 */
export function hasTiedEmbeddings(config: JsonObject | null, tensorNames: ReadonlySet<string>): boolean {
  const nested = config?.['text_config'];
  for (const candidate of [config, isJsonObject(nested) ? nested : null]) {
    const tied = candidate?.['tie_word_embeddings'];
    if (typeof tied === 'boolean') return tied;
  }
  return !EMBEDDING_PAIRS.some(([, head]) => tensorNames.has(`${head}.weight`));
}

/** Modules of the input embedding and of the output head, by architecture family. */
export const EMBEDDING_PAIRS: readonly (readonly [embedding: string, head: string])[] = [
  ['model.embed_tokens', 'lm_head'],
  ['model.language_model.embed_tokens', 'lm_head'],
  ['language_model.model.embed_tokens', 'language_model.lm_head'],
  ['transformer.wte', 'lm_head'],
  ['transformer.word_embeddings', 'lm_head'],
  ['gpt_neox.embed_in', 'embed_out'],
  ['model.decoder.embed_tokens', 'lm_head'],
];
