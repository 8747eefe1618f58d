/**
 * Builds everything that runs into dist/:
 *   native/lathe-kernels.node  the Rust kernels behind Node-API
 *   cli/lathe.js               the command line: ES modules, split so that `lathe --help` loads little
 *   engine/index.cjs           the engine for the window: CommonJS for an old Electron; proves that it bundles
 *   inference-worker.js, .cjs  beside each, what its worker threads run
 *   renderer/                  the workbench's window: index.html, app.js, app.css
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { holdLock } from './hold-lock.mjs';
import {
  formatBytes,
  formatDuration,
  inRepository,
  isProgram,
  REPOSITORY,
  runCommand,
  runProgram,
  Stop,
} from './run-command.mjs';
import { setup } from './setup.mjs';

/** `lathe --help` has to start within 80 ms: what loads before any command is known stays under this. */
const MAX_STARTUP_BYTES = 256 * 1024;

const CLI_ENTRY = 'cli/lathe.ts';
const ENGINE_ENTRY = 'workers/engine/index.ts';
const WORKER_ENTRY = 'workers/inference/inference-worker.ts';
const HOST_ENTRY = 'workers/host/engine-host.ts';
const RENDERER_ENTRY = 'renderer/main.tsx';
const RENDERER_FILES = ['renderer/lathe.svg', 'renderer/index.html'];

/** The window is read from the disk or over the loopback address; this is for those who wait on a slow disk. */
const MAX_RENDERER_GZIP_BYTES = 1536 * 1024;

/** Loaded from node_modules at run time: it brings its own native libraries, and only jobs that run a model need it. */
const EXTERNAL = ['onnxruntime-node'];

/** Rust's build products live outside the clone, so that a fresh clone does not compile every crate again. */
export function cargoTargetFolder() {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return process.env['LATHE_CARGO_TARGET_DIR'] || process.env['CARGO_TARGET_DIR'] || join(cache, 'lathe/cargo-target');
}

function replaceFile(path, write) {
  const temporary = `${path}.${process.pid}.tmp`;
  write(temporary);
  renameSync(temporary, path);
}

/**
 * Builds the binding crate and copies its library to dist/native.
 *
 * Cargo names a cdylib without a hash, so two clones that share the target folder overwrite each other's, and each would
 * still call its own fresh. So the folder says which clone built last, another one builds the (thin) binding anew, and
 * a lock covers both build and copy.
 */
async function buildNative() {
  const startedAt = performance.now();
  const target = cargoTargetFolder();
  mkdirSync(target, { recursive: true });
  mkdirSync(inRepository('dist/native'), { recursive: true });
  function onWait() {
    console.log(`build: waiting for another build in ${target}`);
  }
  await holdLock(join(target, 'lathe-binding-lock'), onWait, async () => {
    const ownerFile = join(target, 'lathe-binding-owner');
    if (existsSync(ownerFile) && readFileSync(ownerFile, 'utf8') !== REPOSITORY) {
      await runBindingCargo('clean', ['--quiet', '--release'], target);
    }
    writeFileSync(ownerFile, REPOSITORY);
    // The first build takes a while: let cargo say what it is doing.
    const quiet = existsSync(inRepository('dist/native/lathe-kernels.node')) ? ['--quiet'] : [];
    if ((await runBindingCargo('build', [...quiet, '--release', '--locked'], target)) !== 0) {
      throw new Stop('build: the Rust kernels do not compile (see above).');
    }
    const names = { darwin: 'liblathe_kernels_node.dylib', win32: 'lathe_kernels_node.dll' };
    const library = join(target, 'release', names[process.platform] ?? 'liblathe_kernels_node.so');
    replaceFile(inRepository('dist/native/lathe-kernels.node'), (path) => copyFileSync(library, path));
  });
  console.log(`build: dist/native/lathe-kernels.node (${formatDuration(performance.now() - startedAt)})`);
}

async function runBindingCargo(verb, options, target) {
  const where = ['--manifest-path', inRepository('native-kernels/Cargo.toml'), '--package', 'lathe-kernels-node'];
  return (await runCommand('cargo', [verb, ...options, ...where], { env: { CARGO_TARGET_DIR: target } })).code;
}

/** The bytes of a chunk and of everything that it imports statically. */
function startupBytes(outputs, path, seen = new Set()) {
  if (seen.has(path)) return 0;
  seen.add(path);
  const { bytes, imports } = outputs[path];
  const statically = imports.filter((entry) => entry.kind === 'import-statement' && !entry.external);
  return bytes + statically.reduce((sum, entry) => sum + startupBytes(outputs, entry.path, seen), 0);
}

/** Writes bundled files under new names first and the entry last, then removes chunks that nothing names any more. */
function writeBundle(outputFiles, folder, entryName) {
  mkdirSync(folder, { recursive: true });
  const isEntry = (file) => basename(file.path) === entryName;
  for (const file of [...outputFiles].sort((a, b) => Number(isEntry(a)) - Number(isEntry(b)))) {
    replaceFile(file.path, (path) => writeFileSync(path, file.contents));
  }
  const current = new Set(outputFiles.map((file) => basename(file.path)));
  for (const name of readdirSync(folder)) {
    if (!current.has(name)) rmSync(join(folder, name), { recursive: true });
  }
}

async function buildCli(esbuild) {
  const startedAt = performance.now();
  const folder = inRepository('dist/cli');
  const { outputFiles, metafile } = await esbuild.build({
    absWorkingDir: REPOSITORY,
    entryPoints: { lathe: CLI_ENTRY, 'inference-worker': WORKER_ENTRY },
    outdir: 'dist/cli',
    chunkNames: '[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    external: EXTERNAL,
    // CommonJS packages (yaml, commander) call require() for Node's own modules.
    banner: {
      js: "import { createRequire as latheCreateRequire } from 'node:module'; const require = latheCreateRequire(import.meta.url);",
    },
    define: { 'process.env.LATHE_VERSION': JSON.stringify(packageVersion()) },
    sourcemap: 'linked',
    sourcesContent: false,
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
  const entry = outputFiles.find((file) => file.path === join(folder, 'lathe.js'));
  const contents = Buffer.from(entry.contents)
    .toString('utf8')
    .replace(/^#!.*\n/, '');
  entry.contents = Buffer.from(`#!/usr/bin/env node\n${contents}`);
  const map = outputFiles.find((file) => file.path === join(folder, 'lathe.js.map'));
  map.contents = Buffer.from(shiftSourceMap(Buffer.from(map.contents).toString('utf8')));
  writeBundle(outputFiles, folder, 'lathe.js');
  chmodSync(join(folder, 'lathe.js'), 0o755);
  const startup = startupBytes(metafile.outputs, 'dist/cli/lathe.js');
  const total = Object.entries(metafile.outputs).reduce(
    (sum, [path, { bytes }]) => sum + (path.endsWith('.js') ? bytes : 0),
    0,
  );
  console.log(
    `build: dist/cli/lathe.js (loads ${formatBytes(startup)} of ${formatBytes(total)} at start, ${formatDuration(performance.now() - startedAt)})`,
  );
  if (startup > MAX_STARTUP_BYTES) {
    throw new Stop(
      `build: the command line loads ${formatBytes(startup)} before it knows its command; the limit is ${formatBytes(MAX_STARTUP_BYTES)}. Import commands with import().`,
    );
  }
}

/** One line was put before the first one: in a source map that is one more semicolon. */
function shiftSourceMap(text) {
  const map = JSON.parse(text);
  return JSON.stringify({ ...map, mappings: `;${map.mappings}` });
}

function packageVersion() {
  return JSON.parse(readFileSync(inRepository('package.json'), 'utf8')).version;
}

async function buildEngine(esbuild) {
  const startedAt = performance.now();
  const { metafile } = await esbuild.build({
    absWorkingDir: REPOSITORY,
    entryPoints: { index: ENGINE_ENTRY, 'engine-host': HOST_ENTRY, 'inference-worker': WORKER_ENTRY },
    outdir: 'dist/engine',
    outExtension: { '.js': '.cjs' },
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node16',
    external: EXTERNAL,
    define: { 'process.env.LATHE_VERSION': JSON.stringify(packageVersion()) },
    logOverride: { 'empty-import-meta': 'error' },
    metafile: true,
    logLevel: 'warning',
  });
  const { bytes } = metafile.outputs['dist/engine/index.cjs'];
  console.log(`build: dist/engine/index.cjs (${formatBytes(bytes)}, ${formatDuration(performance.now() - startedAt)})`);
}

/** For a browser, or the window of an old Electron: one script, one style sheet, nothing inline. */
async function buildRenderer(esbuild) {
  const startedAt = performance.now();
  const { outputFiles } = await esbuild.build({
    absWorkingDir: REPOSITORY,
    entryPoints: { app: RENDERER_ENTRY },
    outdir: 'dist/renderer',
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'chrome108',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    legalComments: 'eof',
    write: false,
    logLevel: 'warning',
  });
  const copied = RENDERER_FILES.map((file) => {
    return { path: inRepository(`dist/${file}`), contents: readFileSync(inRepository(file)) };
  });
  writeBundle([...outputFiles, ...copied], inRepository('dist/renderer'), 'index.html');
  const packed = outputFiles.reduce((sum, { contents }) => sum + gzipSync(contents).length, 0);
  console.log(
    `build: dist/renderer/app.js (${formatBytes(packed)} packed, ${formatDuration(performance.now() - startedAt)})`,
  );
  if (packed > MAX_RENDERER_GZIP_BYTES) {
    throw new Stop(
      `build: the window is ${formatBytes(packed)} packed; the limit is ${formatBytes(MAX_RENDERER_GZIP_BYTES)}.`,
    );
  }
}

/** Bundles what is there; `Stop` names an entry that is not. */
async function buildTypeScript() {
  const esbuild = await import('esbuild');
  const bundles = [
    [CLI_ENTRY, buildCli],
    [ENGINE_ENTRY, buildEngine],
    [RENDERER_ENTRY, buildRenderer],
  ];
  const missing = bundles.filter(([entry]) => !existsSync(inRepository(entry))).map(([entry]) => entry);
  for (const [entry, bundle] of bundles) {
    if (missing.includes(entry)) continue;
    try {
      await bundle(esbuild);
    } catch (error) {
      if (error instanceof Stop || !Array.isArray(error.errors)) throw error;
      throw new Stop(`build: ${entry} does not bundle (see above).`);
    }
  }
  if (missing.length > 0) throw new Stop(`build: missing ${missing.join(' and ')}; the rest was built.`);
}

/** Builds all of dist/; what has not changed is left alone by cargo, and bundling takes a second. */
export async function build({ native = true, typescript = true } = {}) {
  if (native) await buildNative();
  if (typescript) await buildTypeScript();
}

if (isProgram(import.meta.url)) {
  const only = process.argv[2];
  await runProgram(async () => {
    if (only !== undefined && only !== '--native' && only !== '--typescript') {
      throw new Stop(`Usage: node ${relative(process.cwd(), process.argv[1])} [--native | --typescript]`);
    }
    await setup();
    await build({ native: only !== '--typescript', typescript: only !== '--native' });
  });
}
