//! A tensor in files to blocks in a file, piece by piece.

use super::quantize_blocks::{BlockOptions, quantize_blocks};
use super::quantize_figures::QuantizeFigures;
use super::weight_source::{OpenWeights, WeightSource};
use crate::blocks::dequantize;
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result, Status};
use crate::files::Target;
use crate::pipeline::ordered;
use crate::spare::Spare;

/// Weights worked on at a time: their floats stay in a second-level cache. A multiple of every block.
const PIECE_WEIGHTS: u64 = 128 << 10;

/// Quantizes a tensor's rows into blocks, and says what that cost; every block is decoded again for it.
///
/// `target` is as long as the blocks. Bytes and figures are the same at any thread count and on every processor.
/// Fails as [`quantize_blocks`] does; places are counted in the order of the answer. Progress is in the source's bytes.
/// Memory: `threads x 3 x 0.6 MiB`, and `threads x 1.5 MiB` while pieces are worked on.
pub fn quantize_tensor(
    context: &Context,
    source: &WeightSource,
    options: &BlockOptions<'_>,
    target: &Target,
) -> Result<QuantizeFigures> {
    options.check()?;
    let (elements, bytes) = (options.ggml_type.block_elements(), options.ggml_type.block_bytes());
    let open = OpenWeights::open(source)?;
    let wanted = open.weights() / elements * bytes;
    if open.columns() != options.columns as u64 || target.bytes() != wanted {
        return Err(KernelError::bad_argument(format!(
            "{} rows of {} weights are {wanted} bytes of {} in rows of {}, but the target has {}",
            open.rows(),
            open.columns(),
            options.ggml_type.name(),
            options.columns,
            target.bytes()
        )));
    }
    let backend = Backend::best();
    let (floats, bytes_of_blocks) = (Spare::new(), Spare::new());
    let mut figures = QuantizeFigures::default();
    ordered(
        context,
        open.weights().div_ceil(PIECE_WEIGHTS),
        |index| {
            let start = index * PIECE_WEIGHTS;
            let count = PIECE_WEIGHTS.min(open.weights() - start);
            let mut weights = floats.take(count as usize)?;
            open.read(backend, start, &mut weights)?;
            let mut blocks = bytes_of_blocks.take((count / elements * bytes) as usize)?;
            quantize_blocks(backend, options, start, &weights, &mut blocks)?;
            let mut decoded = floats.take(count as usize)?;
            dequantize(backend, options.ggml_type, &blocks, &mut decoded);
            let column = (start % open.columns()) as usize;
            let partial = QuantizeFigures::of(backend, &weights, &decoded, options.importance, column);
            target.put(start / elements * bytes, &blocks)?;
            context.control.advance(open.stored_bytes(count));
            Ok(partial)
        },
        |_, partial| {
            figures.add(&partial);
            Ok(())
        },
    )?;
    Ok(figures)
}

/// A buffer of zeros, or [`Status::OutOfMemory`].
pub fn zeroed_floats(count: usize) -> Result<Vec<f32>> {
    let mut floats = Vec::new();
    floats
        .try_reserve_exact(count)
        .map_err(|_| KernelError::new(Status::OutOfMemory, format!("cannot allocate a buffer of {count} weights")))?;
    floats.resize(count, 0.0);
    Ok(floats)
}
