/** Models with their tokenizers, and texts as token ids: what every job needs that runs a model. */
import { ModelError } from '../../core/errors.ts';
import { requireGgufConfig } from '../../core/model/gguf-model.ts';
import { readGgufTokenizer } from '../../core/model/gguf-tokenizer.ts';
import { openModel, type OpenedModel } from '../../core/model/open-model.ts';
import { quoted } from '../../core/quoted.ts';
import { stopIfAsked } from '../../core/stop-if-asked.ts';
import { readTokenizer } from '../../core/tokenizer/read-tokenizer.ts';
import { createTokenizer, joinIds, type Tokenizer } from '../../core/tokenizer/tokenizer.ts';
import { formatCount } from '../../core/units.ts';
import { nodeFileAccess } from '../engine/node-file-access.ts';

/** A model with its tokenizer, opened by headers alone. */
export interface EvaluatedModel {
  /** As it was named. */
  path: string;
  opened: OpenedModel;
  tokenizer: Tokenizer;
  /** Of the files that the tokenizer was read from. */
  tokenizerBytes: number;
}

/** @throws as `openModel`, `readTokenizer` and `readGgufTokenizer` */
export async function openEvaluatedModel(path: string): Promise<EvaluatedModel> {
  const opened = await openModel(path, nodeFileAccess);
  if (opened.kind !== 'gguf') {
    const tokenizer = await readTokenizer(opened.root, nodeFileAccess);
    const facts = await nodeFileAccess.stat(`${opened.root}/tokenizer.json`);
    return { path, opened, tokenizer, tokenizerBytes: facts?.sizeBytes ?? 0 };
  }
  requireGgufConfig(opened);
  const files = await readGgufTokenizer(opened, nodeFileAccess);
  const tokenizer = createTokenizer({ ...files, file: path });
  return { path, opened, tokenizer, tokenizerBytes: opened.weightFiles[0].header.dataStart };
}

/**
 * The ids of a text. Lets signals and events through between pieces; stops where the limit is reached.
 *
 * @throws JobError JOB_CANCELLED
 */
export async function encodeInPieces(
  tokenizer: Tokenizer,
  text: string,
  { limitTokens, signal }: { limitTokens: number | null; signal: AbortSignal },
): Promise<Int32Array> {
  const limit = limitTokens ?? Infinity;
  const pieces: Int32Array[] = [];
  let count = 0;
  for (const piece of tokenizer.encodePieces(text)) {
    pieces.push(piece);
    count += piece.length;
    if (count >= limit) break;
    await new Promise<void>((proceed) => setImmediate(proceed));
    stopIfAsked(signal);
  }
  const ids = joinIds(pieces);
  return ids.length > limit ? ids.slice(0, limit) : ids;
}

/** @throws ModelError MODEL_TOKEN_OUT_OF_VOCABULARY */
export function checkIds(ids: Int32Array, { path, tokenizer }: EvaluatedModel, vocabularySize: number): void {
  const index = ids.findIndex((id) => id >= vocabularySize);
  const id = ids[index];
  if (id === undefined) return;
  throw new ModelError({
    code: 'MODEL_TOKEN_OUT_OF_VOCABULARY',
    what: `The tokenizer of ${quoted(path)} gives the token ${quoted(tokenizer.tokenOf(id) ?? '')} the id ${id}, but the model's embedding has ${formatCount(vocabularySize)} rows.`,
    where: { file: path },
    whatToDo: 'Put the tokenizer that belongs to these weights beside them.',
  });
}
