import { FormatError } from '../../core/errors.ts';
import type { FileAccess, FolderEntry } from '../../core/model/file-access.ts';

/** A file's bytes or text, or something else that a path may lead to. */
export type MemoryNode = Uint8Array | string | { linkTo: string } | { kind: 'pipe' | 'empty folder' };

/** A `FileAccess` over a map from absolute paths to nodes; `reads` lists every path whose bytes were asked for. */
export class MemoryFiles implements FileAccess {
  readonly reads: string[] = [];
  readonly #nodes: Map<string, MemoryNode>;

  constructor(nodes: Record<string, MemoryNode>) {
    this.#nodes = new Map(Object.entries(nodes));
  }

  stat(path: string) {
    const target = this.#follow(path);
    const content = contentOf(this.#nodes.get(target));
    if (content) return Promise.resolve({ kind: 'file' as const, sizeBytes: content.length });
    const node = this.#nodes.get(target);
    if (isSpecial(node) && node.kind === 'pipe') return Promise.resolve({ kind: 'other' as const, sizeBytes: 0 });
    const isFolder = node !== undefined || [...this.#nodes.keys()].some((other) => other.startsWith(`${target}/`));
    return Promise.resolve(isFolder ? { kind: 'folder' as const, sizeBytes: 0 } : null);
  }

  list(folder: string) {
    const prefix = `${folder}/`;
    const entries = new Map<string, FolderEntry>();
    for (const [path, node] of this.#nodes) {
      if (!path.startsWith(prefix)) continue;
      const [name, ...rest] = path.slice(prefix.length).split('/') as [string, ...string[]];
      entries.set(name, { name, kind: rest.length > 0 ? 'folder' : kindOf(node) });
    }
    return Promise.resolve([...entries.values()]);
  }

  read(path: string, offsetBytes: number, sizeBytes: number) {
    this.reads.push(path);
    const content = contentOf(this.#nodes.get(this.#follow(path))) ?? new Uint8Array(0);
    if (offsetBytes + sizeBytes > content.length) {
      const parts = { what: `"${path}" is cut short.`, whatToDo: 'Copy it again.' };
      return Promise.reject(new FormatError({ code: 'FORMAT_FILE_CUT_SHORT', ...parts }));
    }
    return Promise.resolve(content.slice(offsetBytes, offsetBytes + sizeBytes));
  }

  realPath(path: string) {
    return Promise.resolve(this.#follow(path));
  }

  #follow(path: string): string {
    const node = this.#nodes.get(path);
    return typeof node === 'object' && 'linkTo' in node ? this.#follow(node.linkTo) : path;
  }
}

function isSpecial(node: MemoryNode | undefined): node is { kind: 'pipe' | 'empty folder' } {
  return typeof node === 'object' && 'kind' in node;
}

function kindOf(node: MemoryNode): FolderEntry['kind'] {
  if (contentOf(node)) return 'file';
  if (isSpecial(node)) return node.kind === 'pipe' ? 'other' : 'folder';
  return 'link';
}

function contentOf(node: MemoryNode | undefined): Uint8Array | null {
  if (typeof node === 'string') return new TextEncoder().encode(node);
  return node instanceof Uint8Array ? node : null;
}
