const WEIGHT = '.weight';

/**
 * Modules within modules that a name can stand for. Published names have up to 12 parts; the limit keeps names of nothing
 * but dots from standing for millions of modules.
 */
const MAX_MODULES_AROUND = 15;

/** The module whose `weight` a tensor is, or null for biases and buffers. */
export function weightModule(tensor: string): string | null {
  return tensor.endsWith(WEIGHT) ? tensor.slice(0, -WEIGHT.length) : null;
}

/** The tensors of a unit in the order of its concatenation; an empty list of paths means the module's own weight. */
export function unitTensorNames(module: string, paths: readonly string[]): string[] {
  return paths.length === 0 ? [module + WEIGHT] : paths.map((path) => `${module}.${path}${WEIGHT}`);
}

/** Every module that a tensor lies in, from the outermost on: of `a.b.weight` these are `a` and `a.b`; the first 15. */
export function modulesAround(tensor: string): string[] {
  const modules: string[] = [];
  for (let dot = tensor.indexOf('.', 1); dot > 0 && modules.length < MAX_MODULES_AROUND;) {
    modules.push(tensor.slice(0, dot));
    dot = tensor.indexOf('.', dot + 1);
  }
  return modules;
}

export function isIndex(part: string): boolean {
  return /^\d+$/.test(part);
}

/** Orders paths part by part, numbers by value and before names; paths that differ are never equal. */
export function comparePaths(a: string, b: string): number {
  const left = a.split('.');
  const right = b.split('.');
  for (const [index, part] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    if (part === other) continue;
    if (isIndex(part) !== isIndex(other)) return isIndex(part) ? -1 : 1;
    return (isIndex(part) ? compareIndices(part, other) : 0) || (part < other ? -1 : 1);
  }
  return left.length - right.length;
}

/** By value, of any number of digits; 0 for spellings of one number. */
function compareIndices(a: string, b: string): number {
  const left = a.replace(/^0+/, '');
  const right = b.replace(/^0+/, '');
  if (left.length !== right.length) return left.length - right.length;
  return left === right ? 0 : left < right ? -1 : 1;
}
