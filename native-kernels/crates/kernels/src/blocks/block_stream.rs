//! Stored tensors to weights in memory, or to a file in another type, tile by tile.

use rayon::prelude::*;

use super::block_decode::dequantize;
use super::ggml_tensor::{GgmlTensor, OpenTensor};
use super::round_floats::{BlockFigures, FloatType, compare_floats, round_floats};
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result, Status};
use crate::files::{ByteRange, Source, Target};
use crate::pipeline::ordered;
use crate::spare::Spare;

/// Decodes a tensor into `out`, which has exactly its number of weights.
///
/// Fails with [`Status::NotFinite`] at a weight that is NaN or infinite, naming its index in the answer.
/// Memory: `threads x 1.5 MiB`.
pub fn dequantize_to_memory(context: &Context, tensor: &GgmlTensor, out: &mut [f32]) -> Result<()> {
    let open = OpenTensor::open(tensor)?;
    if out.len() as u64 != open.elements() {
        return Err(KernelError::bad_argument(format!(
            "the tensor has {} weights, room was given for {}",
            open.elements(),
            out.len()
        )));
    }
    let (backend, answer, floats) = (Backend::best(), Answer::new(out), Spare::new());
    context.pool.install(|| {
        (0..open.tiles()).into_par_iter().try_for_each(|index| {
            context.control.check()?;
            let tile = open.tile(index);
            if open.is_in_place() {
                // SAFETY: tiles in place are disjoint runs of the answer.
                let run = unsafe { answer.run(open.place(&tile), open.weights_of(&tile)) };
                open.decode(backend, &tile, run)?;
                check_finite(open.place(&tile), run)?;
            } else {
                let mut weights = floats.take(open.weights_of(&tile))?;
                open.decode(backend, &tile, &mut weights)?;
                open.for_each_run(&tile, &weights, |start, run| {
                    check_finite(start, run)?;
                    // SAFETY: the runs of all tiles are disjoint: each weight has one place in the answer.
                    unsafe { answer.run(start, run.len()) }.copy_from_slice(run);
                    Ok(())
                })?;
            }
            context.control.advance(tile.stored_bytes);
            Ok(())
        })
    })
}

/// Decodes a tensor and stores, compares or discards its weights, rounded to `float_type`.
///
/// The figures are the same at any thread count. Memory: `threads x 3 x 2 MiB`.
pub fn convert(context: &Context, tensor: &GgmlTensor, float_type: FloatType, target: &Target) -> Result<BlockFigures> {
    let open = OpenTensor::open(tensor)?;
    let size = float_type.bytes() as u64;
    if target.bytes() != open.elements() * size {
        return Err(KernelError::bad_argument(format!(
            "{} {} weights take {} bytes, but the target has {}",
            open.elements(),
            tensor.ggml_type.name(),
            open.elements() * size,
            target.bytes()
        )));
    }
    let (backend, floats, bytes) = (Backend::best(), Spare::new(), Spare::new());
    let mut figures = BlockFigures::NONE;
    ordered(
        context,
        open.tiles(),
        |index| {
            let tile = open.tile(index);
            let mut weights = floats.take(open.weights_of(&tile))?;
            open.decode(backend, &tile, &mut weights)?;
            let mut partial = BlockFigures::NONE;
            open.for_each_run(&tile, &weights, |start, run| {
                let mut stored = bytes.take(run.len() * float_type.bytes())?;
                partial.add(&round_floats(backend, float_type, run, &mut stored));
                target.put(start * size, &stored)
            })?;
            context.control.advance(tile.stored_bytes);
            Ok(partial)
        },
        |_, partial| {
            figures.add(&partial);
            Ok(())
        },
    )?;
    Ok(figures)
}

/// Decodes a tensor and compares its weights with those of a file in `float_type`, in the order of the answer.
///
/// Sums are those of the original; errors say how far the decoded weights are from it. The same at any thread count.
pub fn compare(
    context: &Context,
    tensor: &GgmlTensor,
    float_type: FloatType,
    original: &ByteRange,
) -> Result<BlockFigures> {
    let open = OpenTensor::open(tensor)?;
    let size = float_type.bytes() as u64;
    let source = Source::open(std::slice::from_ref(original))?;
    if source.bytes() != open.elements() * size {
        return Err(KernelError::bad_argument(format!(
            "{} weights cannot be compared with {} bytes of {float_type:?}",
            open.elements(),
            source.bytes()
        )));
    }
    let (backend, floats, bytes) = (Backend::best(), Spare::new(), Spare::new());
    let mut figures = BlockFigures::NONE;
    ordered(
        context,
        open.tiles(),
        |index| {
            let tile = open.tile(index);
            let mut weights = floats.take(open.weights_of(&tile))?;
            open.decode(backend, &tile, &mut weights)?;
            let mut partial = BlockFigures::NONE;
            open.for_each_run(&tile, &weights, |start, run| {
                let mut stored = bytes.take(run.len() * float_type.bytes())?;
                let mut originals = floats.take(run.len())?;
                source.read(start * size, &mut stored)?;
                dequantize(backend, float_type.stored_type(), &stored, &mut originals);
                partial.add(&compare_floats(backend, &originals, run));
                Ok(())
            })?;
            context.control.advance(tile.stored_bytes);
            Ok(partial)
        },
        |_, partial| {
            figures.add(&partial);
            Ok(())
        },
    )?;
    Ok(figures)
}

fn check_finite(start: u64, weights: &[f32]) -> Result<()> {
    // One pass without an early end, so that it becomes vectors.
    let all_finite = weights.iter().fold(true, |all, weight| all & (weight.abs() < f32::INFINITY));
    if all_finite {
        return Ok(());
    }
    let index = weights.iter().position(|weight| !weight.is_finite()).unwrap_or(0);
    Err(KernelError::new(Status::NotFinite, format!("weight {} is {}", start + index as u64, weights[index])))
}

/// The answer, written by several threads at once.
struct Answer {
    start: *mut f32,
    length: usize,
}

// SAFETY: threads write disjoint runs only, as `run` demands, and nobody reads before all are done.
unsafe impl Sync for Answer {}

impl Answer {
    fn new(out: &mut [f32]) -> Self {
        Self { start: out.as_mut_ptr(), length: out.len() }
    }

    /// # Safety
    ///
    /// No two runs that are in use at one time may overlap.
    #[allow(clippy::mut_from_ref, reason = "disjoint parts of one exclusive borrow")]
    unsafe fn run(&self, start: u64, length: usize) -> &mut [f32] {
        let start = start as usize;
        assert!(start.checked_add(length).is_some_and(|end| end <= self.length), "a run lies outside the answer");
        // SAFETY: within the borrowed slice, and disjoint from all other runs by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), length) }
    }
}
