import { spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface StartedServe {
  /** With the token that opens it. */
  address: string;
  /** The user's own folder, new and empty. */
  home: string;
  stop: () => Promise<void>;
}

/** `lathe serve` as it was built, for a user who has never run it before. */
export async function startServe(): Promise<StartedServe> {
  const root = mkdtempSync(join(tmpdir(), 'lathe-serve-'));
  const home = join(root, 'home');
  mkdirSync(home);
  const child = spawn(process.execPath, ['dist/cli/lathe.js', 'serve'], {
    env: { ...process.env, HOME: home, USERPROFILE: home, LATHE_HOME: join(root, 'lathe') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  async function stop() {
    child.kill('SIGTERM');
    await exited;
    rmSync(root, { recursive: true, force: true });
  }
  const address = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', (code) => reject(new Error(`"lathe serve" ended with ${code} before it said its address`)));
  });
  return { address: address.trim(), home, stop };
}
