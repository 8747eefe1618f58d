//! GPTQ: rounding with error feedback under the Gram matrix of a layer's inputs, onto groups of integers or GGML blocks.
//!
//! Scales are fixed first, in the matrix's own order of columns ("static groups"), so the answer is an ordinary one whatever
//! the order of rounding.

mod error_feedback;
mod gptq_stream;
#[cfg(test)]
mod gptq_tests;
mod gram_factor;
mod stored_grids;

use rayon::prelude::*;

use self::error_feedback::{BAND_ROWS, Band, BandGrid, RowBand, round_band};
pub use self::gptq_stream::{GptqAnswer, GramSource, gptq_tensor};
pub use self::gram_factor::{GramFactor, factor_gram};
use self::stored_grids::{has_zero, level_range, replace_levels, stored_grid, sub_block_elements};
use super::{BlockOptions, GroupOptions, IntegerGroups, ScaleRule, quantize_blocks, quantize_groups};
use crate::blocks::GgmlType;
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result};

const NO_BAND: Band = [[0.0; 16]; BAND_ROWS / 16];

/// What error feedback was worth.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GptqFigures {
    /// Σ over rows of eᵀHe, H as damped, of the codes that were kept.
    pub loss: f64,
    /// The same of rounding to nearest on the same scales.
    pub nearest_loss: f64,
    /// Rows where feedback lost more than rounding to nearest, whose codes were kept instead.
    pub nearest_rows: u64,
}

impl GptqFigures {
    /// Adds those of other rows.
    pub fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.nearest_loss += other.nearest_loss;
        self.nearest_rows += other.nearest_rows;
    }
}

/// Levels of a band: of each row those with feedback, or the nearest ones where these lose less.
fn better_levels(backend: Backend, factor: &GramFactor, band: &RowBand, rows: usize) -> (Vec<Band>, GptqFigures) {
    let (mut fed, nearest) = (round_band(backend, factor, band, true), round_band(backend, factor, band, false));
    let mut figures = GptqFigures::default();
    for row in 0..rows {
        let (vector, lane) = (row / 16, row % 16);
        let (loss, nearest_loss) = (fed.loss[vector][lane], nearest.loss[vector][lane]);
        figures.nearest_loss += f64::from(nearest_loss);
        figures.loss += f64::from(loss.min(nearest_loss));
        if nearest_loss < loss {
            figures.nearest_rows += 1;
            for (fed, nearest) in fed.levels.iter_mut().zip(&nearest.levels) {
                fed[vector][lane] = nearest[vector][lane];
            }
        }
    }
    (fed.levels, figures)
}

fn sum(figures: &[GptqFigures]) -> GptqFigures {
    let mut all = GptqFigures::default();
    figures.iter().for_each(|figures| all.add(figures));
    all
}

/// Rounds whole rows onto groups of integers, whose scales are those of [`quantize_groups`].
///
/// `mask` has a byte for each weight, 0 where it was pruned and must stay 0; rules without a level for 0 refuse one.
/// The same at any thread count. Progress is in bytes of f32. Memory: `threads x 64 rows x 3`, and the answer.
/// Each row keeps the nearest codes where feedback would lose more. Cost: rows · columns² multiplications and additions.
pub fn gptq_groups(
    context: &Context,
    factor: &GramFactor,
    options: &GroupOptions<'_>,
    weights: &[f32],
    mask: Option<&[u8]>,
) -> Result<(IntegerGroups, GptqFigures)> {
    check(factor, options.columns, weights, mask, options.rule != ScaleRule::FloatMinimum)?;
    let backend = Backend::best();
    let mut result = quantize_groups(backend, options, weights)?;
    let (columns, groups, size) = (result.columns, result.groups(), result.group_size);
    let last = ((1_u32 << options.bits) - 1) as f32;
    let low = if options.rule == ScaleRule::Restricted { 1.0 } else { 0.0 };
    let (scales, zeros) = (&result.scales, &result.zeros);
    let bands = result.codes.par_chunks_mut(BAND_ROWS * columns).enumerate();
    let figures: Vec<GptqFigures> = context.pool.install(|| {
        let each = bands.map(|(index, codes)| {
            context.control.check()?;
            let first_row = index * BAND_ROWS;
            let rows = codes.len() / columns;
            let mut grids = vec![BandGrid { scale: NO_BAND, offset: NO_BAND, low: NO_BAND, high: NO_BAND }; groups];
            for row in 0..rows {
                for (group, grid) in grids.iter_mut().enumerate() {
                    let place = (first_row + row) * groups + group;
                    let (vector, lane) = (row / 16, row % 16);
                    grid.scale[vector][lane] = scales[place];
                    grid.offset[vector][lane] = -scales[place] * zeros[place];
                    (grid.low[vector][lane], grid.high[vector][lane]) = (low, last);
                }
            }
            let part = first_row * columns..first_row * columns + codes.len();
            let grid_of = factor.order.iter().map(|column| *column as usize / size).collect();
            let mask = mask.map(|mask| &mask[part.clone()]);
            let band = filled_band(factor, &weights[part], mask, grids, grid_of, false);
            let (levels, figures) = better_levels(backend, factor, &band, rows);
            for (levels, column) in levels.iter().zip(&factor.order) {
                for row in 0..rows {
                    codes[row * columns + *column as usize] = levels[row / 16][row % 16] as u8;
                }
            }
            context.control.advance(4 * codes.len() as u64);
            Ok(figures)
        });
        each.collect::<Result<_>>()
    })?;
    Ok((result, sum(&figures)))
}

/// Rounds whole rows onto the grids of GGML blocks, whose scales are those of [`quantize_blocks`]; `first_weight` is the
/// first one's place in the tensor.
///
/// `mask`, progress, memory and cost as for [`gptq_groups`]; formats without a level for 0 refuse a mask.
pub fn gptq_blocks(
    context: &Context,
    factor: &GramFactor,
    options: &BlockOptions<'_>,
    first_weight: u64,
    weights: &[f32],
    mask: Option<&[u8]>,
    out: &mut [u8],
) -> Result<GptqFigures> {
    options.check_blocks()?;
    let (ggml_type, columns) = (options.ggml_type, options.columns);
    check(factor, columns, weights, mask, has_zero(ggml_type))?;
    let (elements, bytes) = (ggml_type.block_elements() as usize, ggml_type.block_bytes() as usize);
    if out.len() != weights.len() / elements * bytes {
        return Err(KernelError::bad_argument(format!("{} weights do not fill {} bytes", weights.len(), out.len())));
    }
    let (backend, size) = (Backend::best(), sub_block_elements(ggml_type));
    let is_iq4 = matches!(ggml_type, GgmlType::Iq4Nl | GgmlType::Iq4Xs);
    let (low, high) = level_range(ggml_type);
    let row_bytes = columns / elements * bytes;
    let bands = out.par_chunks_mut(BAND_ROWS * row_bytes).zip(weights.par_chunks(BAND_ROWS * columns)).enumerate();
    let figures: Vec<GptqFigures> = context.pool.install(|| {
        let each = bands.map(|(index, (blocks, weights))| {
            context.control.check()?;
            let before = index * BAND_ROWS * columns;
            quantize_blocks(backend, options, first_weight + before as u64, weights, blocks)?;
            let mut grids =
                vec![BandGrid { scale: NO_BAND, offset: NO_BAND, low: NO_BAND, high: NO_BAND }; columns / size];
            for (row, blocks) in blocks.chunks_exact(row_bytes).enumerate() {
                for (place, grid) in grids.iter_mut().enumerate() {
                    let (block, j) = (place * size / elements, place * size % elements / size);
                    let (scale, offset) = stored_grid(ggml_type, &blocks[block * bytes..][..bytes], j);
                    let (vector, lane) = (row / 16, row % 16);
                    (grid.scale[vector][lane], grid.offset[vector][lane]) = (scale, offset);
                    (grid.low[vector][lane], grid.high[vector][lane]) = (low, high);
                }
            }
            let grid_of = factor.order.iter().map(|column| *column as usize / size).collect();
            let mask = mask.map(|mask| &mask[before..before + weights.len()]);
            let band = filled_band(factor, weights, mask, grids, grid_of, is_iq4);
            let (found, figures) = better_levels(backend, factor, &band, weights.len() / columns);
            let mut levels = vec![0.0; columns];
            for (row, blocks) in blocks.chunks_exact_mut(row_bytes).enumerate() {
                for (found, column) in found.iter().zip(&factor.order) {
                    levels[*column as usize] = found[row / 16][row % 16];
                }
                for (levels, block) in levels.chunks_exact(elements).zip(blocks.chunks_exact_mut(bytes)) {
                    replace_levels(ggml_type, levels, block);
                }
            }
            context.control.advance(4 * weights.len() as u64);
            Ok(figures)
        });
        each.collect::<Result<_>>()
    })?;
    Ok(sum(&figures))
}

/// Σ over rows of eᵀHe, e = weights − found: what a layer's output is off by.
///
/// Cost: rows · columns² multiplications and additions.
pub fn layer_error(gram: &[f32], columns: usize, weights: &[f32], found: &[f32]) -> f64 {
    let rows = weights.par_chunks_exact(columns).zip(found.par_chunks_exact(columns));
    let each: Vec<f64> = rows
        .map(|(weights, found)| {
            let errors: Vec<f64> = weights.iter().zip(found).map(|(a, b)| f64::from(*a) - f64::from(*b)).collect();
            let passed = gram.chunks_exact(columns).zip(&errors).map(|(row, error)| {
                error * row.iter().zip(&errors).map(|(number, error)| f64::from(*number) * error).sum::<f64>()
            });
            passed.sum()
        })
        .collect();
    each.iter().sum()
}

fn check(factor: &GramFactor, columns: usize, weights: &[f32], mask: Option<&[u8]>, holds_zero: bool) -> Result<()> {
    if factor.order.len() != columns || !weights.len().is_multiple_of(columns.max(1)) {
        return Err(KernelError::bad_argument(format!(
            "{} weights in rows of {columns} do not go with the inputs of {} columns",
            weights.len(),
            factor.order.len()
        )));
    }
    if mask.is_some_and(|mask| mask.len() != weights.len()) {
        return Err(KernelError::bad_argument("a mask has a byte for each weight"));
    }
    if mask.is_some() && !holds_zero {
        return Err(KernelError::bad_argument("the format has no level for 0, pruned weights could not stay 0"));
    }
    Ok(())
}

/// Rows as lanes, columns in the factor's order. Lanes without a row hold zeros.
fn filled_band(
    factor: &GramFactor,
    weights: &[f32],
    mask: Option<&[u8]>,
    grids: Vec<BandGrid>,
    grid_of: Vec<usize>,
    is_iq4: bool,
) -> RowBand {
    let columns = factor.order.len();
    let mut band = RowBand { columns: vec![NO_BAND; columns], grids, grid_of, mask: Vec::new(), is_iq4 };
    for (row, weights) in weights.chunks_exact(columns).enumerate() {
        for (out, column) in band.columns.iter_mut().zip(&factor.order) {
            out[row / 16][row % 16] = weights[*column as usize];
        }
    }
    if let Some(mask) = mask {
        band.mask = vec![NO_BAND; columns];
        for (row, mask) in mask.chunks_exact(columns).enumerate() {
            for (out, column) in band.mask.iter_mut().zip(&factor.order) {
                out[row / 16][row % 16] = f32::from(u8::from(mask[*column as usize] != 0));
            }
        }
    }
    band
}
