/** Which rows of a long table are worth mounting. */
export interface RowWindow {
  first: number;
  /** Exclusive. */
  last: number;
}

/** Rows beyond each edge, so that fast scrolling shows rows and not paper. */
const SPARE_ROWS = 12;
export const MAX_MOUNTED_ROWS = 100;

export function visibleRows(rows: number, rowPixels: number, scrollTop: number, viewPixels: number): RowWindow {
  const top = Math.max(0, Math.floor(scrollTop / rowPixels));
  const seen = Math.min(Math.ceil(viewPixels / rowPixels) + 1, MAX_MOUNTED_ROWS - 2 * SPARE_ROWS);
  const first = Math.max(0, Math.min(top - SPARE_ROWS, rows - seen));
  return { first, last: Math.min(rows, Math.max(top, first) + seen + SPARE_ROWS) };
}

/** Where to scroll so that a row is seen; where it stands if it is seen already. */
export function scrollToRow(row: number, rowPixels: number, scrollTop: number, viewPixels: number): number {
  const top = row * rowPixels;
  if (top < scrollTop) return top;
  if (top + rowPixels > scrollTop + viewPixels) return top + rowPixels - viewPixels;
  return scrollTop;
}
