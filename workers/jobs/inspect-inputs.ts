import type { CalibrateResult } from '../../core/contract/calibration-result.ts';
import type { InspectedInput, InspectResult } from '../../core/contract/results.ts';

/** Adds to each matrix what its linear map is given. */
export function withInputs(result: InspectResult, calibration: CalibrateResult): InspectResult {
  const inputs = new Map<string, InspectedInput>();
  for (const { maps, rms, greatest, outlierRatio, outlierColumns } of calibration.inputs) {
    for (const map of maps) inputs.set(`${map}.weight`, { rms, greatest, outlierRatio, outlierColumns });
  }
  const { sequences, sequenceLength, seed, cachedBlocks, measuredBlocks } = calibration;
  return {
    ...result,
    tensors: result.tensors.map((tensor) => ({ ...tensor, input: inputs.get(tensor.canonicalName) ?? null })),
    calibration: { sequences, sequenceLength, seed, cachedBlocks, measuredBlocks },
    notes: [...new Set([...result.notes, ...calibration.notes])],
  };
}
