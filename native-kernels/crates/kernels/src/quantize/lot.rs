//! Sixteen sub-blocks side by side: lane `l` of vector `i` is weight `i` of sub-block `l`.
//!
//! So every sub-block is searched by its own lane, and no sum ever crosses lanes.

/// What a search works on. Weights are divided by a power of two per super-block, so that squares neither overflow nor
/// vanish; that division is exact, or drops what is 2^-23 and less of the largest weight.
#[repr(align(64))]
pub struct Lot<const N: usize> {
    /// Weights in units of `unit`: below 2 in magnitude.
    pub weights: [[f32; 16]; N],
    /// What an error's square is multiplied by: above 0, at most 1 but for the emphasis.
    pub importance: [[f32; 16]; N],
    /// The power of two per lane; the same in the lanes of a super-block.
    pub unit: [f32; 16],
}

/// What a search minimises, beside the caller's importance of each column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Emphasis {
    /// The sum of importance x error².
    None,
    /// Large weights count for more: importance x √(σ² + w²) x error², as llama.cpp's quantizer has it, where σ² is
    /// that many times the mean square of the super-block's weights.
    Magnitude {
        /// The multiple.
        spread: f32,
    },
}

impl<const N: usize> Lot<N> {
    /// Nothing: zeros of importance 1.
    pub fn empty() -> Box<Self> {
        Box::new(Self { weights: [[0.0; 16]; N], importance: [[1.0; 16]; N], unit: [1.0; 16] })
    }

    /// Fills the lanes from up to 16 sub-blocks that lie one after the other, `group` of them to a super-block. Lanes without
    /// a sub-block hold zeros. `importance` is a row's; the weights begin at its column `first_column`, and rows follow each
    /// other. An importance of nothing but zeros counts as none.
    pub fn fill(
        &mut self,
        weights: &[f32],
        importance: Option<&[f32]>,
        first_column: usize,
        group: usize,
        emphasis: Emphasis,
    ) {
        debug_assert!(weights.len() <= 16 * N && weights.len().is_multiple_of(N * group));
        if weights.len() < 16 * N {
            self.weights = [[0.0; 16]; N];
            self.importance = [[1.0; 16]; N];
            self.unit = [1.0; 16];
        }
        let size = N * group;
        for (index, weights) in weights.chunks_exact(size).enumerate() {
            let unit = unit_of(weights);
            let inverse = 1.0 / unit;
            let importance = importance.map(|row| &row[(first_column + index * size) % row.len()..][..size]);
            let scale = importance.map_or(0.0, |importance| importance.iter().copied().fold(0.0, f32::max));
            let spread = match emphasis {
                Emphasis::None => None,
                Emphasis::Magnitude { spread } => Some(spread * mean_square(weights, inverse)),
            };
            for lane in 0..group {
                let place = index * group + lane;
                self.unit[place] = unit;
                for i in 0..N {
                    self.weights[i][place] = weights[lane * N + i] * inverse;
                }
                match importance {
                    // The least importance keeps codes sensible where nothing depends on them.
                    Some(importance) if scale > 0.0 => {
                        for i in 0..N {
                            self.importance[i][place] = (importance[lane * N + i] / scale).max(LEAST_IMPORTANCE);
                        }
                    }
                    _ => {
                        for i in 0..N {
                            self.importance[i][place] = 1.0;
                        }
                    }
                }
                if let Some(spread) = spread {
                    for i in 0..N {
                        let weight = self.weights[i][place];
                        self.importance[i][place] *= (spread + weight * weight).sqrt();
                    }
                }
            }
        }
    }
}

/// Beside an importance of 1: too little to matter.
const LEAST_IMPORTANCE: f32 = 1.0 / (1 << 20) as f32;

/// The power of two at or below the largest magnitude; 1 for zeros.
fn unit_of(weights: &[f32]) -> f32 {
    let largest = weights.iter().fold(0.0_f32, |largest, weight| {
        let magnitude = weight.abs();
        if magnitude > largest { magnitude } else { largest }
    });
    let power = f32::from_bits(largest.to_bits() & 0x7f80_0000);
    if largest == 0.0 { 1.0 } else { power.max(f32::MIN_POSITIVE) }
}

/// In units; summed in 16 fixed lanes.
fn mean_square(weights: &[f32], inverse: f32) -> f32 {
    let mut sums = [0.0_f32; 16];
    for row in weights.as_chunks::<16>().0 {
        for lane in 0..16 {
            let weight = row[lane] * inverse;
            sums[lane] += weight * weight;
        }
    }
    sums.iter().sum::<f32>() / weights.len() as f32
}
