import { DTYPE_BITS, type Dtype } from './dtypes.ts';

/**
 * Elements of a shape, 1 for a 0-d one; null above 2^53 - 1. Dims of 0 do not hide the others' overflow, as in the
 * reference implementation: no program can hold the strides of such a shape.
 */
export function elementCount(shape: readonly number[]): number | null {
  let product = 1;
  let isEmpty = false;
  for (const dim of shape) {
    if (!Number.isSafeInteger(dim) || dim < 0) return null;
    if (dim === 0) isEmpty = true;
    else product *= dim;
    // Products below 2^53 are exact, and rounding takes none that is larger below it.
    if (!Number.isSafeInteger(product)) return null;
  }
  return isEmpty ? 0 : product;
}

/**
 * Bytes that a tensor takes: `elements x bits / 8`.
 *
 * @returns 'overflow' above 2^53 - 1 elements or bits / 8, 'fraction' where packed elements do not fill whole bytes
 */
export function tensorSizeBytes(dtype: Dtype, shape: readonly number[]): number | 'overflow' | 'fraction' {
  const elements = elementCount(shape);
  if (elements === null) return 'overflow';
  const bits = DTYPE_BITS[dtype];
  // Eight elements fill whole bytes in every dtype, so the rest is all that can end inside one.
  const restBits = (elements % 8) * bits;
  if (restBits % 8 !== 0) return 'fraction';
  const bytes = Math.floor(elements / 8) * bits + restBits / 8;
  return Number.isSafeInteger(bytes) ? bytes : 'overflow';
}
