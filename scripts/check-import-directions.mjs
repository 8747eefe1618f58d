/**
 * Checks that every file imports only what its room may (docs/architecture.md#import-directions), that no files import
 * each other in a circle, that only the front doors re-export, that file names are unique, and that the plain Rust
 * library does not know Node. Prints `file:line  rule  why` for each fault.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { basename, dirname, join, posix } from 'node:path';
import { DATA_FOLDERS, FRONT_DOORS, REPEATABLE_NAMES, roomOf } from './import-table.mjs';
import { parseImports } from './parse-imports.mjs';
import { isProgram, REPOSITORY } from './run-command.mjs';

const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', 'target', '.git', 'coverage', '.tmp', 'bench-results']);
const SOURCE = /\.(?:ts|tsx|mts|cts|js|jsx|mjs|cjs)$/;
const NODE_MODULES = new Set(builtinModules);
const PAGE = '(docs/architecture.md#import-directions)';

/** Every file below a folder, as sorted paths with forward slashes; links are not followed. */
export function listFiles(root, folder = '') {
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  return entries
    .flatMap((entry) => {
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory()) return SKIPPED_FOLDERS.has(entry.name) ? [] : listFiles(root, path);
      return entry.isFile() ? [path] : [];
    })
    .sort();
}

/** The file that a relative specifier means, or null if there is none. */
function resolveRelative(files, importer, specifier) {
  const path = posix.normalize(posix.join(dirname(importer), specifier));
  const candidates = [path, `${path}.ts`, `${path}.tsx`, `${path}.mjs`, `${path}.js`, `${path}/index.ts`];
  return candidates.find((candidate) => files.has(candidate)) ?? null;
}

function isNodeModule(specifier) {
  return specifier.startsWith('node:') || NODE_MODULES.has(specifier.split('/')[0]);
}

function packageOf(specifier) {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0];
}

/** Why a room may not import a specifier, as {rule, why}, or null if it may. */
function findFault(importer, specifier, target, isBarrel) {
  const row = roomOf(importer);
  const name = row.room === '' ? 'a file in the root' : `"${row.room.slice(0, -1)}"`;
  if (specifier === null) {
    if (row.computed === true) return null;
    return { rule: 'computed-import', why: `${name} imports a module whose name is computed, which cannot be checked` };
  }
  if (!specifier.startsWith('.')) {
    if (isNodeModule(specifier)) {
      return row.node ? null : { rule: 'no-node', why: `${name} must run without Node, but imports "${specifier}"` };
    }
    if (row.packages === 'any' || row.packages.includes(packageOf(specifier))) return null;
    const allowed = row.packages.length === 0 ? 'no npm package' : `only ${row.packages.join(', ')}`;
    return { rule: 'package', why: `${name} imports "${specifier}", but may use ${allowed}` };
  }
  if (target === null) return { rule: 'unresolved', why: `"${specifier}" names no file` };
  if (target.startsWith('test/') && !importer.startsWith('test/')) {
    return { rule: 'never-imported', why: `tests are imported by nobody, but ${name} imports "${target}"` };
  }
  const isAllowed = row.files.some((allowed) =>
    allowed.endsWith('/') || allowed === '' ? target.startsWith(allowed) : target === allowed,
  );
  if (!isAllowed || (row.never ?? []).some((forbidden) => target.startsWith(forbidden))) {
    return { rule: 'direction', why: `${name} must not import "${target}"; it may import ${row.files.join(', ')}` };
  }
  if (isBarrel && !FRONT_DOORS.includes(target)) {
    return { rule: 'barrel', why: `"${target}" only re-exports: import the file itself` };
  }
  return null;
}

/** Groups of files that import each other in a circle (Tarjan's strongly connected components). */
function findCycles(edges) {
  const order = new Map();
  const lowest = new Map();
  const stack = [];
  const cycles = [];
  function visit(path) {
    order.set(path, order.size);
    lowest.set(path, order.get(path));
    stack.push(path);
    for (const { target } of edges.get(path) ?? []) {
      if (!order.has(target)) {
        visit(target);
        lowest.set(path, Math.min(lowest.get(path), lowest.get(target)));
      } else if (stack.includes(target)) {
        lowest.set(path, Math.min(lowest.get(path), order.get(target)));
      }
    }
    if (lowest.get(path) !== order.get(path)) return;
    const group = stack.splice(stack.indexOf(path));
    if (group.length > 1 || (edges.get(path) ?? []).some(({ target }) => target === path)) cycles.push(group);
  }
  for (const path of edges.keys()) if (!order.has(path)) visit(path);
  return cycles;
}

function findRepeatedNames(files) {
  const byName = new Map();
  for (const path of files) {
    const name = basename(path);
    if (REPEATABLE_NAMES.has(name) || DATA_FOLDERS.some((folder) => path.startsWith(folder))) continue;
    byName.set(name, [...(byName.get(name) ?? []), path]);
  }
  return [...byName.values()]
    .filter((paths) => paths.length > 1)
    .map(([first, ...others]) => ({
      file: others[0],
      line: 1,
      rule: 'unique-name',
      why: `"${basename(first)}" is also ${[first, ...others.slice(1)].join(', ')}: one name, one file`,
    }));
}

/** `crates/kernels` is plain Rust: neither its manifest nor its code names napi (comments may). */
function findNodeInKernels(root, files) {
  const faults = [];
  for (const file of files) {
    if (!file.startsWith('native-kernels/crates/kernels/') || !/\.(?:rs|toml)$/.test(file)) continue;
    const lines = readFileSync(join(root, file), 'utf8').split('\n');
    for (const [index, line] of lines.entries()) {
      const code = line.replace(file.endsWith('.rs') ? /\/\/.*/ : /#.*/, '');
      if (!/\bnapi(?:\b|_)/.test(code)) continue;
      faults.push({
        file,
        line: index + 1,
        rule: 'plain-rust',
        why: '"crates/kernels" must not know napi or JavaScript',
      });
    }
  }
  return faults;
}

/** Every fault of the repository at `root`, as {file, line, rule, why}. */
export function findImportFaults(root) {
  const all = listFiles(root);
  const files = new Set(all);
  const sources = all.filter((path) => SOURCE.test(path) && !DATA_FOLDERS.some((folder) => path.startsWith(folder)));
  const parsed = new Map(sources.map((path) => [path, parseImports(path, readFileSync(join(root, path), 'utf8'))]));
  const faults = [];
  const edges = new Map();
  for (const [file, { imports }] of parsed) {
    const outgoing = [];
    for (const { specifier, line } of imports) {
      const target = specifier?.startsWith('.') === true ? resolveRelative(files, file, specifier) : null;
      // Tests may import what a build makes, which is not there in a bare clone.
      const isBuilt = specifier?.includes('/dist/') === true && file.startsWith('test/');
      const isBarrel = target !== null && (basename(target) === 'index.ts' || parsed.get(target)?.isBarrel === true);
      const fault = isBuilt ? null : findFault(file, specifier, target, isBarrel);
      if (fault !== null) faults.push({ file, line, ...fault });
      if (target !== null) outgoing.push({ target, line });
    }
    edges.set(file, outgoing);
  }
  for (const group of findCycles(edges)) {
    const file = group[0];
    const { line } = edges.get(file).find(({ target }) => group.includes(target));
    faults.push({ file, line, rule: 'cycle', why: `these files import each other: ${group.join(', ')}` });
  }
  return [...faults, ...findRepeatedNames(all), ...findNodeInKernels(root, all)];
}

if (isProgram(import.meta.url)) {
  const root = process.argv[2] ?? REPOSITORY;
  if (!existsSync(root)) throw new Error(`"${root}" does not exist.`);
  const faults = findImportFaults(root);
  for (const { file, line, rule, why } of faults) console.error(`${file}:${line}  ${rule}  ${why}  ${PAGE}`);
  if (faults.length > 0) process.exitCode = 1;
  else console.log('import directions: no fault');
}
