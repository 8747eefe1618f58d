import type { Command } from 'commander';
import { invalidArgument } from './flag-values.ts';
import type { Invocation } from './invocation.ts';

const MAX_PORT = 65_535;

/** `lathe serve`. */
export function defineServeCommand(program: Command, onParsed: (invocation: Invocation) => void): void {
  program
    .command('serve')
    .description('the workbench in a browser, on this machine alone: prints an address that works once')
    .option('--port <n>', 'the port to listen at (default: any that is free)', parsePort)
    .option('--open-none', 'open no browser, as this release does in any case: only print the address')
    .action(({ port }: { port?: number }) => onParsed({ command: 'serve', port: port ?? 0 }));
}

function parsePort(text: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= MAX_PORT) return port;
  throw invalidArgument(`"${text}" is not a port for --port.`, `Write a whole number from 1 to ${MAX_PORT}.`);
}
