export interface Costs {
  x: number;
  y: number;
}

/** Those that no other beats in both, by x; less is better in each. Of equal ones all stay. */
export function paretoFront<Point extends Costs>(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  const front: Point[] = [];
  for (const point of sorted) {
    const best = front.at(-1);
    if (!best || point.y < best.y || (point.x === best.x && point.y === best.y)) front.push(point);
  }
  return front;
}
