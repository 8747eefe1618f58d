/** Puts the figures of a run into docs/benchmarks/evaluate.md; the words around them are written by people. */
import { readFileSync, writeFileSync } from 'node:fs';
import { inRepository, Stop } from '../../../scripts/run-command.mjs';

const PAGE = inRepository('docs/benchmarks/evaluate.md');
const FIGURES = /(?<=<!-- figures begin -->\n)[\s\S]*(?=<!-- figures end -->)/;

export function writeFigures({ machine, rounds, tables }) {
  const page = readFileSync(PAGE, 'utf8');
  if (!FIGURES.test(page)) throw new Stop(`${PAGE} has no place for figures.`);
  const facts = [
    `${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memoryBytes / 2 ** 30)} GiB`,
    `${machine.kernel}, Node ${machine.node}, ${machine.rustc}`,
    `Medians of ${rounds} rounds`,
    `Commit ${machine.commit}, ${machine.date}`,
  ];
  const head = facts.map((fact) => `- ${fact}\n`).join('');
  const sections = tables.map((table) => table.replace(/^\n(.*)\n/, '\n### $1\n'));
  writeFileSync(
    PAGE,
    page.replace(FIGURES, () => `\n${head}${sections.join('')}\n`),
  );
}
