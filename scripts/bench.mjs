/** `npm run bench -- NAME [options]`: builds, then runs test/bench/NAME.mjs with the options. */
import { existsSync, readdirSync } from 'node:fs';
import { build } from './build.mjs';
import { inRepository, isProgram, runCommand, runProgram, Stop } from './run-command.mjs';
import { setup } from './setup.mjs';

async function bench() {
  const [name, ...options] = process.argv.slice(2);
  const folder = inRepository('test/bench');
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.mjs')) : [];
  if (name === undefined || !files.includes(`${name}.mjs`)) {
    const names = files.map((file) => file.slice(0, -'.mjs'.length));
    throw new Stop(`Usage: npm run bench -- NAME [options]\nNAME is one of: ${names.join(', ') || '(none yet)'}`);
  }
  await setup();
  await build();
  const { code } = await runCommand(process.execPath, [inRepository('test/bench', `${name}.mjs`), ...options]);
  process.exitCode = code ?? 1;
}

if (isProgram(import.meta.url)) await runProgram(bench);
