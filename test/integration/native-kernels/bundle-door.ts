/** The native door as one CommonJS file, for worker threads and other processes, which cannot load TypeScript. */
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { BINARY } from './kernels-fixture.ts';

const DOOR = fileURLToPath(new URL('../../../native-kernels/index.ts', import.meta.url));

/** Writes the bundle to `path` and gives the JavaScript expression that loads the kernels through it. */
export function bundleDoor(path: string): string {
  buildSync({ entryPoints: [DOOR], outfile: path, bundle: true, platform: 'node', format: 'cjs', target: 'node16' });
  return `require(${JSON.stringify(path)}).loadKernels(${JSON.stringify(BINARY)})`;
}

/** Another Node process that runs this code; its standard output is collected line by line. */
export function startNode(code: string): { child: ChildProcess; output: Promise<string>; firstLine: Promise<string> } {
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8');
  const firstLine = new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (part: string) => {
      text += part;
      if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    });
    child.once('exit', (status) =>
      reject(new Error(`the process ended with ${status ?? 'a signal'}, having said "${text}"`)),
    );
  });
  const output = new Promise<string>((resolve) => child.once('close', () => resolve(text)));
  firstLine.catch(() => undefined);
  return { child, output, firstLine };
}
