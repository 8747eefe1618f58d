//! The second pass: writes the five stored tensors of a measured unit.

use super::fields::UnitFields;
use super::pack::{PackTable, PackedChunk, pack_chunk};
use super::plan::{UnitPlan, read_chunk};
use super::scratch::Scratch;
use super::{MAX_BLOCK_ELEMENTS, WINDOWS_PER_BLOCK};
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result, Status};
use crate::files::{ByteRange, Source, Target};
use crate::pipeline::ordered;

/// Small results are gathered up to this before they are written.
const WRITE_BYTES: usize = 256 << 10;

/// Writes the unit that `plan` describes into the five ranges, which must have exactly the plan's sizes; nothing
/// outside them is touched.
///
/// Source: arXiv:2504.11651, "Method", in the layout of the official compressor 0.5.0; its bytes exactly where
/// `plan.origin.is_official_bytes()`. Counts `2 x elements` bytes of progress.
///
/// Errors: [`Status::BadArgument`] for ranges of other sizes or a plan from a histogram alone;
/// [`Status::VerificationFailed`] if the source is no longer what was measured (an exponent without a code word, a
/// chunk of another bit count, or block positions that don't fit); file errors; [`Status::Cancelled`].
pub fn encode(context: &Context, source: &[ByteRange], plan: &UnitPlan, fields: &UnitFields) -> Result<()> {
    let source = Source::open(source)?;
    check_sizes(&source, plan, fields)?;
    let sign_mantissa = open(&fields.sign_mantissa)?;
    open(&fields.luts)?.put(0, &plan.book.luts())?;
    let mut index = IndexWriter {
        stream: Appender::new(open(&fields.encoded_exponent)?),
        gaps: Appender::new(open(&fields.gaps)?),
        positions: Appender::new(open(&fields.output_positions)?),
        shared_byte: 0,
        waiting_gaps: Vec::new(),
        block_start: 0,
        plan,
    };
    let table = PackTable::new(&plan.book);
    let scratch = Scratch::new();
    let chunks = plan.chunk_bits.len() as u64 - 1;
    let work = |number: u64| {
        let (mut words, mut chunk) = scratch.take(|| (Vec::new(), PackedChunk::new()));
        read_chunk(&source, plan.chunk_elements, number, &mut words)?;
        pack_chunk(Backend::best(), &table, &words, plan.chunk_bits[number as usize], &mut chunk)?;
        if chunk.end_bit != plan.chunk_bits[number as usize + 1] {
            return Err(changed());
        }
        if number + 1 == chunks {
            chunk.end_stream();
        }
        sign_mantissa.put(number * plan.chunk_elements, &chunk.sign_mantissa)?;
        Ok((words, chunk))
    };
    ordered(context, chunks, work, |number, (words, chunk)| {
        index.add(number, &chunk)?;
        context.control.advance(words.len() as u64);
        scratch.give((words, chunk));
        Ok(())
    })?;
    index.finish()
}

fn open(range: &ByteRange) -> Result<Target> {
    Target::write(std::slice::from_ref(range))
}

fn changed() -> KernelError {
    KernelError::new(Status::VerificationFailed, "the weights are not those that were measured: the source has changed")
}

fn check_sizes(source: &Source, plan: &UnitPlan, fields: &UnitFields) -> Result<()> {
    if plan.chunk_bits.is_empty() {
        return Err(KernelError::bad_argument("this plan is an estimate from a histogram: measure the source first"));
    }
    for (name, found, expected) in [
        ("source", source.bytes(), 2 * plan.elements),
        ("luts", fields.luts.bytes, plan.luts_bytes()),
        ("encoded_exponent", fields.encoded_exponent.bytes, plan.stream_bytes),
        ("sign_mantissa", fields.sign_mantissa.bytes, plan.elements),
        ("output_positions", fields.output_positions.bytes, plan.positions_bytes()),
        ("gaps", fields.gaps.bytes, plan.gaps_bytes()),
    ] {
        if found != expected {
            return Err(KernelError::bad_argument(format!("\"{name}\" has {found} bytes, the plan says {expected}")));
        }
    }
    Ok(())
}

/// Writes a range from its start on, in big pieces.
struct Appender {
    target: Target,
    written: u64,
    buffer: Vec<u8>,
}

impl Appender {
    fn new(target: Target) -> Self {
        Self { target, written: 0, buffer: Vec::new() }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.target.put(self.written, &self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes what waits; the range must be full then.
    fn finish(&mut self) -> Result<()> {
        self.flush()?;
        if self.written == self.target.bytes() { Ok(()) } else { Err(changed()) }
    }
}

/// Joins the chunks, which come in order: stream, gaps and positions.
struct IndexWriter<'a> {
    stream: Appender,
    gaps: Appender,
    positions: Appender,
    /// The bits of a byte that the chunks so far have begun.
    shared_byte: u8,
    /// Fewer than 8 gaps, until they fill 5 bytes.
    waiting_gaps: Vec<u8>,
    block_start: u64,
    plan: &'a UnitPlan,
}

impl IndexWriter<'_> {
    fn add(&mut self, number: u64, chunk: &PackedChunk) -> Result<()> {
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

    fn finish(&mut self) -> Result<()> {
        let bits = self.plan.chunk_bits.last().copied().unwrap_or(0);
        if !bits.is_multiple_of(8) {
            self.stream.put(&[self.shared_byte | self.plan.book.padding((bits % 8) as u32)])?;
        }
        let windows = self.plan.blocks as usize * WINDOWS_PER_BLOCK;
        let written = bits.div_ceil(super::WINDOW_BITS) as usize;
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
