/** A draw without replacement: which windows of the calibration texts a model is shown. */

/**
 * Chooses some windows by a seed; they stay in the texts' order, so that a choice of all is the texts as they are.
 *
 * @param count how many; all where there are no more
 * @param seed 0 or more; the same seed gives the same windows on every machine
 */
export function chooseWindows<Window>(windows: readonly Window[], count: number, seed: number): Window[] {
  const places = windows.map((_, place) => place);
  const random = mulberry32(seed);
  const chosen = Math.min(count, windows.length);
  // The beginning of a Fisher-Yates shuffle.
  for (let at = 0; at < chosen; at++) {
    const from = at + Math.floor(random() * (places.length - at));
    [places[at], places[from]] = [places[from] ?? 0, places[at] ?? 0];
  }
  const kept = new Set(places.slice(0, chosen));
  return windows.filter((_, place) => kept.has(place));
}

/** Tommy Ettinger's mulberry32: numbers from 0 up to, without, 1 in steps of 2^-32. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
