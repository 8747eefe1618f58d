import { expect, test } from 'vitest';
import { DTYPE_BITS, type Dtype } from '../../../../../core/formats/safetensors/dtypes.ts';
import { PLANE_KINDS, planeSplitOf } from '../../../../../core/formats/split-plane/plane-splits.ts';

test('floats are cut into as many planes as they have bytes, everything else is one plane', () => {
  expect(planeSplitOf('BF16')).toBe('bf16');
  expect(planeSplitOf('F16')).toBe('f16');
  expect(planeSplitOf('F32')).toBe('f32');
  for (const dtype of [...(Object.keys(DTYPE_BITS) as Dtype[]), 'RAW' as const]) {
    const split = planeSplitOf(dtype);
    const planes = PLANE_KINDS[split].length;
    expect(planes, dtype).toBe(split === 'bytes' || dtype === 'RAW' ? 1 : DTYPE_BITS[dtype] / 8);
  }
});
