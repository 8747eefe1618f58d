import type { WriteStream } from 'node:tty';
import type { OutputStream } from './surroundings.ts';

/** What went wrong with a stream: nothing, its reader left, or the system could not take the data. */
export type StreamFault = null | 'closed' | NodeJS.ErrnoException;

/** One of the process's own streams, whose faults are kept instead of thrown. */
export interface ProcessStream extends OutputStream {
  /** Resolves once everything written so far is with the system, or never will be. */
  drain: () => Promise<StreamFault>;
}

/**
 * Wraps `process.stdout` or `process.stderr`. After a fault nothing more is written: a reader that left (`| head`) must
 * not end a job, and a full disk is told at the end.
 */
export function wrapStream(stream: WriteStream | NodeJS.WriteStream): ProcessStream {
  let fault: StreamFault = null;
  let pending = Promise.resolve();
  function onFault(error: NodeJS.ErrnoException): void {
    fault ??= error.code === 'EPIPE' ? 'closed' : error;
  }
  stream.on('error', onFault);
  return {
    isTTY: stream.isTTY,
    get columns() {
      return stream.columns;
    },
    write(text) {
      if (fault !== null) return;
      const written = new Promise<void>((resolve) => {
        stream.write(text, (error) => {
          if (error) onFault(error);
          resolve();
        });
      });
      pending = pending.then(() => written);
    },
    drain: () => pending.then(() => fault),
  };
}
