import { writeFile } from 'node:fs/promises';
import { describeMachine } from '../describe-machine.mjs';
import { inRepository } from '../run-command.mjs';

/** Puts the tables into their page. */
export async function writeQuality(tables, windows) {
  const { cpu, cores, commit, date } = await describeMachine();
  const text = `# What quantization costs

Made by \`npm run quality -- quantization --report\` on ${date}, commit ${commit}, ${cpu}, ${cores} cores. Mean KL divergence from the
original in nats a predicted token, on the first ${windows} windows of 256 tokens of docs.test; calibrated on 64 windows of 256 tokens
of docs.calibration, seed 0. Bits are stored bits over the matrices of the blocks; embeddings and head stay BF16 but in the last
table. *plain* is rounding to nearest, *weighted* rounding with each column's importance, *allocated* gives each matrix the format
that dynamic programming chose. Differences are paired, window by window, with 95 % intervals: below zero the first is better.
${tables.join('')}`;
  await writeFile(inRepository('docs', 'methods', 'quantization-quality.md'), text);
}
