import type { Readable, Writable } from 'node:stream';
import { KernelError } from '../../core/errors.ts';

/** A road for messages in both directions; what arrives is not trusted. */
export interface Channel {
  send(message: object): void;
  /** To be called once, before anything is sent. */
  listen(onMessage: (message: unknown) => void, onClose: (error: KernelError | null) => void): void;
  close(): void;
}

/** Headers of huge models are not sent; a recipe or a result of 100,000 tensors is far below. */
const MAX_MESSAGE_CHARACTERS = 256 << 20;

/** Either end of Node's own road between a process and one that it has forked. */
export interface MessageEnd {
  send?(message: object): unknown;
  connected?: boolean | undefined;
  disconnect?: (() => void) | undefined;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'disconnect', listener: () => void): unknown;
}

export function processChannel(end: MessageEnd): Channel {
  return {
    send(message) {
      if (end.connected === true) end.send?.(message);
    },
    listen(onMessage, onClose) {
      end.on('message', onMessage);
      end.on('disconnect', () => onClose(null));
    },
    close() {
      if (end.connected === true) end.disconnect?.();
    },
  };
}

/** A message a line, over a socket or a pair of pipes. */
export function lineChannel(input: Readable, output: Writable): Channel {
  return {
    send(message) {
      if (output.writable) output.write(`${JSON.stringify(message)}\n`);
    },
    listen(onMessage, onClose) {
      let rest = '';
      let isOpen = true;
      function end(error: KernelError | null): void {
        if (!isOpen) return;
        isOpen = false;
        onClose(error);
      }
      function read(line: string): void {
        if (line.trim() === '') return;
        let message: unknown;
        try {
          message = JSON.parse(line);
        } catch (cause) {
          end(badMessage('A message is not JSON.', cause));
          return;
        }
        onMessage(message);
      }
      input.setEncoding('utf8');
      input.on('data', (text: string) => {
        if (!isOpen) return;
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) read(line);
        if (rest.length > MAX_MESSAGE_CHARACTERS) {
          rest = '';
          end(badMessage(`A message has more than ${MAX_MESSAGE_CHARACTERS} characters.`));
        }
      });
      input.on('end', () => end(null));
      input.on('close', () => end(null));
      // What a broken pipe says is said by the end of the input too.
      input.on('error', () => end(null));
      output.on('error', () => end(null));
    },
    close() {
      output.end();
    },
  };
}

export function badMessage(what: string, cause?: unknown): KernelError {
  return new KernelError({
    code: 'ENGINE_PROTOCOL',
    what,
    whatToDo: 'Use a window and an engine of the same version.',
    cause,
  });
}
