/** Neighbours together until a group has `limitBytes`, in order; an item of that size or more ends its group. */
export function groupBySize<T>(items: readonly T[], sizeOf: (item: T) => number, limitBytes: number): T[][] {
  const groups: T[][] = [];
  let size = Infinity;
  for (const item of items) {
    const group = groups[groups.length - 1];
    if (!group || size >= limitBytes) {
      groups.push([item]);
      size = 0;
    } else {
      group.push(item);
    }
    size += sizeOf(item);
  }
  return groups;
}
