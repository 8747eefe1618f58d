import type { WebSocket } from 'ws';
import { badMessage, type Channel } from '../host/channel.ts';
import type { KernelError } from '../../core/errors.ts';

/** A page that does not read for so long is let go: what waits for it would grow for ever. */
const MAX_WAITING_BYTES = 256 << 20;

/** Close codes of WebSocket, RFC 6455, section 7.4.1. */
const NORMAL = 1000;
const NOT_THE_KIND = 1003;
const NOT_VALID = 1007;

/** A message a text frame. */
export function socketChannel(socket: WebSocket): Channel {
  return {
    send(message) {
      if (socket.readyState !== socket.OPEN) return;
      if (socket.bufferedAmount > MAX_WAITING_BYTES) socket.terminate();
      else socket.send(JSON.stringify(message));
    },
    listen(onMessage, onClose) {
      let isOpen = true;
      function end(error: KernelError | null): void {
        if (!isOpen) return;
        isOpen = false;
        onClose(error);
      }
      socket.on('message', (data: Buffer, isBinary) => {
        if (!isOpen) return;
        if (isBinary) {
          end(badMessage('A message is not text.'));
          socket.close(NOT_THE_KIND, 'not text');
          return;
        }
        let message: unknown;
        try {
          message = JSON.parse(data.toString('utf8'));
        } catch (cause) {
          end(badMessage('A message is not JSON.', cause));
          socket.close(NOT_VALID, 'not JSON');
          return;
        }
        onMessage(message);
      });
      // Of a frame that is against the rules, or too large: `ws` closes by itself.
      socket.on('error', (cause) => end(badMessage('The connection is broken.', cause)));
      socket.on('close', () => end(null));
    },
    close() {
      socket.close(NORMAL);
    },
  };
}
