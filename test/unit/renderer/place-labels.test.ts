import { describe, expect, it } from 'vitest';
import { boxOf, overlaps, placeLabels, type LabelRequest } from '../../../renderer/charts/place-labels.ts';

const BOUNDS = { left: 0, top: 0, right: 800, bottom: 400 };

describe('placeLabels', () => {
  it('puts a lonely label above to the right, without a leader', () => {
    const [label] = placeLabels([{ x: 100, y: 100, width: 50 }], BOUNDS);
    expect(label?.hasLeader).toBe(false);
    expect(label?.x).toBeGreaterThan(100);
    expect(label?.y).toBeLessThan(100);
  });

  it('keeps to the bounds', () => {
    const [label] = placeLabels([{ x: 795, y: 4, width: 60 }], BOUNDS);
    expect(label && label.x + 60).toBeLessThanOrEqual(800);
    expect(label?.y).toBeGreaterThanOrEqual(7);
  });

  it('lets no label cover another one or a point of another', () => {
    const requests: LabelRequest[] = Array.from({ length: 12 }, (_, index) => ({
      x: 300 + 9 * (index % 4),
      y: 200 + 7 * Math.floor(index / 4),
      width: 70,
    }));
    const labels = placeLabels(requests, BOUNDS);
    const boxes = labels.flatMap((label, index) => (label === null ? [] : [{ index, box: boxOf(label, 70) }]));
    expect(boxes.length).toBeGreaterThan(6);
    for (const { index, box } of boxes) {
      expect(boxes.some((other) => other.index !== index && overlaps(other.box, box))).toBe(false);
      for (const [point, { x, y }] of requests.entries()) {
        const mark = { left: x - 7, right: x + 7, top: y - 7, bottom: y + 7 };
        if (point !== index) expect(overlaps(mark, box)).toBe(false);
      }
    }
  });

  it('leaves a label out where nothing is free', () => {
    const crowd = Array.from({ length: 5 }, () => ({ x: 20, y: 10, width: 30 }));
    expect(placeLabels(crowd, { left: 0, top: 0, right: 60, bottom: 20 })).toContain(null);
  });
});
