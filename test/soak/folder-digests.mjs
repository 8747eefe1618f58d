/** What a folder holds, computed here and not by Lathe. */
import { createHash } from 'node:crypto';
import { createReadStream, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

async function digestOf(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 22 })) hash.update(chunk);
  return hash.digest('hex');
}

/** Every path below a folder with the SHA-256 of a file, as text; "nothing" where there is no folder. */
export async function digestsOf(folder) {
  const facts = lstatSync(folder, { throwIfNoEntry: false });
  if (facts === undefined) return 'nothing';
  if (!facts.isDirectory()) return digestOf(folder);
  const entries = [];
  for (const path of readdirSync(folder, { recursive: true }).sort()) {
    const isFile = lstatSync(join(folder, path)).isFile();
    entries.push(`${path} ${isFile ? await digestOf(join(folder, path)) : 'folder'}`);
  }
  return entries.join('\n');
}
