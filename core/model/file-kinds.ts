/** Endings of files that are Python pickles, or nearly always are: opening one can run any program. They are never opened. */
const PICKLE_ENDINGS = ['.bin', '.pt', '.pth', '.pkl', '.pickle', '.ckpt'];

/** Ending of the folder that holds an unfinished output. */
export const PARTIAL_ENDING = '.lathe-partial';

export function isPickleName(name: string): boolean {
  const lower = name.toLowerCase();
  return PICKLE_ENDINGS.some((ending) => lower.endsWith(ending));
}

export function isSafetensorsName(name: string): boolean {
  return name.endsWith('.safetensors');
}

export function isShardIndexName(name: string): boolean {
  return name.endsWith('.safetensors.index.json');
}

export function isSplitPlaneName(name: string): boolean {
  return name.endsWith('.splane');
}

export function isGgufName(name: string): boolean {
  return name.toLowerCase().endsWith('.gguf');
}
