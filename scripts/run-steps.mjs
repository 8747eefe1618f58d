/** The steps of `npm run check`, each a command with a name, run one after the other with a line for each. */
import { cargoTargetFolder } from './build.mjs';
import { formatDuration, packageProgram, runCommand } from './run-command.mjs';

function nodeStep(name, program, args) {
  return { name, command: process.execPath, args: [program, ...args] };
}

function cargoStep(name, args) {
  const [verb, ...rest] = args;
  const manifest = ['--manifest-path', 'native-kernels/Cargo.toml'];
  return { name, command: 'cargo', args: [verb, ...manifest, ...rest], env: { CARGO_TARGET_DIR: cargoTargetFolder() } };
}

const VITEST = packageProgram('vitest', 'vitest.mjs');

/** Everything that is judged without running the product. */
export const CHECK_STEPS = [
  nodeStep('format', packageProgram('prettier', 'bin', 'prettier.cjs'), ['--check', '--log-level', 'warn', '.']),
  nodeStep('lint', packageProgram('eslint', 'bin', 'eslint.js'), ['--max-warnings', '0', '.']),
  nodeStep('types', packageProgram('typescript', 'bin', 'tsc'), ['-p', 'tsconfig.json']),
  nodeStep('types of core', packageProgram('typescript', 'bin', 'tsc'), ['-p', 'core/tsconfig.json']),
  nodeStep('types of the window', packageProgram('typescript', 'bin', 'tsc'), ['-p', 'renderer/tsconfig.json']),
  nodeStep('import directions', 'scripts/check-import-directions.mjs', []),
  nodeStep('dead exports', packageProgram('knip', 'bin', 'knip.js'), ['--no-progress', '--no-config-hints']),
  cargoStep('rust format', ['fmt', '--all', '--check']),
  cargoStep('clippy', ['clippy', '--quiet', '--locked', '--workspace', '--all-targets', '--', '-D', 'warnings']),
];

export const UNIT_TEST_STEP = nodeStep('unit tests', VITEST, ['run', '--project', 'unit']);

/** Vitest on all projects, its counts going to a JSON file. */
export function allVitestArguments(reportPath) {
  return [VITEST, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${reportPath}`];
}

/** Runs steps in order, shows the output of those that fail, and returns the names of these. */
export async function runSteps(steps) {
  const width = Math.max(...steps.map(({ name }) => name.length));
  const failed = [];
  for (const { name, command, args, env } of steps) {
    const { code, stdout, stderr, durationMs } = await runCommand(command, args, { output: 'capture', env });
    const result = code === 0 ? 'ok' : 'FAILED';
    console.log(`check: ${name.padEnd(width)}  ${result.padEnd(6)}  ${formatDuration(durationMs)}`);
    if (code === 0) continue;
    failed.push(name);
    console.log(`${stdout}${stderr}`.trimEnd().replace(/^/gm, '    '));
  }
  return failed;
}
