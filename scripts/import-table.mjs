/**
 * Who may import what: docs/architecture.md#import-directions as data.
 *
 * A room is the folder that its name says; the longest matching name wins. `files` are folders (ending in `/`) or single
 * files; `packages` are npm packages, or `any`; `node` says whether Node's own modules may be imported.
 */
const CONTRACT_FACE = ['core/contract/', 'core/errors.ts', 'core/units.ts'];

export const ROOMS = [
  { room: 'core/', files: ['core/'], packages: ['zod', 'yaml', '@huggingface/tokenizers'], node: false },
  {
    room: 'native-kernels/',
    files: ['native-kernels/', 'core/kernels/', 'core/errors.ts'],
    packages: [],
    node: true,
  },
  {
    room: 'workers/',
    files: ['workers/', 'core/', 'native-kernels/index.ts'],
    packages: ['onnxruntime-node', 'ws'],
    node: true,
  },
  {
    room: 'main/',
    files: ['main/', 'core/contract/', 'core/errors.ts'],
    never: ['main/preload/'],
    packages: ['electron'],
    node: true,
  },
  { room: 'main/preload/', files: ['main/preload/', 'core/contract/'], packages: ['electron'], node: false },
  {
    room: 'renderer/',
    files: ['renderer/', ...CONTRACT_FACE],
    packages: ['react', 'react-dom', 'zustand', 'recharts'],
    node: false,
  },
  {
    room: 'cli/',
    files: ['cli/', ...CONTRACT_FACE, 'workers/engine/index.ts', 'workers/serve/open-workbench-server.ts'],
    packages: ['commander'],
    node: true,
  },
  { room: 'scripts/', files: ['scripts/'], packages: 'any', node: true, computed: true },
  { room: 'test/', files: [''], packages: 'any', node: true, computed: true },
  // Configuration files in the root.
  { room: '', files: ['scripts/'], packages: 'any', node: true, computed: true },
];

/** The only files of re-exports that may be imported. */
export const FRONT_DOORS = ['native-kernels/index.ts', 'workers/engine/index.ts'];

/** Names that tools or languages prescribe; every other file name is given once in the repository. */
export const REPEATABLE_NAMES = new Set([
  'README.md',
  'index.ts',
  'index.html',
  'tsconfig.json',
  'package.json',
  '.gitignore',
  'Cargo.toml',
  'Cargo.lock',
  'build.rs',
  'lib.rs',
  'main.rs',
  'mod.rs',
  // The fast paths of a kernel family, one pair a family.
  'x86.rs',
  'arm.rs',
]);

/** Data, whose names are given by formats. */
export const DATA_FOLDERS = ['examples/', 'test/golden/', 'test/fuzz/corpus/'];

/** The room of a path, by its longest matching name. */
export function roomOf(path) {
  return ROOMS.filter(({ room }) => path.startsWith(room)).sort((a, b) => b.room.length - a.room.length)[0];
}
