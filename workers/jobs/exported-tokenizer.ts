import type { GgufValue } from '../../core/formats/gguf/gguf-writer.ts';
import { ggufTokenizerKeys } from '../../core/model/gguf-export-tokenizer.ts';
import { isJsonObject } from '../../core/model/model-config.ts';
import type { SafetensorsModel } from '../../core/model/open-model.ts';
import { readTokenizerFiles } from '../../core/tokenizer/read-tokenizer.ts';
import { createTokenizer, type Tokenizer } from '../../core/tokenizer/tokenizer.ts';
import { decodeUtf8 } from '../../core/utf8.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';

/** Templates have up to some 100 KB. */
const MAX_TEMPLATE_BYTES = 4 << 20;

/**
 * The tokenizer of a model folder, and what a GGUF file says of it.
 *
 * @throws ModelError TOKENIZER_MISSING, TOKENIZER_INVALID, TOKENIZER_NOT_SUPPORTED
 */
export async function readExportedTokenizer(
  model: SafetensorsModel,
): Promise<{ tokenizer: Tokenizer; keys: Map<string, GgufValue> }> {
  const files = await readTokenizerFiles(model.root, nodeFileAccess);
  const tokenizer = createTokenizer(files);
  const config = model.config ?? {};
  const rows = config['vocab_size'];
  const keys = ggufTokenizerKeys({
    tokenizerJson: isJsonObject(files.tokenizerJson) ? files.tokenizerJson : {},
    tokenizerConfig: files.tokenizerConfig,
    config,
    chatTemplate: await readTemplate(model.root),
    addsBos: tokenizer.addsBos,
    vocabularySize: typeof rows === 'number' ? rows : tokenizer.vocabularySize,
    file: files.file,
  });
  return { tokenizer, keys };
}

/** Newer folders keep it in a file of its own. */
async function readTemplate(root: string): Promise<string | null> {
  const path = `${root}/chat_template.jinja`;
  const facts = await nodeFileAccess.stat(path);
  if (facts?.kind !== 'file' || facts.sizeBytes > MAX_TEMPLATE_BYTES) return null;
  return decodeUtf8(await nodeFileAccess.read(path, 0, facts.sizeBytes));
}
