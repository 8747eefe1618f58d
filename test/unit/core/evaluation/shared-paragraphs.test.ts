import { describe, expect, test } from 'vitest';
import { OVERLAP_FRACTION, paragraphsOf, sharedParagraphs } from '../../../../core/evaluation/shared-paragraphs.ts';

/** A paragraph of about so many characters that no other number has. */
function paragraph(number: number, characters = 100): string {
  return (
    `Paragraph ${number} of this text. ${'It goes on and on. '.repeat(characters / 19)}`.slice(0, characters - 1) + '.'
  );
}

function text(...numbers: number[]): string {
  return numbers.map((number) => paragraph(number)).join('\n\n');
}

function compare(evaluated: string, other: string) {
  return sharedParagraphs(paragraphsOf(evaluated), paragraphsOf(other));
}

describe('paragraphs', () => {
  test('that two texts share are counted, with their part of the evaluated text', () => {
    expect(compare(text(1, 2, 3, 4), text(9, 3, 8))).toEqual({ shared: 1, fraction: 0.25, overlap: true });
    expect(compare(text(1, 2), text(3, 4))).toEqual({ shared: 0, fraction: 0, overlap: false });
    expect(compare(text(5, 6), text(5, 6))).toEqual({ shared: 2, fraction: 1, overlap: true });
  });

  test('that are repeated count once', () => {
    expect(compare(text(1, 1, 1, 2), text(1))).toMatchObject({ shared: 1, fraction: 0.5 });
  });

  test('are the same however their lines are broken', () => {
    const broken = text(1, 2).replaceAll('. ', '.\n').replaceAll('\n\n', '\r\n \t\r\n');
    expect(compare(text(1, 2), broken)).toMatchObject({ shared: 2, fraction: 1 });
  });

  test('that are short say nothing, and a text without long ones shares nothing', () => {
    expect(compare('Introduction\n\nSee also', 'Introduction\n\nSee also')).toEqual({
      shared: 0,
      fraction: 0,
      overlap: false,
    });
    expect(compare('', '')).toMatchObject({ overlap: false });
  });

  test('of less than a hundredth of the text are no overlap, of a hundredth they are', () => {
    const numbers = Array.from({ length: 1 / OVERLAP_FRACTION }, (_, index) => index);
    expect(compare(text(...numbers, 100), text(0))).toMatchObject({ shared: 1, overlap: false });
    expect(compare(text(...numbers), text(0))).toMatchObject({ shared: 1, overlap: true });
  });

  test('that differ in one letter, or in the order of their words, are different', () => {
    expect(compare(text(1), text(1).replace('goes', 'does'))).toMatchObject({ shared: 0 });
    expect(compare(text(1), text(1).replace('Paragraph 1', '1 Paragraph'))).toMatchObject({ shared: 0 });
    const hashes = new Set(
      Array.from({ length: 20_000 }, (_, number) => [...paragraphsOf(paragraph(number)).keys()][0]),
    );
    expect(hashes.size).toBe(20_000);
  });
});
