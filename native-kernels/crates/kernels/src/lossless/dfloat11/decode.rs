//! Reads the five stored tensors of a unit back into BF16 words, trusting none of them.

use super::block_group::{Group, Span, join};
use super::fields::UnitFields;
use super::lookup::Lookup;
use super::scratch::{Scratch, resize};
use super::unpack::STREAM_SLACK;
use super::{BLOCK_BITS, BLOCK_BYTES, GAP_BYTES_PER_BLOCK, MAX_DECODE_ROWS, MAX_ELEMENTS, MAX_STREAM_BYTES};
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result};
use crate::files::{ByteRange, Source, Target};
use crate::pipeline::ordered;

/// Blocks worked on at a time: some 0.2 million weights, so that a group's buffers fit the second-level cache.
const GROUP_BLOCKS: u64 = 16;

/// Decodes a unit of `elements` weights into `target` (2 bytes a weight, little-endian BF16).
///
/// Source: arXiv:2504.11651, "Method", read as the official kernel reads it; accepts what the official compressor
/// writes, also the short form of `output_positions` and leaked table entries. Every gap and position is counted again
/// from the bit stream. Counts `2 x elements` bytes of progress.
///
/// Errors: [`crate::Status::Malformed`], naming the field, for whatever contradicts itself;
/// [`crate::Status::BadArgument`] if the target has another size; those of the target; file errors;
/// [`crate::Status::Cancelled`]. After an error the target's content is undefined.
pub fn decode(context: &Context, fields: &UnitFields, elements: u64, target: &Target) -> Result<()> {
    decode_with(context, fields, elements, target, GROUP_BLOCKS)
}

/// [`decode`] with a group size, which never changes the result.
pub(super) fn decode_with(
    context: &Context,
    fields: &UnitFields,
    elements: u64,
    target: &Target,
    group_blocks: u64,
) -> Result<()> {
    let unit = Unit::open(fields, elements)?;
    if target.bytes() != 2 * elements {
        let what = format!("the target has {} bytes, {elements} BF16 words were asked for", target.bytes());
        return Err(KernelError::bad_argument(what));
    }
    let scratch = Scratch::new();
    let work = |group: u64| {
        let mut buffers = scratch.take(Buffers::default);
        let spans = unit.decode_group(group * group_blocks, group_blocks, &mut buffers, target)?;
        let bytes = buffers.words.len() as u64;
        scratch.give(buffers);
        Ok((spans, bytes))
    };
    let mut end_bit = 0;
    ordered(context, unit.blocks.div_ceil(group_blocks), work, |_, (spans, bytes)| {
        for span in spans {
            end_bit = join(unit.stream.bytes(), end_bit, &span)?;
        }
        context.control.advance(bytes);
        Ok(())
    })
}

/// The stored tensors, their sizes checked against each other.
struct Unit {
    lookup: Lookup,
    stream: Source,
    sign_mantissa: Source,
    positions: Source,
    gaps: Source,
    elements: u64,
    blocks: u64,
    position_entries: u64,
}

/// What a group of blocks needs.
#[derive(Default)]
struct Buffers {
    stream: Vec<u8>,
    gaps: Vec<u8>,
    positions: Vec<u8>,
    sign_mantissa: Vec<u8>,
    exponents: Vec<u8>,
    words: Vec<u8>,
}

impl Unit {
    fn open(fields: &UnitFields, elements: u64) -> Result<Self> {
        if elements == 0 || elements > MAX_ELEMENTS {
            return Err(KernelError::malformed(format!(
                "a unit of {elements} elements, 1 to {MAX_ELEMENTS} are possible"
            )));
        }
        let stream_bytes = fields.encoded_exponent.bytes;
        if stream_bytes == 0 || stream_bytes > MAX_STREAM_BYTES {
            return Err(KernelError::malformed(format!(
                "\"encoded_exponent\" has {stream_bytes} bytes, 1 to {MAX_STREAM_BYTES} are possible"
            )));
        }
        if fields.sign_mantissa.bytes != elements {
            return Err(KernelError::malformed(format!(
                "\"sign_mantissa\" has {} bytes, the unit has {elements} elements",
                fields.sign_mantissa.bytes
            )));
        }
        let blocks = stream_bytes.div_ceil(BLOCK_BYTES);
        let position_entries = fields.output_positions.bytes / 4;
        // The form without the last entry needs a block before the last.
        let is_possible = position_entries == blocks + 1 || position_entries == blocks && blocks > 1;
        if !fields.output_positions.bytes.is_multiple_of(4) || !is_possible {
            return Err(KernelError::malformed(format!(
                "\"output_positions\" has {} bytes, {} are expected for {blocks} blocks",
                fields.output_positions.bytes,
                4 * (blocks + 1)
            )));
        }
        if fields.gaps.bytes < GAP_BYTES_PER_BLOCK * blocks {
            return Err(KernelError::malformed(format!(
                "\"gaps\" has {} bytes, {} are needed for {blocks} blocks",
                fields.gaps.bytes,
                GAP_BYTES_PER_BLOCK * blocks
            )));
        }
        if fields.luts.bytes > 256 * (MAX_DECODE_ROWS as u64 + 1) {
            return Err(KernelError::malformed(format!(
                "\"luts\" has {} bytes, at most {} rows of 256 are possible",
                fields.luts.bytes,
                MAX_DECODE_ROWS + 1
            )));
        }
        let mut luts = vec![0; fields.luts.bytes as usize];
        open(&fields.luts)?.read(0, &mut luts)?;
        Ok(Self {
            lookup: Lookup::new(&luts)?,
            stream: open(&fields.encoded_exponent)?,
            sign_mantissa: open(&fields.sign_mantissa)?,
            positions: open(&fields.output_positions)?,
            gaps: open(&fields.gaps)?,
            elements,
            blocks,
            position_entries,
        })
    }

    /// First elements of blocks `first .. first + count`, and of the one after. Checked: they rise, from 0 to the
    /// element count, by at most a block's bits.
    fn block_starts(&self, first: u64, count: u64, buffer: &mut Vec<u8>) -> Result<Vec<u64>> {
        let entries = (count + 1).min(self.position_entries - first);
        resize(buffer, 4 * entries as usize)?;
        self.positions.read(4 * first, buffer)?;
        let mut starts: Vec<u64> =
            buffer.as_chunks::<4>().0.iter().map(|entry| u64::from(u32::from_le_bytes(*entry))).collect();
        let is_short = entries == count;
        if is_short {
            // The form without the last entry: the last block, in which nothing starts, already has the element count.
            starts.push(self.elements);
        }
        let fail = |what: String| Err(KernelError::malformed(format!("\"output_positions\" {what}")));
        if first == 0 && starts[0] != 0 {
            return fail(format!("begins with {}, expected 0", starts[0]));
        }
        for (index, pair) in starts.windows(2).enumerate() {
            let entry = first + index as u64;
            if pair[1] < pair[0] {
                return fail(format!("falls from {} to {} at entry {}", pair[0], pair[1], entry + 1));
            }
            if pair[1] - pair[0] > BLOCK_BITS {
                return fail(format!("gives block {entry} {} elements, it has {BLOCK_BITS} bits", pair[1] - pair[0]));
            }
        }
        let last = starts.len() - 1;
        let last_stored = if is_short { starts[last - 1] } else { starts[last] };
        if first + count == self.blocks && last_stored != self.elements || last_stored > self.elements {
            return fail(format!("ends with {last_stored}, the unit has {} elements", self.elements));
        }
        Ok(starts)
    }

    fn decode_group(&self, first: u64, blocks: u64, buffers: &mut Buffers, target: &Target) -> Result<Vec<Span>> {
        let count = blocks.min(self.blocks - first);
        let starts = self.block_starts(first, count, &mut buffers.positions)?;
        let stream_start = BLOCK_BYTES * first;
        let wanted = BLOCK_BYTES * count + STREAM_SLACK as u64;
        let there = wanted.min(self.stream.bytes() - stream_start) as usize;
        resize(&mut buffers.stream, wanted as usize)?;
        self.stream.read(stream_start, &mut buffers.stream[..there])?;
        buffers.stream[there..].fill(0);
        resize(&mut buffers.gaps, (GAP_BYTES_PER_BLOCK * count) as usize)?;
        self.gaps.read(GAP_BYTES_PER_BLOCK * first, &mut buffers.gaps)?;
        let first_element = starts[0];
        let elements = (starts[count as usize] - first_element) as usize;
        resize(&mut buffers.sign_mantissa, elements)?;
        self.sign_mantissa.read(first_element, &mut buffers.sign_mantissa)?;
        resize(&mut buffers.words, 2 * elements)?;
        let input = Group {
            stream: &buffers.stream,
            gaps: &buffers.gaps,
            starts: &starts,
            sign_mantissa: &buffers.sign_mantissa,
            first_block: first,
            stream_bytes: self.stream.bytes(),
        };
        let spans = input.decode(Backend::best(), &self.lookup, &mut buffers.exponents, &mut buffers.words)?;
        target.put(2 * first_element, &buffers.words)?;
        Ok(spans)
    }
}

fn open(range: &ByteRange) -> Result<Source> {
    Source::open(std::slice::from_ref(range))
}
