import type { PresetCard } from '../../core/contract/preset-cards.ts';

/** A preset as the text of the editor: where it needs a calibration text it gets one, so that it can be run as it stands. */
export function presetText(
  preset: Pick<PresetCard, 'text' | 'needsCalibration'>,
  calibrationText: string | null,
): string {
  if (!preset.needsCalibration || calibrationText === null) return preset.text;
  const calibration = `calibration: { text: [${JSON.stringify(calibrationText)}] }\n`;
  return preset.text.replace(/^steps:/m, `${calibration}steps:`);
}
