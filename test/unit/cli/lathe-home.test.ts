import { describe, expect, it } from 'vitest';
import { latheHome } from '../../../cli/lathe-home.ts';

describe('the folder of runs and settings', () => {
  it.each([
    ['linux', { LATHE_HOME: '/a' }, '/a'],
    ['linux', { LATHE_HOME: 'a/b' }, '/here/a/b'],
    ['linux', { LATHE_HOME: '' }, '/home/user/.local/state/lathe'],
    ['linux', { XDG_STATE_HOME: '/state' }, '/state/lathe'],
    ['linux', { XDG_STATE_HOME: 'state' }, '/home/user/.local/state/lathe'],
    ['linux', {}, '/home/user/.local/state/lathe'],
    ['darwin', { XDG_STATE_HOME: '/state' }, '/home/user/Library/Application Support/Lathe'],
  ] as const)('on %s with %j is %s', (platform, env, expected) => {
    expect(latheHome({ platform, env, homeFolder: '/home/user', workingFolder: '/here' })).toBe(expected);
  });

  it('on Windows is in the local application data', () => {
    const machine = { platform: 'win32', homeFolder: 'C:\\Users\\u', workingFolder: 'C:\\here' } as const;
    expect(latheHome({ ...machine, env: { LOCALAPPDATA: 'D:\\Data' } })).toBe('D:\\Data\\Lathe');
    expect(latheHome({ ...machine, env: {} })).toBe('C:\\Users\\u\\AppData\\Local\\Lathe');
  });
});
