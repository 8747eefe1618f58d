/** Names under which a browser on this machine, or at the other end of a port forward, reaches the server. */
const LOOPBACK_NAMES = ['127.0.0.1', 'localhost'];

/** What HTTP leaves away. */
const HTTP_PORT = 80;

/**
 * Whether the Host header names this server. A page whose own name was made to lead to 127.0.0.1 (DNS rebinding) still sends
 * its own name here.
 */
export function isOwnHost(host: string | undefined, port: number): boolean {
  return host !== undefined && ownHosts(port).includes(host.toLowerCase());
}

/** Whether the Origin header is that of a page of this server, under the name that the request was made to. */
export function isOwnOrigin(origin: string | undefined, host: string | undefined, port: number): boolean {
  return origin !== undefined && isOwnHost(host, port) && origin.toLowerCase() === `http://${host?.toLowerCase()}`;
}

function ownHosts(port: number): string[] {
  return LOOPBACK_NAMES.flatMap((name) => [`${name}:${port}`, ...(port === HTTP_PORT ? [name] : [])]);
}
