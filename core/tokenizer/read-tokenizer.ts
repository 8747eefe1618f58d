import { ModelError } from '../errors.ts';
import type { FileAccess } from '../model/file-access.ts';
import { isJsonObject, parsePythonJson, type JsonObject } from '../model/model-config.ts';
import { quoted } from '../quoted.ts';
import { formatBytes } from '../units.ts';
import { decodeUtf8 } from '../utf8.ts';
import { createTokenizer, type Tokenizer } from './tokenizer.ts';

/** The largest published tokenizers have 33 MB (262,144 tokens with their merges); parsed, each takes ten times that. */
const MAX_TOKENIZER_BYTES = 128 << 20;
/** Chat templates stand in it: up to some 100 KB. */
const MAX_CONFIG_BYTES = 4 << 20;

/**
 * Reads the tokenizer of a model folder: `tokenizer.json`, and `tokenizer_config.json` where there is one.
 *
 * @param root the folder, absolute
 * @throws ModelError TOKENIZER_MISSING, TOKENIZER_INVALID, TOKENIZER_NOT_SUPPORTED; what `access` throws
 */
export async function readTokenizer(root: string, access: FileAccess): Promise<Tokenizer> {
  return createTokenizer(await readTokenizerFiles(root, access));
}

/**
 * The files of a model folder's tokenizer, parsed.
 *
 * @throws ModelError TOKENIZER_MISSING, TOKENIZER_INVALID; what `access` throws
 */
export async function readTokenizerFiles(
  root: string,
  access: FileAccess,
): Promise<{ tokenizerJson: unknown; tokenizerConfig: JsonObject | null; file: string }> {
  const file = `${root}/tokenizer.json`;
  const tokenizerJson = await readJson(file, MAX_TOKENIZER_BYTES, access);
  if (tokenizerJson === undefined) throw missing(root);
  const configFile = `${root}/tokenizer_config.json`;
  const config = await readJson(configFile, MAX_CONFIG_BYTES, access);
  if (config !== undefined && !isJsonObject(config)) throw invalid(configFile, 'is not a JSON object');
  const tokenizerConfig: JsonObject | null = config ?? null;
  return { tokenizerJson, tokenizerConfig, file };
}

/** Undefined where no such file is. */
async function readJson(path: string, maxBytes: number, access: FileAccess): Promise<unknown> {
  const facts = await access.stat(path);
  if (facts?.kind !== 'file') return undefined;
  if (facts.sizeBytes > maxBytes) {
    throw invalid(path, `has ${formatBytes(facts.sizeBytes)}; the limit is ${formatBytes(maxBytes)}`);
  }
  const text = decodeUtf8(await access.read(path, 0, facts.sizeBytes));
  if (text === null) throw invalid(path, 'is not valid UTF-8');
  const value = parsePythonJson(text);
  if (value === undefined) throw invalid(path, 'is not valid JSON');
  return value;
}

function missing(root: string): ModelError {
  return new ModelError({
    code: 'TOKENIZER_MISSING',
    what: `${quoted(root)} has no "tokenizer.json", so no text can be given to the model.`,
    where: { file: root },
    whatToDo: 'Put the tokenizer.json that belongs to the model beside its weights.',
  });
}

function invalid(file: string, found: string): ModelError {
  return new ModelError({
    code: 'TOKENIZER_INVALID',
    what: `${quoted(file)} ${found}.`,
    where: { file },
    whatToDo: 'Download the tokenizer again.',
  });
}
