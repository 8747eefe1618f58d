/**
 * `npm start`: builds what has changed and opens the workbench. There is no window of its own yet: it is served to a browser
 * (docs/serve.md). Arguments go to `lathe serve`, as in `npm start -- --port 8470`.
 */
import { pathToFileURL } from 'node:url';
import { build } from './build.mjs';
import { inRepository, isProgram, runProgram } from './run-command.mjs';
import { setup } from './setup.mjs';

async function start(argv) {
  await setup();
  await build();
  console.log('start: the workbench is served to a browser; open the address below. From another machine, by SSH:');
  console.log('start:   npm start -- --port 8470, and there: ssh -L 8470:127.0.0.1:8470 THIS-MACHINE');
  // In this very process, so that Ctrl-C reaches it alone.
  process.argv = [process.execPath, inRepository('dist/cli/lathe.js'), 'serve', ...argv];
  await import(pathToFileURL(process.argv[1]).href);
}

if (isProgram(import.meta.url)) await runProgram(() => start(process.argv.slice(2)));
