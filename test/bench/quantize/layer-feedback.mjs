/** GPTQ of one layer of 4096 x 4096 on one thread, beside the time that a matrix product takes for as many operations. */
import { cargoTargetFolder } from '../../../scripts/build.mjs';
import { bundleProgram } from '../../../scripts/bundle-program.mjs';
import { inRepository, runCommand, Stop } from '../../../scripts/run-command.mjs';
import { outputOf } from '../../../scripts/time-process.mjs';

const SIZE = 4096;
const ROUNDS = 3;

/** Cholesky factor, inverse and its factor, then the updates of every row: the textbook's count. */
const TEXTBOOK_OPERATIONS = SIZE * SIZE ** 2 + (4 / 3) * SIZE ** 3;

async function measureKernels() {
  const manifest = ['--manifest-path', inRepository('native-kernels/Cargo.toml'), '--package', 'lathe-kernels'];
  const args = ['bench', '--quiet', '--locked', ...manifest, '--bench', 'quantize', '--', 'gptq'];
  const env = { CARGO_TARGET_DIR: cargoTargetFolder() };
  const { code, stdout } = await runCommand('cargo', args, { env, output: 'capture' });
  if (code !== 0) throw new Stop('cargo bench --bench quantize -- gptq failed.');
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  return Object.fromEntries(lines.map((line) => [JSON.parse(line).what, JSON.parse(line)]));
}

async function measureProduct() {
  const program = await bundleProgram('test/bench/quantize/matrix-product.ts');
  const args = [program, String(SIZE), String(ROUNDS)];
  return JSON.parse(await outputOf(process.execPath, args, { env: { ORT_DISABLE_TELEMETRY: '1' } }));
}

/** @returns kernels, product, and rows { what, seconds, formulaSeconds, ratio }, the factor in every row */
export async function measureFeedback() {
  const kernels = await measureKernels();
  const product = await measureProduct();
  const formulaSeconds = TEXTBOOK_OPERATIONS / product.gflopPerSecond / 1e9;
  const rows = ['groups', 'q4_k'].map((what) => {
    const seconds = kernels.factor.median_seconds + kernels[what].median_seconds;
    return { what, seconds, formulaSeconds, ratio: seconds / formulaSeconds };
  });
  return { size: SIZE, kernels, product, rows };
}
