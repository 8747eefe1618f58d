import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { bundleDoor, startNode } from './bundle-door.ts';
import { kernels, placeFields, planOf, useFolder } from './kernels-fixture.ts';

const at = useFolder();

const SOURCE_BYTES = 32 << 20;

/** BF16 weights whose exponents halve in number from one to the next, so that code words get long and buffers large. */
function steepWeights(): Uint16Array {
  let state = 12_345;
  return Uint16Array.from({ length: SOURCE_BYTES / 2 }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const exponent = 100 + Math.min(37, Math.floor(Math.clz32((state >>> 2) | 1) * 1.4));
    return (exponent << 7) | ((state >>> 9) & 0x7f);
  });
}

/** Every streaming call with this many threads, in a process of its own; prints how far its memory rose, in bytes. */
function measuringCode(door: string, threads: number, job: unknown): string {
  return `
    const { readFileSync } = require('node:fs');
    const kernels = ${door};
    const { source, elements, fields, coded } = ${JSON.stringify(job)};
    const options = { threads: ${threads} };
    const memory = (name) => 1024 * Number(new RegExp(name + ':\\\\s+(\\\\d+)').exec(readFileSync('/proc/self/status', 'utf8'))[1]);
    async function work() {
      const before = memory('VmRSS');
      const { plan } = await kernels.measureDfloat11(source, options);
      await kernels.encodeDfloat11(source, plan, fields, options);
      const compare = { kind: 'compare', ranges: source };
      await kernels.decodeDfloat11(fields, elements, compare, options);
      for (const [split, coder] of [['bf16', 'smallest'], ['f32', 'huff12'], ['bytes', 'pal4']]) {
        const output = { path: coded, dataStart: 0, offset: 0 };
        const digest = kernels.createDigest();
        const { planes } = await kernels.encodeSplitPlane(source, split, coder, output, digest, options);
        await kernels.decodeSplitPlane(output, planes, split, ${SOURCE_BYTES}, compare, true, options);
      }
      await kernels.tensorStatistics(source, 'F32', options);
      await kernels.copyFile(source[0].path, coded, options);
      console.log(memory('VmHWM') - before);
    }
    work();
  `;
}

test.skipIf(process.platform !== 'linux')('calls in a row stay within the bound that is told for one', async () => {
  writeFileSync(at('weights'), steepWeights());
  const source = [{ path: at('weights'), offsetBytes: 0, sizeBytes: SOURCE_BYTES }];
  const plan = await planOf(source);
  expect(plan.longestCodeBits).toBeGreaterThan(16);
  const job = { source, elements: plan.elements, fields: placeFields(at('unit'), plan), coded: at('coded') };
  const door = bundleDoor(at('door.cjs'));
  for (const threads of [1, 4, 16]) {
    const rise = Number(await startNode(measuringCode(door, threads, job)).output);
    console.info(`${threads} threads: ${(rise / 2 ** 20).toFixed(1)} MiB of ${kernels.memoryBytes(threads) / 2 ** 20}`);
    expect(rise).toBeGreaterThan(0);
    expect(rise).toBeLessThan(kernels.memoryBytes(threads));
  }
});
