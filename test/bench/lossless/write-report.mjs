/** Puts the figures of a run into their page of docs/benchmarks; the words around them are written by people. */
import { readFileSync, writeFileSync } from 'node:fs';
import { inRepository, Stop } from '../../../scripts/run-command.mjs';

const PAGE = inRepository('docs/benchmarks/lossless.md');
const FIGURES = /(?<=<!-- figures begin -->\n)[\s\S]*(?=<!-- figures end -->)/;

export function writeReport({ machine, folder, runs, tables }) {
  const page = readFileSync(PAGE, 'utf8');
  if (!FIGURES.test(page)) throw new Stop(`${PAGE} has no place for figures.`);
  const facts = [
    `${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memoryBytes / 2 ** 30)} GiB`,
    `${machine.kernel}, Node ${machine.node}, ${machine.rustc}`,
    `Files in \`${folder}\`; medians of ${runs} runs, 3 for 1 GiB and scaling`,
    `Commit ${machine.commit}, ${machine.date}`,
  ];
  const head = facts.map((fact) => `- ${fact}\n`).join('');
  // The goals come last on the terminal and first on the page.
  const [goals, ...rest] = [...tables].reverse();
  const sections = [goals, ...rest.reverse()].map((table) => table.replace(/^\n(.*)\n/, '\n### $1\n'));
  writeFileSync(
    PAGE,
    page.replace(FIGURES, () => `\n${head}${sections.join('')}\n`),
  );
}
