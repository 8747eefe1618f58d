/** The vocabulary kernel's rates, as its Rust bench prints them, on logits four times the last-level cache. */
import { existsSync, readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { cargoTargetFolder } from '../../../scripts/build.mjs';
import { inRepository, runCommand, Stop } from '../../../scripts/run-command.mjs';

const MEBI = 1 << 20;
const VOCABULARIES = [4096, 32_000, 128_256];
/** Where the system does not tell the cache. */
const DEFAULT_CACHE_MEBI = 32;

function lastLevelCacheMebi() {
  for (const level of [3, 2]) {
    const path = `/sys/devices/system/cpu/cpu0/cache/index${level}/size`;
    const size = existsSync(path) ? /^(\d+)K/.exec(readFileSync(path, 'utf8')) : null;
    if (size) return Number(size[1]) / 1024;
  }
  return DEFAULT_CACHE_MEBI;
}

/** Every line of the bench: { what, backend, threads, vocabulary, bytes, best_gb_s, median_gb_s }. */
export async function measureVocabulary() {
  // Three arrays of that size lie in memory at a time.
  const mebi = Math.min(4 * lastLevelCacheMebi(), Math.floor(totalmem() / MEBI / 6));
  const lines = [];
  for (const vocabulary of VOCABULARIES) {
    const manifest = ['--manifest-path', inRepository('native-kernels/Cargo.toml'), '--package', 'lathe-kernels'];
    const numbers = [Math.floor(mebi), vocabulary, 1].map(String);
    const args = ['bench', '--quiet', '--locked', ...manifest, '--bench', 'vocabulary', '--', ...numbers];
    const env = { CARGO_TARGET_DIR: cargoTargetFolder() };
    const { code, stdout } = await runCommand('cargo', args, { env, output: 'capture' });
    if (code !== 0) throw new Stop('cargo bench --bench vocabulary failed.');
    const found = stdout.split('\n').filter((line) => line.startsWith('{'));
    lines.push(...found.map((line) => JSON.parse(line)));
  }
  return lines;
}
