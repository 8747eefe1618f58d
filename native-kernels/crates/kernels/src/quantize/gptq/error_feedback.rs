//! Rounding 64 rows at a time, column by column, each row in a lane of its own: what a column misses moves the later ones.

use super::super::code_grid::{CodeGrid, Iq4};
use super::super::sixteen_lanes::{Lanes, Plain};
use super::gram_factor::GramFactor;
use crate::cpu::Backend;

/// Vectors of rows that share each number of the factor.
const VECTORS: usize = 4;
/// Rows worked on together.
pub const BAND_ROWS: usize = 16 * VECTORS;
/// Columns whose sums over all earlier blocks are taken at once.
const BLOCK: usize = 64;
/// Columns of a block that share each number of the rows.
const TILE: usize = 4;

/// Each of the rows' numbers for one column or group.
pub type Band = [[f32; 16]; VECTORS];

/// Grids of a column for each row: weight = scale · level + offset.
#[derive(Clone, Copy)]
pub struct BandGrid {
    /// What levels are multiplied by; 0 where only the offset can be had.
    pub scale: Band,
    /// What is added.
    pub offset: Band,
    /// The lowest level.
    pub low: Band,
    /// The highest level.
    pub high: Band,
}

/// 64 rows on their way; vectors are in the order of the factor.
pub struct RowBand {
    /// Weights.
    pub columns: Vec<Band>,
    /// Grids, and which of them each column has.
    pub grids: Vec<BandGrid>,
    /// The place in `grids` for each column.
    pub grid_of: Vec<usize>,
    /// 1 where a weight is free, 0 where it must stay 0 (grids have that level then); empty if all are free.
    pub mask: Vec<Band>,
    /// Whether levels are those of IQ4 rather than whole numbers.
    pub is_iq4: bool,
}

/// Levels of a band, and eᵀHe of each row under the damped matrix.
pub struct RoundedBand {
    /// In the order of the factor.
    pub levels: Vec<Band>,
    /// By row.
    pub loss: Band,
}

/// Rounds a band. Without `is_fed` each column is rounded to nearest for itself, and the loss alone looks at the others.
pub fn round_band(backend: Backend, factor: &GramFactor, band: &RowBand, is_fed: bool) -> RoundedBand {
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => unsafe { round_avx512(factor, band, is_fed) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Backend::Avx2 => unsafe { round_avx2(factor, band, is_fed) },
        _ => round_body::<Plain>(factor, band, is_fed),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi2")]
fn round_avx512(factor: &GramFactor, band: &RowBand, is_fed: bool) -> RoundedBand {
    round_body::<super::super::sixteen_lanes::Avx512>(factor, band, is_fed)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn round_avx2(factor: &GramFactor, band: &RowBand, is_fed: bool) -> RoundedBand {
    round_body::<super::super::sixteen_lanes::Avx2>(factor, band, is_fed)
}

#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "an index walks through several arrays at once")]
fn round_body<L: Lanes>(factor: &GramFactor, band: &RowBand, is_fed: bool) -> RoundedBand {
    let columns = band.columns.len();
    let mut rounded = RoundedBand { levels: vec![[[0.0; 16]; VECTORS]; columns], loss: [[0.0; 16]; VECTORS] };
    // e = w − ŵ of the columns that are done.
    let mut errors: Vec<Band> = vec![[[0.0; 16]; VECTORS]; columns];
    let mut moved = [[[0.0_f32; 16]; VECTORS]; BLOCK];
    for first in (0..columns).step_by(BLOCK) {
        let width = BLOCK.min(columns - first);
        for tile in (0..width).step_by(TILE) {
            let rows: [&[f32]; TILE] = std::array::from_fn(|index| {
                &factor.feedback[(first + (tile + index).min(width - 1)) * columns..][..first]
            });
            let mut sums = [[L::splat(0.0); VECTORS]; TILE];
            for (k, error) in errors[..first].iter().enumerate() {
                let error: [L; VECTORS] = std::array::from_fn(|vector| L::load(&error[vector]));
                for (row, sums) in rows.iter().zip(&mut sums) {
                    let weight = L::splat(row[k]);
                    for (sum, error) in sums.iter_mut().zip(error) {
                        *sum = sum.mul_add(weight, error);
                    }
                }
            }
            for (index, sums) in sums.iter().enumerate().take(width - tile) {
                for (sum, out) in sums.iter().zip(&mut moved[tile + index]) {
                    sum.store(out);
                }
            }
        }
        for within in 0..width {
            let column = first + within;
            let row = &factor.feedback[column * columns + first..][..within];
            for vector in 0..VECTORS {
                let mut sum = L::load(&moved[within][vector]);
                for (number, error) in row.iter().zip(&errors[first..column]) {
                    sum = sum.mul_add(L::splat(*number), L::load(&error[vector]));
                }
                let weight = L::load(&band.columns[column][vector]);
                let moved_weight = weight.add(sum);
                let mut wanted = if is_fed { moved_weight } else { weight };
                if let Some(mask) = band.mask.get(column) {
                    wanted = wanted.mul(L::load(&mask[vector]));
                }
                let grid = &band.grids[band.grid_of[column]];
                let (scale, offset) = (L::load(&grid.scale[vector]), L::load(&grid.offset[vector]));
                let steps = wanted.sub(offset).mul(scale.inverse());
                let level = if band.is_iq4 {
                    Iq4.nearest(steps)
                } else {
                    steps.max(L::load(&grid.low[vector])).min(L::load(&grid.high[vector])).round()
                };
                let found = scale.mul(level).add(offset);
                weight.sub(found).store(&mut errors[column][vector]);
                level.store(&mut rounded.levels[column][vector]);
                let missed = moved_weight.sub(found);
                let loss = L::splat(factor.pivots[column]).mul(missed.mul(missed));
                L::load(&rounded.loss[vector]).add(loss).store(&mut rounded.loss[vector]);
            }
        }
    }
    rounded
}
