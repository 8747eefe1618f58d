/**
 * Makes a bare clone ready: checks Node, Rust and the C linker, and installs the npm packages of package-lock.json.
 * A second run changes nothing and takes a fraction of a second.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { formatDuration, inRepository, isProgram, runCommand, runProgram, Stop } from './run-command.mjs';

/** Compares dotted versions number by number. */
function isAtLeast(version, minimum) {
  const have = version.split('.').map(Number);
  const need = minimum.split('.').map(Number);
  for (const [index, part] of need.entries()) {
    if ((have[index] ?? 0) !== part) return (have[index] ?? 0) > part;
  }
  return true;
}

function checkNode() {
  const minimum = /[\d.]+/.exec(JSON.parse(readFileSync(inRepository('package.json'), 'utf8')).engines.node)[0];
  if (!isAtLeast(process.versions.node, minimum)) {
    throw new Stop(`Node ${process.versions.node} is too old: Lathe needs ${minimum} or newer (https://nodejs.org).`);
  }
  return `node ${process.versions.node}`;
}

/** rustup puts cargo where a non-login shell may not look. */
function addCargoHomeToPath() {
  const folder = join(process.env['CARGO_HOME'] ?? join(homedir(), '.cargo'), 'bin');
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  if (existsSync(folder) && !folders.includes(folder)) process.env['PATH'] = [...folders, folder].join(delimiter);
}

async function checkCargo() {
  addCargoHomeToPath();
  const minimum = /rust-version = "([\d.]+)"/.exec(readFileSync(inRepository('native-kernels/Cargo.toml'), 'utf8'))[1];
  const { code, stdout } = await runCommand('cargo', ['--version'], { output: 'capture' });
  const found = /cargo ([\d.]+)/.exec(stdout)?.[1];
  if (code !== 0 || found === undefined) {
    throw new Stop(
      `Rust's cargo was not found. Install Rust ${minimum} or newer:\n` +
        `  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile default`,
    );
  }
  if (!isAtLeast(found, minimum)) {
    throw new Stop(`cargo ${found} is too old: Lathe needs ${minimum} or newer. Run:\n  rustup update stable`);
  }
  return `cargo ${found}`;
}

/** Rust links with the system's C compiler driver. Installs it where that can be done without asking. */
async function checkLinker() {
  if (process.platform === 'win32') return 'linker: left to rustup';
  if ((await runCommand('cc', ['--version'], { output: 'capture' })).code === 0) return 'cc';
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', 'gcc', 'libc6-dev'];
  const hasApt = (await runCommand('apt-get', ['--version'], { output: 'capture' })).code === 0;
  if (hasApt && process.getuid?.() === 0) {
    console.log(`setup: installing a C linker (${install.join(' ')})`);
    await runCommand('apt-get', ['update']);
    if ((await runCommand(install[0], install.slice(1))).code === 0) return 'cc (just installed)';
  }
  throw new Stop(
    hasApt
      ? `A C linker ("cc") is missing. Run:\n  sudo ${install.join(' ')}`
      : 'A C linker ("cc") is missing: install gcc or clang (macOS: xcode-select --install).',
  );
}

/**
 * Whether node_modules holds what package-lock.json asks for. npm writes its own record there as the last act of an
 * installation, so an interrupted one, a changed lock file and a missing folder are all told apart from a whole one.
 */
export function arePackagesInstalled(wantedLock, installedLock) {
  return Object.entries(wantedLock.packages).every(([path, wanted]) => {
    if (path === '' || wanted.optional === true || wanted.devOptional === true) return true;
    const installed = installedLock.packages[path];
    return installed?.version === wanted.version && installed.integrity === wanted.integrity;
  });
}

async function installPackages() {
  const record = inRepository('node_modules/.package-lock.json');
  if (existsSync(record)) {
    const wanted = JSON.parse(readFileSync(inRepository('package-lock.json'), 'utf8'));
    if (arePackagesInstalled(wanted, JSON.parse(readFileSync(record, 'utf8')))) return 'npm packages in place';
  }
  console.log('setup: installing npm packages (npm ci)');
  const args = ['ci', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = process.env['npm_execpath'];
  const { code, durationMs } =
    npm?.endsWith('.js') === true
      ? await runCommand(process.execPath, [npm, ...args])
      : await runCommand(process.platform === 'win32' ? 'npm.cmd' : 'npm', args);
  if (code !== 0) {
    throw new Stop('The npm packages could not be installed (npm ci failed). Check the network and run this again.');
  }
  return `npm packages installed in ${formatDuration(durationMs)}`;
}

/** Checks the tools and installs what is missing; throws `Stop` with one line of advice where it cannot. */
export async function setup() {
  const found = [checkNode(), await checkCargo(), await checkLinker(), await installPackages()];
  console.log(`setup: ${found.join(', ')}`);
}

if (isProgram(import.meta.url)) await runProgram(setup);
