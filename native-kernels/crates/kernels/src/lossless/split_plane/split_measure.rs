//! What a tensor's planes would take, without writing them.

use super::plane_writer::choose;
use super::{Codec, CoderChoice, Histogram, ITEM_ELEMENTS, PlaneKind, Split, aligned, histogram, planes};
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result};
use crate::files::{ByteRange, Source, zeroed};
use crate::pipeline::ordered;

/// How often each byte occurs in each plane of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaneHistograms {
    /// Elements of the tensor, and so of each plane.
    pub elements: u64,
    /// The planes in stored order.
    pub planes: Vec<(PlaneKind, [u64; 256])>,
}

/// Counts a tensor's bytes plane by plane. Progress advances by the source's length.
///
/// Fails with [`crate::Status::BadArgument`] if the source is not whole elements.
pub fn measure(context: &Context, source: &[ByteRange], split: Split) -> Result<PlaneHistograms> {
    let source = Source::open(source)?;
    let size = split.element_bytes();
    if !source.bytes().is_multiple_of(size) {
        return Err(KernelError::bad_argument(format!("{} bytes are not whole {split:?} elements", source.bytes())));
    }
    let elements = source.bytes() / size;
    let mut result = PlaneHistograms { elements, planes: split.kinds().iter().map(|kind| (*kind, [0; 256])).collect() };
    let backend = Backend::best();
    ordered(
        context,
        elements.div_ceil(ITEM_ELEMENTS as u64),
        |index| {
            let first = index * ITEM_ELEMENTS as u64;
            let count = (elements - first).min(ITEM_ELEMENTS as u64) as usize;
            let mut bytes = zeroed(count * size as usize)?;
            source.read(first * size, &mut bytes)?;
            let mut plane = zeroed(count)?;
            let mut found = Vec::with_capacity(split.kinds().len());
            for kind in split.kinds() {
                planes::extract(backend, split, *kind, &bytes, &mut plane);
                let mut counts: Histogram = [0; 256];
                histogram::count(&plane, &mut counts);
                found.push(counts);
            }
            context.control.advance(bytes.len() as u64);
            Ok(found)
        },
        |_, found| {
            for ((_, total), found) in result.planes.iter_mut().zip(found) {
                total.iter_mut().zip(found).for_each(|(total, found)| *total += found);
            }
            Ok(())
        },
    )?;
    Ok(result)
}

/// Predicted stored bytes of a tensor, with the gaps between its blobs, when each coded plane takes its smallest codec.
/// The entropy under the normalised book, the states and the index are counted; right to about 0.1 %.
pub fn predicted_bytes(histograms: &PlaneHistograms) -> u64 {
    let mut end = 0;
    for (kind, counts) in &histograms.planes {
        let choice = if kind.is_coded() { CoderChoice::Smallest } else { CoderChoice::Only(Codec::Raw) };
        end = aligned(end) + choose(choice, counts, histograms.elements).2;
    }
    end
}
