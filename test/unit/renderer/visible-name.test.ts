import { expect, it } from 'vitest';
import { visibleName } from '../../../renderer/model/visible-name.ts';

it('writes out signs that turn text around or that nobody sees, and leaves every script alone', () => {
  expect(visibleName('safe\u202egpj.exe')).toBe('safe\u27e8U+202E\u27e9gpj.exe');
  expect(visibleName('a\u0000b\u200b\n')).toBe('a\u27e8U+0000\u27e9b\u27e8U+200B\u27e9\u27e8U+000A\u27e9');
  for (const name of ['model.layers.0.weight', '\u05e9\u05dc\u05d5\u05dd', '\u6a21\u578b', 'caf\u00e9']) {
    expect(visibleName(name)).toBe(name);
  }
});
