/**
 * llama.cpp's side of a comparison, a process of its own: `node llama-side.mjs ENTRY ASKED.json ANSWER.json`.
 *
 * Asked, of one model file: { modelPath, threads, context, texts?: { name: text }, windows?: number[][], exact?,
 * generate?: { prompt, tokens }, time?: { windows: number[][], rounds } }. Answered, of each of these that was asked:
 * tokens (ids by name of text), nll (nats of every token of every window but its first), generated (text), times.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [entry, askedPath, answerPath] = process.argv.slice(2);
const asked = JSON.parse(readFileSync(askedPath, 'utf8'));
const { getLlama } = await import(pathToFileURL(entry).href);

const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, maxThreads: asked.threads });
const model = await llama.loadModel({ modelPath: asked.modelPath });
const answer = {};

// As Hugging Face's tokenizers do: what is written like a special token is one.
if (asked.texts !== undefined) {
  answer.tokens = Object.fromEntries(
    Object.entries(asked.texts).map(([name, text]) => [name, [...model.tokenize(text, true)]]),
  );
}

/** Keys and values in float32: by default they are rounded to 16 bits, which is not the model's doing. */
async function openSequence() {
  const context = await model.createContext({
    contextSize: asked.context,
    batchSize: asked.context,
    threads: asked.threads,
    flashAttention: false,
    experimentalKvCacheKeyType: 'F32',
    experimentalKvCacheValueType: 'F32',
  });
  return { context, sequence: context.getSequence() };
}

/** Log-sum-exp of logits, in double precision. */
function logSumExp(logits) {
  let greatest = -Infinity;
  for (const logit of logits) greatest = Math.max(greatest, logit);
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - greatest);
  return greatest + Math.log(sum);
}

/** From all logits of each position: exact, slow. */
async function scoreWindowExactly(sequence, ids) {
  await sequence.clearHistory();
  const nll = [];
  const items = ids.map((id, position) => (position + 1 < ids.length ? [id, { generateNext: { logits: true } }] : id));
  await sequence.controlledEvaluate(items, {
    onTokenResult(position, { next }) {
      nll[position] = logSumExp([...next.logits.values()]) - next.logits.get(ids[position + 1]);
      // All logits of a window do not fit into memory.
      next.logits.clear();
    },
  });
  return nll;
}

/** From llama.cpp's own sum of exponentials, which is in float32: up to 3e-4 nats off with 50,000 tokens. */
async function scoreWindow(sequence, ids) {
  await sequence.clearHistory();
  const items = ids.map((id, position) => {
    const next = ids[position + 1];
    if (next === undefined) return id;
    return [id, { generateNext: { totalLogitWeight: true, logits: { filter: { tokens: [next], includeTop: 1 } } } }];
  });
  const results = await sequence.controlledEvaluate(items);
  return ids.slice(1).map((next, position) => {
    const { logits, totalLogitWeight } = results[position].next;
    return Math.log(totalLogitWeight) + Math.max(...logits.values()) - logits.get(next);
  });
}

if (asked.windows !== undefined) {
  const { context, sequence } = await openSequence();
  answer.nll = [];
  const score = asked.exact === true ? scoreWindowExactly : scoreWindow;
  for (const ids of asked.windows) answer.nll.push(await score(sequence, ids));
  await context.dispose();
}

if (asked.generate !== undefined) {
  const { context, sequence } = await openSequence();
  const ids = [];
  for await (const id of sequence.evaluate(model.tokenize(asked.generate.prompt, false), { temperature: 0 })) {
    ids.push(id);
    if (ids.length === asked.generate.tokens) break;
  }
  answer.generated = model.detokenize(ids);
  await context.dispose();
}

if (asked.time !== undefined) {
  const { context, sequence } = await openSequence();
  answer.times = [];
  // The first round warms up.
  for (let round = -1; round < asked.time.rounds; round++) {
    const before = process.cpuUsage();
    const startedAt = performance.now();
    for (const ids of asked.time.windows) {
      await sequence.clearHistory();
      await sequence.evaluateWithoutGeneratingNewTokens(ids);
    }
    const { user, system } = process.cpuUsage(before);
    const time = { cpuSeconds: (user + system) / 1e6, seconds: (performance.now() - startedAt) / 1e3 };
    if (round >= 0) answer.times.push(time);
  }
  await context.dispose();
}

await model.dispose();
await llama.dispose();
writeFileSync(answerPath, JSON.stringify(answer));
