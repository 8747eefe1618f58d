import { describe, expect, it } from 'vitest';
import { toCsv } from '../../../renderer/model/csv.ts';
import { clock, percent, shellWord, significant } from '../../../renderer/model/figures.ts';
import { commandLine, defaultOutput } from '../../../renderer/model/run-plan.ts';

describe('figures', () => {
  it('has three significant digits unless more are asked for', () => {
    expect([0, 4.5, 37.8305, 0.0030246, 161.26, 16].map((value) => significant(value))).toEqual([
      '0',
      '4.50',
      '37.8',
      '0.00302',
      '161',
      '16.0',
    ]);
    expect(significant(37.8305, 4)).toBe('37.83');
    expect(significant(0.0000123)).toBe('1.23e-5');
  });

  it('writes times and fractions', () => {
    expect([0, 42.4, 3723].map(clock)).toEqual(['0:00', '0:42', '1:02:03']);
    expect(percent(0.3367)).toBe('33.7 %');
  });
});

describe('words for other programs', () => {
  it('quotes for a shell where it has to', () => {
    expect(shellWord('/a/b-1.gguf')).toBe('/a/b-1.gguf');
    expect(shellWord("it's here")).toBe("'it'\\''s here'");
    expect(commandLine('/my model', '/out', true)).toBe(
      "lathe compress '/my model' -o /out --recipe recipe.yaml --force",
    );
  });

  it('makes names that every file system takes', () => {
    const recipe = { lathe: 1 as const, name: 'a/b: "c"', steps: [], overrides: [] };
    expect(defaultOutput('/home/u/', '/models/docs llama', recipe)).toBe('/home/u/lathe-output/docs-llama/a-b-c');
  });

  it('quotes CSV fields, and defuses formulas', () => {
    expect(toCsv([['a,b', 'say "x"', 1.5, null, '=SUM(A1)']])).toBe('"a,b","say ""x""",1.5,,\'=SUM(A1)\r\n');
  });
});
