/** The result document of `lathe calibrate`. */

/** Some ten thousand tokens, as users of GPTQ and of importance matrices take. */
export const CALIBRATION_DEFAULTS = { sequences: 64, sequenceLength: 256, seed: 0 } as const;

/** What was measured of an input that some linear maps of a block share. */
export interface CalibratedInput {
  block: number;
  /** The modules' names. */
  maps: string[];
  columns: number;
  /** Of all its numbers: root mean square, and the greatest magnitude. */
  rms: number;
  greatest: number;
  /** The greatest root mean square of a column over the median one: outlying columns are what makes 8 and 4 bits hard. */
  outlierRatio: number;
  /** Columns whose root mean square is 6 times the median one, or more. */
  outlierColumns: number;
  hasGram: boolean;
  /** Whether it was found in the cache, and not measured by this run. */
  cached: boolean;
}

export interface CalibratedText {
  text: string;
  tokens: number;
  /** Whole windows, of which some were chosen. */
  windows: number;
  sizeBytes: number;
}

export interface CalibrateResult {
  schema: 1;
  model: string;
  texts: CalibratedText[];
  /** Windows that the model was shown, and the tokens of each. */
  sequences: number;
  sequenceLength: number;
  seed: number;
  tokens: number;
  /** In the blocks' order. */
  inputs: CalibratedInput[];
  /** Blocks that this run measured, and blocks that it found in the cache. */
  measuredBlocks: number;
  cachedBlocks: number;
  seconds: number;
  cpuSeconds: number;
  peakRssBytes: number;
  memory: { limitBytes: number; peakMemoryBytes: number };
  notes: string[];
}

/** The result document of `lathe cache show`. */
export interface CacheShowResult {
  schema: 1;
  /** Absolute. */
  folder: string;
  entries: number;
  bytes: number;
  /** Above it the entries that were not used for longest go. */
  limitBytes: number;
  kinds: { kind: string; entries: number; bytes: number }[];
}

/** The result document of `lathe cache clear`. */
export interface CacheClearResult {
  schema: 1;
  folder: string;
  /** Removed; with --dry-run those that would be. */
  entries: number;
  bytes: number;
  dryRun: boolean;
}
