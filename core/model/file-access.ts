/** What a path leads to, links followed. */
export interface FileFacts {
  kind: 'file' | 'folder' | 'other';
  sizeBytes: number;
}

export interface FolderEntry {
  name: string;
  /** Of the entry itself: links are not followed. `other`: pipes, sockets, devices. */
  kind: 'file' | 'folder' | 'link' | 'other';
}

/**
 * How core reads files. The engine gives it the disk, tests a map. Paths are joined with `/`, which all systems take.
 *
 * Calls reject with ResourceError FILE_PERMISSION_DENIED or FILE_IO.
 */
export interface FileAccess {
  /** Null where nothing is, or where a link leads to nothing. Never opens what it looks at. */
  stat(path: string): Promise<FileFacts | null>;
  /** One folder, not its subfolders; in any order. */
  list(folder: string): Promise<FolderEntry[]>;
  /** Exactly `sizeBytes` bytes; rejects with FormatError FORMAT_FILE_CUT_SHORT if the file ends before. */
  read(path: string, offsetBytes: number, sizeBytes: number): Promise<Uint8Array>;
  /** Absolute, without links; the path exists. */
  realPath(path: string): Promise<string>;
}
