/** The machine line that every figure needs. */
import { cpus, release, totalmem, type } from 'node:os';
import { outputOf } from './time-process.mjs';

async function firstLine(command, args) {
  try {
    return (await outputOf(command, args)).split('\n')[0].trim();
  } catch {
    return null;
  }
}

export async function describeMachine() {
  const changed = await firstLine('git', ['status', '--porcelain', '--untracked-files=no']);
  const commit = await firstLine('git', ['rev-parse', '--short=12', 'HEAD']);
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    node: process.version,
    rustc: await firstLine('rustc', ['--version']),
    zstd: await firstLine('zstd', ['--version']),
    commit: commit === null ? 'unknown' : `${commit}${changed === null || changed === '' ? '' : ', with changes'}`,
    date: new Date().toISOString().slice(0, 10),
  };
}
