import { expect, test } from 'vitest';
import { arePackagesInstalled } from '../../../scripts/setup.mjs';

const wanted = {
  packages: {
    '': { version: '0.1.0' },
    'node_modules/yaml': { version: '2.0.0', integrity: 'sha512-a' },
    'node_modules/only-on-windows': { version: '1.0.0', integrity: 'sha512-b', optional: true },
  },
};

test('takes an installation that holds every package, other platforms aside', () => {
  const installed = { packages: { 'node_modules/yaml': { version: '2.0.0', integrity: 'sha512-a' } } };
  expect(arePackagesInstalled(wanted, installed)).toBe(true);
});

test.each([
  ['a missing package', {}],
  ['another version', { 'node_modules/yaml': { version: '1.9.0', integrity: 'sha512-a' } }],
  ['other contents', { 'node_modules/yaml': { version: '2.0.0', integrity: 'sha512-z' } }],
])('refuses %s', (_title, packages) => {
  expect(arePackagesInstalled(wanted, { packages })).toBe(false);
});
