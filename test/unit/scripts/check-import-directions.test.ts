import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findImportFaults } from '../../../scripts/check-import-directions.mjs';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'lathe-directions-'));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

/** The faults of a small repository, as `file:line rule`. */
function faultsOf(files: Record<string, string>): string[] {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return findImportFaults(root).map(({ file, line, rule }) => `${file}:${line} ${rule}`);
}

test('lets every room import what the table gives it', () => {
  expect(
    faultsOf({
      'core/errors.ts': 'export class FormatError {}',
      'core/units.ts': "import { z } from 'zod';\nexport const x = z;",
      'core/contract/recipe.ts': "export * as units from '../units.ts';\nexport const y = 1;",
      'core/kernels/kernels.ts': "import type { FormatError } from '../errors.ts';\nexport type Kernels = FormatError;",
      'native-kernels/index.ts':
        "import fs from 'node:fs';\nimport type { Kernels } from '../core/kernels/kernels.ts';",
      'workers/engine/index.ts': "import { x } from '../../core/units.ts';\nimport '../../native-kernels/index.ts';",
      'cli/lathe.ts':
        "import { Command } from 'commander';\nexport const run = () => import('../workers/engine/index.ts');",
      'main/main.ts': "import { app } from 'electron';\nimport { y } from '../core/contract/recipe.ts';",
      'main/preload/preload.ts': "import { contextBridge } from 'electron';",
      'renderer/bridge.ts': "import React from 'react-dom/client';\nimport { x } from '../core/units.ts';",
      'test/unit/any.test.ts': "import '../../main/main.ts';\nimport '../../dist/cli/lathe.js';",
    }),
  ).toEqual([]);
});

test.each([
  ['core imports Node', 'core/a.ts', "import fs from 'node:fs';", 'core/a.ts:1 no-node'],
  ['core imports Node by its old name', 'core/a.ts', "\nimport fs from 'fs/promises';", 'core/a.ts:2 no-node'],
  ['core imports a package off the list', 'core/a.ts', "import 'commander';", 'core/a.ts:1 package'],
  [
    'core imports only a type',
    'core/a.ts',
    "import type { E } from '../workers/engine/b.ts';",
    'core/a.ts:1 direction',
  ],
  [
    'core names a type by import()',
    'core/a.ts',
    "type E = import('../workers/engine/b.ts').E;",
    'core/a.ts:1 direction',
  ],
  ['core imports lazily', 'core/a.ts', "void import('../workers/engine/b.ts');", 'core/a.ts:1 direction'],
  ['core requires', 'core/a.ts', "require('../workers/engine/b.ts');", 'core/a.ts:1 direction'],
  ['core re-exports', 'core/a.ts', "export { E } from '../workers/engine/b.ts';\nlet x;", 'core/a.ts:1 direction'],
  ['core computes a name', 'core/a.ts', 'void import(name);', 'core/a.ts:1 computed-import'],
  ['a name has no file', 'core/a.ts', "import './missing.ts';", 'core/a.ts:1 unresolved'],
  [
    'kernels import workers',
    'native-kernels/a.ts',
    "import '../workers/engine/b.ts';",
    'native-kernels/a.ts:1 direction',
  ],
  ['workers pass the front door', 'workers/a.ts', "import '../native-kernels/c.ts';", 'workers/a.ts:1 direction'],
  ['workers import electron', 'workers/a.ts', "import 'electron';", 'workers/a.ts:1 package'],
  ['cli passes the front door', 'cli/a.ts', "import '../workers/engine/b.ts';", 'cli/a.ts:1 direction'],
  ['cli imports the addon', 'cli/a.ts', "import '../native-kernels/c.ts';", 'cli/a.ts:1 direction'],
  ['cli imports a format', 'cli/a.ts', "import '../core/formats/d.ts';", 'cli/a.ts:1 direction'],
  ['main imports a format', 'main/a.ts', "import '../core/formats/d.ts';", 'main/a.ts:1 direction'],
  ['preload imports Node', 'main/preload/a.ts', "import 'node:fs';", 'main/preload/a.ts:1 no-node'],
  ['the renderer imports electron', 'renderer/a.ts', "import 'electron';", 'renderer/a.ts:1 package'],
  ['the renderer imports a format', 'renderer/a.ts', "import '../core/formats/d.ts';", 'renderer/a.ts:1 direction'],
  ['a script imports a test', 'scripts/a.mjs', "import '../test/e.ts';", 'scripts/a.mjs:1 never-imported'],
])('finds that %s', (_title, path, text, fault) => {
  const others = {
    'workers/engine/b.ts': 'export type E = 1;',
    'native-kernels/c.ts': 'export const c = 1;',
    'core/formats/d.ts': 'export const d = 1;',
    'test/e.ts': 'export const e = 1;',
  };
  expect(faultsOf({ ...others, [path]: text })).toEqual([fault]);
});

test('finds files that import each other, in a circle of three and a circle of types', () => {
  const faults = faultsOf({
    'core/a.ts': "import './b.ts';",
    'core/b.ts': "import './c.ts';",
    'core/c.ts': "import './a.ts';",
    'core/d.ts': "import type { E } from './e.ts';\nexport type D = E;",
    'core/e.ts': "import type { D } from './d.ts';\nexport type E = D;",
    'core/f.ts': "import './a.ts';",
  });
  expect(faults).toEqual(['core/a.ts:1 cycle', 'core/d.ts:1 cycle']);
});

test('lets only front doors re-export', () => {
  const faults = faultsOf({
    'core/one.ts': 'export const one = 1;',
    'core/formats/index.ts': "export * from '../one.ts';",
    'core/all.ts': "export * from './one.ts';",
    'core/two.ts': "import './formats/index.ts';\nimport './all.ts';",
  });
  expect(faults).toEqual(['core/two.ts:1 barrel', 'core/two.ts:2 barrel']);
});

test('finds a file name that is given twice, except prescribed ones and data', () => {
  const faults = faultsOf({
    'core/units.ts': '',
    'cli/units.ts': '',
    'core/README.md': '',
    'cli/README.md': '',
    'native-kernels/crates/kernels/src/a/mod.rs': '',
    'native-kernels/crates/kernels/src/b/mod.rs': '',
    'examples/models/a/config.json': '',
    'examples/models/b/config.json': '',
  });
  expect(faults).toEqual(['core/units.ts:1 unique-name']);
});

test('finds napi in the plain Rust library, but not in a comment', () => {
  const faults = faultsOf({
    'native-kernels/crates/kernels/src/lib.rs': '// napi lives elsewhere\nuse napi_derive::napi;\n',
    'native-kernels/crates/kernels/Cargo.toml': '[dependencies]\nnapi = "3"\n',
    'native-kernels/crates/node/src/binding.rs': 'use napi::Result;\n',
  });
  expect(faults).toEqual([
    'native-kernels/crates/kernels/Cargo.toml:2 plain-rust',
    'native-kernels/crates/kernels/src/lib.rs:2 plain-rust',
  ]);
});
