/** Divides a byte count in proportion to weights; the shares are whole and add up to it. */
export function shareBytes(totalBytes: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((all, weight) => all + weight, 0);
  let before = 0;
  let given = 0;
  return weights.map((weight) => {
    before += weight;
    const upTo = sum === 0 ? 0 : Math.round(totalBytes * (before / sum));
    const share = upTo - given;
    given = upTo;
    return share;
  });
}
