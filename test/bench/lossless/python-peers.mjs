/** The DFloat11 package's inner loop and ZipNN, where Python 3 and its package index are at hand. */
import { join } from 'node:path';
import { inRepository } from '../../../scripts/run-command.mjs';
import { outputOf } from '../../../scripts/time-process.mjs';

const ZIPNN = 'zipnn==0.5.4';
const SCRIPT = inRepository('test/bench/lossless/python_peers.py');

/** Rates in millions of weights a second, or the reason why there are none. */
export async function measurePythonPeers(work, weightFile) {
  const peers = {};
  try {
    peers.dfloat11Loop = JSON.parse(await outputOf('python3', [SCRIPT, weightFile, 'loop']));
  } catch (error) {
    return { dfloat11Loop: null, zipnn: null, note: `not measured here: ${firstLine(error)}` };
  }
  try {
    const folder = join(work, 'python');
    const python = join(folder, 'bin', 'python');
    await outputOf('python3', ['-m', 'venv', folder]);
    await outputOf(python, ['-m', 'pip', 'install', '--quiet', 'numpy', 'safetensors']);
    // Without PyTorch, which it names as a need: it works on bytes here.
    await outputOf(python, ['-m', 'pip', 'install', '--quiet', '--no-deps', ZIPNN]);
    peers.zipnn = { version: ZIPNN, ...JSON.parse(await outputOf(python, [SCRIPT, weightFile, 'zipnn'])) };
  } catch (error) {
    peers.zipnn = null;
    peers.note = `ZipNN not measured here: ${firstLine(error)}`;
  }
  return peers;
}

function firstLine(error) {
  return String(error.message).split('\n').slice(0, 2).join(' ');
}
