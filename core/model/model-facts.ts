import type { JsonObject } from './model-config.ts';
import type { FolderFile } from './model-folder.ts';

/** What is known of every model, whatever its files are. */
export interface ModelFacts {
  /** The model's folder: absolute, without links. `${root}/${path}` is the path of any of its files. */
  root: string;
  /** `file`: one weight file; `index`: an index with its shards. Then other files of the folder are not part of it. */
  openedAs: 'folder' | 'file' | 'index';
  /** Every other file of the folder tree, sorted; index and config are among them. */
  otherFiles: FolderFile[];
  /** Folders without any entry, sorted. */
  emptyFolders: string[];
  /** Path of the shard index that was followed. */
  indexFile: string | null;
  /** Of a GGUF file made from its metadata, in Hugging Face's schema. */
  config: JsonObject | null;
  /** As stored. */
  configText: string | null;
  architecture: string | null;
  tiedEmbeddings: boolean;
  /** Elements of all tensors, a tied output matrix not counted again; of a DFloat11 unit those it stands for. */
  parameters: number;
  /** What a user may want to know, in whole sentences; nothing here stops a job. */
  notes: string[];
}
