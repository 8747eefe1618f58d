/** Lathe's own token ids: `node lathe-tokens.mjs MODEL TEXTS.json ANSWER.json`, of texts by name. A program. */
import { readFileSync, writeFileSync } from 'node:fs';
import { openModel } from '../../core/model/open-model.ts';
import { readGgufTokenizer } from '../../core/model/gguf-tokenizer.ts';
import { createTokenizer } from '../../core/tokenizer/tokenizer.ts';
import { readTokenizer } from '../../core/tokenizer/read-tokenizer.ts';
import { nodeFileAccess } from '../../workers/engine/node-file-access.ts';

async function main(): Promise<void> {
  const [modelPath = '', textsPath = '', answerPath = ''] = process.argv.slice(2);
  const texts = JSON.parse(readFileSync(textsPath, 'utf8')) as Record<string, string>;
  const model = await openModel(modelPath, nodeFileAccess);
  const tokenizer =
    model.kind === 'gguf'
      ? createTokenizer({ ...(await readGgufTokenizer(model, nodeFileAccess)), file: modelPath })
      : await readTokenizer(model.root, nodeFileAccess);
  const tokens = Object.entries(texts).map(([name, text]) => [name, [...tokenizer.encode(text)]]);
  writeFileSync(answerPath, JSON.stringify(Object.fromEntries(tokens)));
}

void main();
