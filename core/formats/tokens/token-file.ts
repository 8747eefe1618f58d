/** Per-token figures of an evaluation as one binary file: docs/formats/tokens.md. */
import type { VocabularyScores } from '../../kernels/kernels.ts';
import { encodeUtf8 } from '../../utf8.ts';

const MAGIC = 'LTHTOKN1';
/** Of every column, and of the data's start, so that a reader can map them. */
const ALIGNMENT = 8;

/** Bits of the column `flags`. */
const MODEL_IS_RIGHT = 1;
const REFERENCE_IS_RIGHT = 2;
const SAME_TOKEN = 4;

/** What stands in the header beside the columns. */
export interface TokenFileFacts {
  program: string;
  model: string;
  reference: string | null;
  context: number;
  addsBos: boolean;
}

export interface TokenFileText {
  text: string;
  windows: number;
  /** Of whole windows: `windows` x `context`. */
  ids: Int32Array;
  /** `windows` x (`context` - 1) entries. */
  scores: VocabularyScores;
}

interface Column {
  dtype: 'i32' | 'f32' | 'u8';
  count: number;
  /** From the start of the data. */
  offset: number;
}

/**
 * The bytes of a token file.
 *
 * Cost: 4 bytes a token and 17 a prediction with a reference (13 without), beside the scores.
 */
export function buildTokenFile(facts: TokenFileFacts, texts: readonly TokenFileText[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let end = 0;
  function addColumn(dtype: Column['dtype'], values: Int32Array | Float32Array | Uint8Array): Column {
    const column = { dtype, count: values.length, offset: end };
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const padded = new Uint8Array(roundUp(bytes.length));
    padded.set(bytes);
    parts.push(padded);
    end += padded.length;
    return column;
  }
  const described = texts.map(({ text, windows, ids, scores }) => {
    const targets = predictedIds(ids, windows, facts.context);
    const columns: Record<string, Column> = {
      token: addColumn('i32', ids),
      nll: addColumn('f32', Float32Array.from(scores.nll)),
      rank: addColumn('i32', scores.rank),
      flags: addColumn('u8', flagsOf(scores, targets)),
    };
    if (scores.kl !== null) columns['kl'] = addColumn('f32', Float32Array.from(scores.kl));
    if (scores.referenceNll !== null) {
      columns['referenceNll'] = addColumn('f32', Float32Array.from(scores.referenceNll));
    }
    return { text, windows, predictions: targets.length, columns };
  });
  return join(encodeHeader({ version: 1, ...facts, texts: described }), parts, end);
}

/** The tokens that are predicted: all of each window but its first. */
export function predictedIds(ids: Int32Array, windows: number, context: number): Int32Array {
  const predicted = new Int32Array(windows * (context - 1));
  for (let window = 0; window < windows; window++) {
    predicted.set(ids.subarray(window * context + 1, (window + 1) * context), window * (context - 1));
  }
  return predicted;
}

function flagsOf({ argmax, referenceArgmax }: VocabularyScores, targets: Int32Array): Uint8Array {
  return Uint8Array.from(targets, (target, index) => {
    const isRight = argmax[index] === target ? MODEL_IS_RIGHT : 0;
    if (referenceArgmax === null) return isRight;
    const wasRight = referenceArgmax[index] === target ? REFERENCE_IS_RIGHT : 0;
    return isRight | wasRight | (argmax[index] === referenceArgmax[index] ? SAME_TOKEN : 0);
  });
}

/** Magic, length of the JSON, JSON filled up with spaces to the alignment. */
function encodeHeader(header: object): Uint8Array {
  const json = encodeUtf8(JSON.stringify(header));
  const length = roundUp(MAGIC.length + 4 + json.length) - MAGIC.length - 4;
  const bytes = new Uint8Array(MAGIC.length + 4 + length).fill(0x20);
  bytes.set(encodeUtf8(MAGIC));
  new DataView(bytes.buffer).setUint32(MAGIC.length, length, true);
  bytes.set(json, MAGIC.length + 4);
  return bytes;
}

function join(header: Uint8Array, parts: readonly Uint8Array[], dataBytes: number): Uint8Array {
  const file = new Uint8Array(header.length + dataBytes);
  file.set(header);
  let at = header.length;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
