import { DTYPE_BITS, type Dtype } from './dtypes.ts';

/**
 * Elements of a shape, 1 for a 0-d one; null above 2^53 - 1. Dims of 0 do not hide the others' overflow, as in the
 * reference implementation: no program can hold the strides of such a shape.
 */
export function elementCount(shape: readonly number[]): number | null {
  let product = 1n;
  let isEmpty = false;
  for (const dim of shape) {
    if (!Number.isSafeInteger(dim) || dim < 0) return null;
    if (dim === 0) isEmpty = true;
    else product *= BigInt(dim);
    if (product > BigInt(Number.MAX_SAFE_INTEGER)) return null;
  }
  return isEmpty ? 0 : Number(product);
}

/**
 * Bytes that a tensor takes: `elements x bits / 8`.
 *
 * @returns 'overflow' above 2^53 - 1 elements or bits / 8, 'fraction' where packed elements do not fill whole bytes
 */
export function tensorSizeBytes(dtype: Dtype, shape: readonly number[]): number | 'overflow' | 'fraction' {
  const elements = elementCount(shape);
  if (elements === null) return 'overflow';
  const bits = BigInt(elements) * BigInt(DTYPE_BITS[dtype]);
  if (bits % 8n !== 0n) return 'fraction';
  const bytes = bits / 8n;
  return bytes > BigInt(Number.MAX_SAFE_INTEGER) ? 'overflow' : Number(bytes);
}
