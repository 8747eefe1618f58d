import { describe, expect, it } from 'vitest';
import { formatPairs, formatTable } from '../../../../cli/output/text-table.ts';

describe('tables', () => {
  it('align columns by characters and leave no spaces at the ends of lines', () => {
    const columns = [
      { title: 'name', align: 'left' },
      { title: 'bytes', align: 'right' },
      { title: 'file', align: 'left' },
    ] as const;
    const rows = [
      ['a', '1,000,000', 'x'],
      ['größer😀', '2', ''],
    ];
    expect(formatTable(columns, rows)).toEqual([
      'name         bytes  file',
      'a        1,000,000  x',
      'größer😀          2',
    ]);
  });

  it('put values below each other', () => {
    expect(
      formatPairs([
        ['A', '1'],
        ['Longer', ''],
      ]),
    ).toEqual(['A       1', 'Longer']);
  });
});
