/** Rates of the coders themselves, on one core: what the Rust benches of the kernels print. */
import { cargoTargetFolder } from '../../../scripts/build.mjs';
import { inRepository, runCommand, Stop } from '../../../scripts/run-command.mjs';

const BENCHES = ['dfloat11', 'split_plane'];

/** Every line of every bench: { family, what, codec?, backend, threads, weights, best_mweights_s, median_mweights_s }. */
export async function measureKernels() {
  const lines = [];
  for (const bench of BENCHES) {
    const manifest = ['--manifest-path', inRepository('native-kernels/Cargo.toml'), '--package', 'lathe-kernels'];
    const args = ['bench', '--quiet', '--locked', ...manifest, '--bench', bench];
    const env = { CARGO_TARGET_DIR: cargoTargetFolder() };
    const { code, stdout } = await runCommand('cargo', args, { env, output: 'capture' });
    if (code !== 0) throw new Stop(`cargo bench --bench ${bench} failed.`);
    lines.push(
      ...stdout
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line)),
    );
  }
  return lines;
}

/** The median rate of one line, in millions of weights a second; of the fastest backend if several were measured. */
export function rateOf(lines, wanted) {
  const found = lines.filter((line) => Object.entries(wanted).every(([key, value]) => line[key] === value));
  return found.length === 0 ? null : Math.max(...found.map((line) => line.median_mweights_s));
}
