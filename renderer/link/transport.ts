/** How messages travel between this window and its engine: a socket in a browser, a port in a desktop window. */
export interface Transport {
  /** A plain value; only while it is open. */
  send(message: unknown): void;
  close(): void;
}

export interface TransportListener {
  onOpen: () => void;
  onMessage: (message: unknown) => void;
  /** Called once, also where it never opened. */
  onClose: () => void;
}

export type OpenTransport = (listener: TransportListener) => Transport;
