/** Puts the tables of one part into docs/benchmarks/interop.md, between its marks; the words around are people's. */
import { readFileSync, writeFileSync } from 'node:fs';
import { describeMachine } from '../describe-machine.mjs';
import { inRepository, Stop } from '../run-command.mjs';

const PAGE = inRepository('docs/benchmarks/interop.md');

export async function writePart(name, tables) {
  const page = readFileSync(PAGE, 'utf8');
  const [begin, end] = [`<!-- ${name} begins -->\n`, `<!-- ${name} ends -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Stop(`${PAGE} has no place for the part "${name}".`);
  const { cpu, cores, kernel, node, commit, date } = await describeMachine();
  const facts = `\n${cpu}, ${cores} cores; ${kernel}, Node ${node}; commit ${commit}, ${date}.\n`;
  const sections = tables.map((table) => table.replace(/^\n(.*)\n/, '\n**$1**\n'));
  writeFileSync(PAGE, page.slice(0, from + begin.length) + facts + sections.join('') + '\n' + page.slice(to));
}
