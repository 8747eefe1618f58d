/** What a comparison must show: each goal with what was found, so that a page and an exit code can tell. */

/** A difference that must be no larger than a limit, in absolute value. */
export function within(what, difference, limit) {
  const met = Math.abs(difference) <= limit;
  return { what, found: difference.toExponential(1), limit: `≤ ${limit}`, met };
}

/** A relative difference that must be no larger than a limit, shown in percent. */
export function withinShare(what, share, limit) {
  const met = Math.abs(share) <= limit;
  return { what, found: `${(100 * share).toFixed(4)} %`, limit: `≤ ${100 * limit} %`, met };
}

/** Two numbers that must be the same. */
export function equal(what, found, expected) {
  return { what, found: String(found), limit: String(expected), met: found === expected };
}

/** A figure that must be at least another. */
export function atLeast(what, found, least) {
  return { what, found: found.toFixed(2), limit: `≥ ${least}`, met: found >= least };
}
