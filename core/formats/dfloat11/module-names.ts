const WEIGHT = '.weight';

/** The module whose `weight` a tensor is, or null for biases and buffers. */
export function weightModule(tensor: string): string | null {
  return tensor.endsWith(WEIGHT) ? tensor.slice(0, -WEIGHT.length) : null;
}

/** The tensors of a unit in the order of its concatenation; an empty list of paths means the module's own weight. */
export function unitTensorNames(module: string, paths: readonly string[]): string[] {
  return paths.length === 0 ? [module + WEIGHT] : paths.map((path) => `${module}.${path}${WEIGHT}`);
}

/** Every module that a tensor lies in, from the outermost on: of `a.b.weight` these are `a` and `a.b`. */
export function modulesAround(tensor: string): string[] {
  const parts = tensor.split('.');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('.'));
}

export function isIndex(part: string): boolean {
  return /^\d+$/.test(part);
}

/** Orders paths part by part, numbers by value. */
export function comparePaths(a: string, b: string): number {
  const left = a.split('.');
  const right = b.split('.');
  for (const [index, part] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    if (part === other) continue;
    if (isIndex(part) && isIndex(other)) return Number(part) - Number(other);
    return part < other ? -1 : 1;
  }
  return left.length - right.length;
}
