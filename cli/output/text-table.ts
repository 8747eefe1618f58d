/** One column of a table for people. */
export interface Column {
  title: string;
  align: 'left' | 'right';
}

/** Characters, not bytes or UTF-16 units. */
function widthOf(text: string): number {
  return [...text].length;
}

function pad(text: string, width: number, align: Column['align']): string {
  const spaces = ' '.repeat(Math.max(0, width - widthOf(text)));
  return align === 'left' ? `${text}${spaces}` : `${spaces}${text}`;
}

/**
 * Lines of equal columns under their titles.
 *
 * @param rows cells in the order of the columns, already escaped
 */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, index) =>
    rows.reduce((width, row) => Math.max(width, widthOf(row[index] ?? '')), widthOf(title)),
  );
  const lines = [columns.map(({ title }) => title), ...rows];
  return lines.map((cells) =>
    columns
      .map(({ align }, index) => pad(cells[index] ?? '', widths[index] ?? 0, align))
      .join('  ')
      .trimEnd(),
  );
}

/** `Label   value`, the values below each other. */
export function formatPairs(pairs: readonly (readonly [label: string, value: string])[]): string[] {
  const width = pairs.reduce((widest, [label]) => Math.max(widest, widthOf(label)), 0);
  return pairs.map(([label, value]) => `${pad(label, width, 'left')}  ${value}`.trimEnd());
}
