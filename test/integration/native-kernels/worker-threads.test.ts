import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { bundleDoor } from './bundle-door.ts';
import { kernels, makeSparse, placeFields, planOf, sampleTensors, totalBytes, useFolder } from './kernels-fixture.ts';

const at = useFolder();

const WORKERS = 4;
const source = sampleTensors.slice(0, 4).map(({ range }) => range);

/** What each worker does: every coder, there and back; its answer is compared with the others'. */
const WORK = `
const { parentPort, workerData } = require('node:worker_threads');
const { door, source, fields, coded, elements, threads } = workerData;
async function work() {
  const kernels = eval(door);
  const options = { threads };
  const statistics = await kernels.tensorStatistics(source, 'BF16', options);
  const { plan } = await kernels.measureDfloat11(source, options);
  await kernels.encodeDfloat11(source, plan, fields, options);
  await kernels.decodeDfloat11(fields, elements, { kind: 'compare', ranges: source }, options);
  const output = { path: coded, dataStart: 0, offset: 0 };
  const tensor = await kernels.encodeSplitPlane(source, 'bf16', 'smallest', output, null, options);
  const target = { kind: 'compare', ranges: source };
  const sha256 = await kernels.decodeSplitPlane(output, tensor.planes, 'bf16', 2 * elements, target, true, options);
  parentPort.postMessage({ statistics, tensor, sha256 });
}
work();
`;

test('several worker threads use the kernels at once, with equal results', async () => {
  const door = bundleDoor(at('door.cjs'));
  const plan = await planOf(source);
  const elements = totalBytes(source) / 2;
  const answers = Array.from({ length: WORKERS }, async (_, index) => {
    const workerData = {
      door,
      source,
      elements,
      fields: placeFields(at(`unit-${index}`), plan),
      coded: at(`coded-${index}`),
      threads: 1 + (index % 3),
    };
    const worker = new Worker(WORK, { eval: true, workerData });
    const [answer] = (await once(worker, 'message')) as [Record<string, unknown>];
    await worker.terminate();
    return answer;
  });
  const own = kernels.tensorStatistics(source, 'BF16', { threads: 2 });
  const [first, ...others] = await Promise.all(answers);
  for (const other of others) expect(other).toEqual(first);
  expect(first).toHaveProperty('statistics', await own);
  for (const index of [1, 2, 3]) {
    expect(readFileSync(at(`unit-${index}`)).equals(readFileSync(at('unit-0')))).toBe(true);
    expect(readFileSync(at(`coded-${index}`)).equals(readFileSync(at('coded-0')))).toBe(true);
  }
});

test('a worker that is ended in the middle of a call leaves the others working', async () => {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const onProgress = () => parentPort.postMessage('begun');
    eval(workerData.door).tensorStatistics([workerData.zeros], 'BF16', { threads: 2, onProgress });
  `;
  const zeros = makeSparse(at('zeros'), 2 ** 29);
  const worker = new Worker(code, { eval: true, workerData: { door: bundleDoor(at('door.cjs')), zeros } });
  await once(worker, 'message');
  await worker.terminate();
  const alone = await kernels.tensorStatistics(source, 'BF16', { threads: 2 });
  expect(await kernels.tensorStatistics(source, 'BF16', { threads: 2 })).toEqual(alone);
});
