import type { PlaneKind, PlaneSplit } from '../../kernels/kernels.ts';
import type { Dtype } from '../safetensors/dtypes.ts';

/** `RAW`: the data of a whole source file that is not cut into tensors. */
export type SplitPlaneDtype = Dtype | 'RAW';

/** The planes of an element, in the order in which they are stored. Source: split-plane v1, "Kinds". */
export const PLANE_KINDS: Record<PlaneSplit, readonly PlaneKind[]> = {
  bf16: ['exp', 'sm'],
  f16: ['hi', 'lo'],
  f32: ['exp', 'sm2', 'm1', 'm0'],
  bytes: ['bytes'],
};

/** How the elements of a dtype are cut into byte planes; each plane has `bytes / PLANE_KINDS[split].length` elements. */
export function planeSplitOf(dtype: SplitPlaneDtype): PlaneSplit {
  switch (dtype) {
    case 'BF16':
      return 'bf16';
    case 'F16':
      return 'f16';
    case 'F32':
      return 'f32';
    default:
      return 'bytes';
  }
}
