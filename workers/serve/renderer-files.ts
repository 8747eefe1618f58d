import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { ResourceError } from '../../core/errors.ts';

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
};

export interface RendererFile {
  path: string;
  contentType: string;
}

/** The built renderer's files by their addresses. Whatever address is asked for, nothing but what is listed here is opened. */
export type RendererFiles = ReadonlyMap<string, RendererFile>;

/**
 * Lists the built renderer. Links and what is no file are left out.
 *
 * @throws ResourceError SERVE_RENDERER_MISSING
 */
export async function listRendererFiles(folder: string): Promise<RendererFiles> {
  const files = new Map<string, RendererFile>();
  await addFiles(folder, '/', files).catch(() => undefined);
  const index = files.get('/index.html');
  if (index === undefined) {
    throw new ResourceError({
      code: 'SERVE_RENDERER_MISSING',
      what: `The workbench's pages are not built: "${join(folder, 'index.html')}" is missing.`,
      where: { file: join(folder, 'index.html') },
      whatToDo: 'Run "npm run build".',
    });
  }
  return files.set('/', index);
}

async function addFiles(folder: string, address: string, files: Map<string, RendererFile>): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await addFiles(path, `${address}${entry.name}/`, files);
    const contentType = CONTENT_TYPES[extname(entry.name).toLowerCase()] ?? 'application/octet-stream';
    if (entry.isFile()) files.set(`${address}${entry.name}`, { path, contentType });
  }
}
