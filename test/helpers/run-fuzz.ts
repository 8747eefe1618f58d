import { WorkbenchError } from '../../core/errors.ts';
import { FuzzRandom } from './fuzz-random.ts';

/** A single input of some KB may take this long on a busy machine; more means that the cost is not linear. */
const MAX_INPUT_MS = 10_000;
/** Inputs are small, so the process stays small if nothing is allocated beyond a multiple of them. */
const MAX_RSS_BYTES = 2 * 1024 ** 3;
const LOOK_EVERY = 500;

/** What a fuzz target did. */
export interface FuzzReport {
  runs: number;
  /** How often each error code came out; `accepted` counts the inputs that were taken. */
  outcomes: Map<string, number>;
}

/**
 * Gives a target made-up inputs for `LATHE_FUZZ_SECONDS`, from `LATHE_FUZZ_SEED`. Only WorkbenchErrors may come out, in
 * bounded time and memory; anything else fails, with the seed, the run and the input.
 *
 * @param make an input from random choices
 * @param run takes the input, checks what must hold if it is accepted, or throws
 */
export async function runFuzz<T>(
  make: (random: FuzzRandom) => T,
  run: (input: T) => Promise<void> | void,
  show: (input: T) => string,
): Promise<FuzzReport> {
  const seconds = Number(process.env['LATHE_FUZZ_SECONDS'] ?? 1);
  const seed = Number(process.env['LATHE_FUZZ_SEED'] ?? 0);
  const outcomes = new Map<string, number>();
  const endsAt = performance.now() + 1000 * seconds;
  let runs = 0;
  for (; performance.now() < endsAt; runs++) {
    // Each run has its own generator, so that one is repeated without those before it.
    const input = make(new FuzzRandom(seed + runs));
    const startedAt = performance.now();
    const outcome = await outcomeOf(run, input).catch((error: unknown) => {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(`seed ${seed + runs}: ${text}\ninput: ${show(input)}`, { cause: error });
    });
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const tookMs = performance.now() - startedAt;
    if (tookMs > MAX_INPUT_MS) throw new Error(`seed ${seed + runs} took ${tookMs} ms\ninput: ${show(input)}`);
    if (runs % LOOK_EVERY === 0 && process.memoryUsage.rss() > MAX_RSS_BYTES) {
      throw new Error(`seed ${seed + runs}: the process has grown above ${MAX_RSS_BYTES} bytes`);
    }
  }
  const counts = [...outcomes].sort((a, b) => b[1] - a[1]).map(([code, count]) => `${code} ${count}`);
  console.log(`${runs} inputs from seed ${seed} on: ${counts.join(', ')}`);
  return { runs, outcomes };
}

async function outcomeOf<T>(run: (input: T) => Promise<void> | void, input: T): Promise<string> {
  try {
    await run(input);
    return 'accepted';
  } catch (error) {
    if (error instanceof WorkbenchError && !error.code.startsWith('BUG_')) return error.code;
    throw error;
  }
}

/** Bytes as base64, cut where they are long: enough to see, and the seed makes them again. */
export function showBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').slice(0, 8000);
}
