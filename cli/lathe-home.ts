import { posix, win32 } from 'node:path';
import type { Surroundings } from './surroundings.ts';

/**
 * The folder of runs and settings: `LATHE_HOME`, or the system's usual place.
 *
 * Source: XDG Base Directory Specification 0.8 (state; a relative path in its variable is to be ignored).
 */
export function latheHome(
  surroundings: Pick<Surroundings, 'env' | 'platform' | 'homeFolder' | 'workingFolder'>,
): string {
  const { env, platform, homeFolder, workingFolder } = surroundings;
  const path = platform === 'win32' ? win32 : posix;
  const given = env['LATHE_HOME'];
  if (given !== undefined && given !== '') return path.resolve(workingFolder, given);
  switch (platform) {
    case 'win32':
      return path.join(env['LOCALAPPDATA'] || path.join(homeFolder, 'AppData', 'Local'), 'Lathe');
    case 'darwin':
      return path.join(homeFolder, 'Library', 'Application Support', 'Lathe');
    default: {
      const state = env['XDG_STATE_HOME'];
      const isUsable = state !== undefined && path.isAbsolute(state);
      return path.join(isUsable ? state : path.join(homeFolder, '.local', 'state'), 'lathe');
    }
  }
}
