//! Some blocks of a unit, from stored bytes in memory to words, and how blocks join.

use super::super::bf16;
use super::lookup::Lookup;
use super::scratch::resize;
#[cfg(doc)]
use super::unpack::STREAM_SLACK;
use super::unpack::{Block, EXPONENT_SLACK, LANES, unpack_blocks};
use super::{BLOCK_BITS, BLOCK_BYTES, GAP_BYTES_PER_BLOCK};
use crate::cpu::Backend;
use crate::error::{KernelError, Result};

/// Where a block's code words start and end, in bits of the unit's stream.
pub(super) struct Span {
    pub block: u64,
    pub first_bit: u64,
    pub end_bit: u64,
    /// The last block, and no element starts in it.
    pub starts_nothing: bool,
}

/// Checks that a block starts where the one before ends, and returns where it ends itself.
pub(super) fn join(stream_bytes: u64, end_before: u64, span: &Span) -> Result<u64> {
    let (start, end) = if span.starts_nothing {
        let base = span.block * BLOCK_BITS;
        if end_before <= base || end_before.div_ceil(8) != stream_bytes {
            return Err(KernelError::malformed(format!(
                "\"encoded_exponent\" has {} bytes, its last code word ends in byte {}",
                stream_bytes,
                end_before.div_ceil(8)
            )));
        }
        // The end mark starts here, unless the last code word ends with a byte.
        (if end_before.is_multiple_of(8) { base } else { end_before }, end_before)
    } else {
        (end_before, span.end_bit)
    };
    if span.first_bit != start {
        return Err(KernelError::malformed(format!(
            "\"gaps\" lets block {} start at bit {}, the code words before it end at bit {start}",
            span.block, span.first_bit
        )));
    }
    Ok(end)
}

/// The stored bytes of some blocks.
pub(super) struct Group<'a> {
    /// Their bytes of the stream and [`STREAM_SLACK`] more, of the next block or 0.
    pub stream: &'a [u8],
    pub gaps: &'a [u8],
    /// First element of each, and of the block after.
    pub starts: &'a [u64],
    pub sign_mantissa: &'a [u8],
    pub first_block: u64,
    /// Of the whole unit.
    pub stream_bytes: u64,
}

impl Group<'_> {
    /// Decodes into `words` (2 bytes an element of the group), with `exponents` for scratch.
    pub fn decode(
        &self,
        backend: Backend,
        lookup: &Lookup,
        exponents: &mut Vec<u8>,
        words: &mut [u8],
    ) -> Result<Vec<Span>> {
        let blocks = self.starts.len() - 1;
        let elements = |block: usize| (self.starts[block + 1] - self.starts[block]) as usize;
        let mut spans = Vec::with_capacity(blocks);
        for first in (0..blocks).step_by(LANES) {
            let lanes = first..blocks.min(first + LANES);
            resize(exponents, lanes.clone().map(|block| elements(block) + EXPONENT_SLACK).sum())?;
            let mut rest = exponents.as_mut_slice();
            let mut batch = Vec::with_capacity(LANES);
            for block in lanes {
                let (exponents, others) = rest.split_at_mut(elements(block) + EXPONENT_SLACK);
                rest = others;
                let number = self.first_block + block as u64;
                let bytes = BLOCK_BYTES.min(self.stream_bytes - number * BLOCK_BYTES) as u32;
                batch.push(Block {
                    stream: &self.stream[BLOCK_BYTES as usize * block..],
                    gaps: &self.gaps[GAP_BYTES_PER_BLOCK as usize * block..][..GAP_BYTES_PER_BLOCK as usize],
                    exponents,
                    elements: elements(block) as u32,
                    bits: 8 * bytes,
                    is_last: (number + 1) * BLOCK_BYTES >= self.stream_bytes,
                    number,
                    end_bit: 0,
                });
            }
            unpack_blocks(backend, lookup, &mut batch)?;
            for (block, unpacked) in batch.iter().enumerate() {
                let block = first + block;
                let (from, to) = (
                    (self.starts[block] - self.starts[0]) as usize,
                    (self.starts[block + 1] - self.starts[0]) as usize,
                );
                let sign_mantissa = &self.sign_mantissa[from..to];
                bf16::merge(backend, &unpacked.exponents[..to - from], sign_mantissa, &mut words[2 * from..2 * to]);
                let base = unpacked.number * BLOCK_BITS;
                spans.push(Span {
                    block: unpacked.number,
                    first_bit: base + u64::from(unpacked.gaps[0] >> 3),
                    end_bit: base + u64::from(unpacked.end_bit),
                    starts_nothing: unpacked.is_last && unpacked.elements == 0,
                });
            }
        }
        Ok(spans)
    }
}
