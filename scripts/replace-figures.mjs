/** Puts the figures of a run into their page of docs/benchmarks; the words around them are written by people. */
import { readFileSync, writeFileSync } from 'node:fs';
import { inRepository, Stop } from './run-command.mjs';

const FIGURES = /(?<=<!-- figures begin -->\n)[\s\S]*(?=<!-- figures end -->)/;

/**
 * @param name of the page, such as `soak`
 * @param facts what else the figures depend on, a line each
 * @param tables as `formatTable` makes them
 */
export function replaceFigures(name, { machine, facts, tables }) {
  const path = inRepository('docs/benchmarks', `${name}.md`);
  const page = readFileSync(path, 'utf8');
  if (!FIGURES.test(page)) throw new Stop(`docs/benchmarks/${name}.md has no place for figures.`);
  const head = [
    `${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memoryBytes / 2 ** 30)} GiB`,
    `${machine.kernel}, Node ${machine.node}, ${machine.rustc}`,
    ...facts,
    `Commit ${machine.commit}, ${machine.date}`,
  ];
  const lines = head.map((fact) => `- ${fact}\n`).join('');
  const sections = tables.map((table) => table.replace(/^\n(.*)\n/, '\n### $1\n'));
  writeFileSync(
    path,
    page.replace(FIGURES, () => `\n${lines}${sections.join('')}\n`),
  );
}
