import type { OpenTransport } from './transport.ts';

/** The engine behind the server that this page came from; its cookie tells who we are. */
export function socketTransport(path: string): OpenTransport {
  return ({ onOpen, onMessage, onClose }) => {
    const url = new URL(path, window.location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url);
    socket.addEventListener('open', onOpen);
    socket.addEventListener('close', onClose);
    socket.addEventListener('message', ({ data }) => {
      if (typeof data === 'string') onMessage(JSON.parse(data));
    });
    return {
      send: (message) => socket.send(JSON.stringify(message)),
      close: () => socket.close(),
    };
  };
}
