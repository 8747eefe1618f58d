import { randomBytes } from 'node:crypto';

/** The program's version; the build puts it in. */
export function programVersion(): string {
  return process.env['LATHE_VERSION'] ?? '0.0.0-unbuilt';
}

/** Sorts by time, to the millisecond, and is different for runs that begin in the same one. */
export function newRunId(): string {
  const time = new Date().toISOString().replace(/[-:.Z]/g, '');
  return `${time}-${randomBytes(3).toString('hex')}`;
}
