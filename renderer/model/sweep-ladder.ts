/** From lossless to where it hurts: enough presets to see the whole curve. */
export const LADDER: readonly string[] = ['lossless-split-plane', 'q8_0', 'q5_k_m', 'q4_k_m', 'q3_k_m', 'dp-4.5'];
