/** Labels beside points, so that none covers another label or a point. */
export interface LabelRequest {
  /** Of the point, in pixels. */
  x: number;
  y: number;
  width: number;
}

export interface PlacedLabel {
  /** Left end of the text, and its middle line. */
  x: number;
  y: number;
  /** Whether a line is needed to tell whose label it is. */
  hasLeader: boolean;
}

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const HEIGHT = 14;
const POINT_RADIUS = 7;
const GAP = 10;
/** Rings around the point, in pixels; the first needs no leader. */
const DISTANCES = [0, 14, 28, 44, 64, 88];

/**
 * In the order of the requests: the first ones get the better places. Null where nothing within `bounds` is free.
 *
 * @param obstacles what else no label may cover, such as the pieces of a line
 */
export function placeLabels(
  requests: readonly LabelRequest[],
  bounds: Box,
  obstacles: readonly Box[] = [],
): (PlacedLabel | null)[] {
  const points = requests.map(({ x, y }) => around(x, y, POINT_RADIUS));
  const taken: Box[] = [];
  return requests.map(({ x, y, width }, index) => {
    for (const distance of DISTANCES) {
      for (const [dx, dy] of directions(distance, width)) {
        const label = { x: x + dx, y: y + dy, hasLeader: distance > 0 };
        const box = boxOf(label, width);
        const isFree =
          isWithin(box, bounds) &&
          !taken.some((other) => overlaps(box, other)) &&
          !obstacles.some((other) => overlaps(box, other)) &&
          !points.some((point, other) => other !== index && overlaps(box, point));
        if (!isFree) continue;
        taken.push(box);
        return label;
      }
    }
    return null;
  });
}

function directions(distance: number, width: number): [number, number][] {
  const right = GAP + distance * 0.6;
  const left = -GAP - width - distance * 0.6;
  const up = -GAP - 4 - distance;
  const down = GAP + 4 + distance;
  if (distance === 0) {
    // Above to the right first: the frontier leaves a point to the right and comes from above.
    return [
      [right - 2, up + 3],
      [left + 2, down - 3],
      [right, 0],
      [left, 0],
      [-width / 2, up],
      [-width / 2, down],
    ];
  }
  return [
    [right, up],
    [right, down],
    [left, up],
    [left, down],
    [-width / 2, up],
    [-width / 2, down],
  ];
}

export function boxOf({ x, y }: { x: number; y: number }, width: number): Box {
  return { left: x, right: x + width, top: y - HEIGHT / 2, bottom: y + HEIGHT / 2 };
}

function around(x: number, y: number, radius: number): Box {
  return { left: x - radius, right: x + radius, top: y - radius, bottom: y + radius };
}

export function overlaps(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

function isWithin(box: Box, bounds: Box): boolean {
  return box.left >= bounds.left && box.right <= bounds.right && box.top >= bounds.top && box.bottom <= bounds.bottom;
}
