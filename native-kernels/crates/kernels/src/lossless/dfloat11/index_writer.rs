//! Joins packed chunks, which come in order, into the stored stream, gaps and positions.

use super::pack::PackedChunk;
use super::plan::UnitPlan;
use super::{MAX_BLOCK_ELEMENTS, WINDOW_BITS, WINDOWS_PER_BLOCK};
use crate::error::{KernelError, Result, Status};

/// Where a stored tensor goes, from its start on.
pub(super) trait Sink {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]) -> Result<()>;
    /// Writes what waits; the tensor must be full then.
    fn finish(&mut self) -> Result<()>;
}

/// The source isn't what was measured.
pub(super) fn changed() -> KernelError {
    KernelError::new(Status::SourceChanged, "the weights are not those that were measured: the source has changed")
}

/// Joins the chunks, which come in order: stream, gaps and positions.
pub(super) struct IndexWriter<'a, S> {
    stream: S,
    gaps: S,
    positions: S,
    /// The bits of a byte that the chunks so far have begun.
    shared_byte: u8,
    /// Fewer than 8 gaps, until they fill 5 bytes.
    waiting_gaps: Vec<u8>,
    block_start: u64,
    plan: &'a UnitPlan,
}

impl<'a, S: Sink> IndexWriter<'a, S> {
    pub fn new(plan: &'a UnitPlan, stream: S, gaps: S, positions: S) -> Self {
        Self { stream, gaps, positions, shared_byte: 0, waiting_gaps: Vec::new(), block_start: 0, plan }
    }

    /// Takes chunk `number`; each chunk once, in order.
    pub fn add(&mut self, number: u64, chunk: &PackedChunk) -> Result<()> {
        let stream = chunk.stream();
        if let Some((first, rest)) = stream.split_first() {
            let first = first | self.shared_byte;
            if chunk.end_bit.is_multiple_of(8) {
                self.shared_byte = 0;
                self.stream.put(&[first])?;
                self.stream.put(rest)?;
            } else if let Some((last, middle)) = rest.split_last() {
                self.shared_byte = *last;
                self.stream.put(&[first])?;
                self.stream.put(middle)?;
            } else {
                self.shared_byte = first;
            }
        }
        self.add_gaps(chunk.gaps())?;
        for start in &chunk.block_starts {
            let start = number * self.plan.chunk_elements + u64::from(*start);
            // The official compressor has no entry for a block in which nothing starts, not even the end mark.
            if start < self.plan.elements || !chunk.end_bit.is_multiple_of(8) {
                self.add_position(start)?;
            }
        }
        Ok(())
    }

    fn add_position(&mut self, start: u64) -> Result<()> {
        if start - self.block_start > MAX_BLOCK_ELEMENTS && !self.plan.any_block_size {
            return Err(changed());
        }
        self.block_start = start;
        // At most 2^31 - 1.
        self.positions.put(&(start as u32).to_le_bytes())
    }

    fn add_gaps(&mut self, gaps: &[u8]) -> Result<()> {
        let to_fill = (8 - self.waiting_gaps.len()).min(gaps.len());
        let (filling, rest) = gaps.split_at(to_fill);
        self.waiting_gaps.extend_from_slice(filling);
        if let Ok(eight) = self.waiting_gaps.as_slice().try_into() {
            self.gaps.put(&pack_gaps(eight))?;
            let (eights, waiting) = rest.as_chunks::<8>();
            for eight in eights {
                self.gaps.put(&pack_gaps(eight))?;
            }
            self.waiting_gaps.clear();
            self.waiting_gaps.extend_from_slice(waiting);
        }
        Ok(())
    }

    /// Writes what the end of the stream brings, after the last chunk.
    pub fn finish(&mut self) -> Result<()> {
        let bits = self.plan.chunk_bits.last().copied().unwrap_or(0);
        if !bits.is_multiple_of(8) {
            self.stream.put(&[self.shared_byte | self.plan.book.padding((bits % 8) as u32)])?;
        }
        let windows = self.plan.blocks as usize * WINDOWS_PER_BLOCK;
        let written = bits.div_ceil(WINDOW_BITS) as usize;
        for _ in written..windows {
            self.add_gaps(&[0])?;
        }
        self.add_position(self.plan.elements)?;
        self.stream.finish()?;
        self.gaps.finish()?;
        self.positions.finish()
    }
}

/// Eight gaps of 5 bits, most significant first.
fn pack_gaps(gaps: &[u8; 8]) -> [u8; 5] {
    let bits = gaps.iter().fold(0_u64, |bits, gap| bits << 5 | u64::from(*gap));
    let [_, _, _, packed @ ..] = bits.to_be_bytes();
    packed
}
