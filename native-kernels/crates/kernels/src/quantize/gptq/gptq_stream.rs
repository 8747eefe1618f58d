//! A tensor and a Gram matrix in files to blocks in a file, with error feedback.

use super::super::quantize_stream::zeroed_floats;
use super::super::weight_source::{OpenWeights, WeightSource};
use super::super::{BlockOptions, QuantizeFigures};
use super::error_feedback::BAND_ROWS;
use super::{GptqFigures, factor_gram, gptq_blocks};
use crate::blocks::dequantize;
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result};
use crate::files::{ByteRange, Source, Target, zeroed};

/// Rows read at a time: bands enough for several threads. Fixed, so that sums are the same at any thread count.
const PIECE_ROWS: u64 = 8 * BAND_ROWS as u64;

/// The inputs of a layer, as they weigh its columns' errors.
#[derive(Debug, Clone)]
pub struct GramSource {
    /// f32 [columns, columns], symmetric, little-endian.
    pub range: ByteRange,
    /// Added to the diagonal as a multiple of its mean, 0 to 1; raised where that does not do.
    pub damping: f64,
    /// Whether columns of greatest diagonal are rounded first.
    pub is_ordered: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GptqAnswer {
    /// Errors of weights.
    pub figures: QuantizeFigures,
    /// Errors of the layer.
    pub feedback: GptqFigures,
    /// The damping that did.
    pub damping: f64,
    /// Columns that no input reached.
    pub dead_columns: u64,
}

/// Rounds a tensor onto GGML's block formats with error feedback; see [`gptq_blocks`] and [`factor_gram`].
///
/// Rows may be in another order than stored; columns are those of the Gram matrix. Progress: four bytes a weight.
/// Memory: 16 bytes for each number of the Gram matrix while it is factored, 4 after that, and 512 rows.
pub fn gptq_tensor(
    context: &Context,
    source: &WeightSource,
    gram: &GramSource,
    options: &BlockOptions<'_>,
    target: &Target,
) -> Result<GptqAnswer> {
    options.check_blocks()?;
    let (elements, bytes) = (options.ggml_type.block_elements(), options.ggml_type.block_bytes());
    let (open, columns, backend) = (OpenWeights::open(source)?, options.columns as u64, Backend::best());
    let stored_gram = Source::open(std::slice::from_ref(&gram.range))?;
    let wanted = (open.weights() / elements * bytes, columns * columns * 4);
    if open.columns() != columns || (target.bytes(), stored_gram.bytes()) != wanted {
        return Err(KernelError::bad_argument(format!(
            "{} rows of {} weights need {} bytes of blocks and {} of a Gram matrix, {} and {} were given",
            open.rows(),
            open.columns(),
            wanted.0,
            wanted.1,
            target.bytes(),
            stored_gram.bytes()
        )));
    }
    let factor = {
        let mut stored = zeroed(wanted.1 as usize)?;
        stored_gram.read(0, &mut stored)?;
        let numbers: Vec<f32> = stored.as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
        drop(stored);
        factor_gram(context, &numbers, options.columns, gram.damping, gram.is_ordered)?
    };
    let (mut figures, mut feedback) = (QuantizeFigures::default(), GptqFigures::default());
    for first_row in (0..open.rows()).step_by(PIECE_ROWS as usize) {
        let rows = PIECE_ROWS.min(open.rows() - first_row);
        let (start, count) = (first_row * columns, rows * columns);
        let mut weights = zeroed_floats(count as usize)?;
        open.read(backend, start, &mut weights)?;
        let mut blocks = zeroed((count / elements * bytes) as usize)?;
        feedback.add(&gptq_blocks(context, &factor, options, start, &weights, None, &mut blocks)?);
        let mut decoded = zeroed_floats(count as usize)?;
        dequantize(backend, options.ggml_type, &blocks, &mut decoded);
        figures.add(&QuantizeFigures::of(backend, &weights, &decoded, options.importance, 0));
        target.put(start / elements * bytes, &blocks)?;
    }
    Ok(GptqAnswer { figures, feedback, damping: factor.damping, dead_columns: factor.dead_columns as u64 })
}
