//! The second pass: writes the five stored tensors of a measured unit.

use super::fields::UnitFields;
use super::index_writer::{IndexWriter, Sink, changed};
use super::pack::{PackTable, PackedChunk, pack_chunk};
use super::plan::{UnitPlan, read_chunk};
use super::scratch::Scratch;
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result};
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
/// Errors: [`crate::Status::BadArgument`] for ranges of other sizes or a plan from a histogram alone;
/// [`crate::Status::SourceChanged`] if the source is no longer what was measured (an exponent without a code word, a
/// chunk of another bit count, or block positions that don't fit); file errors; [`crate::Status::Cancelled`].
pub fn encode(context: &Context, source: &[ByteRange], plan: &UnitPlan, fields: &UnitFields) -> Result<()> {
    let source = Source::open(source)?;
    check_sizes(&source, plan, fields)?;
    let sign_mantissa = open(&fields.sign_mantissa)?;
    open(&fields.luts)?.put(0, &plan.book.luts())?;
    let append = |range| Ok(Appender { target: open(range)?, written: 0, buffer: Vec::new() });
    let (stream, gaps) = (append(&fields.encoded_exponent)?, append(&fields.gaps)?);
    let mut index = IndexWriter::new(plan, stream, gaps, append(&fields.output_positions)?);
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

impl Sink for Appender {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn finish(&mut self) -> Result<()> {
        self.flush()?;
        if self.written == self.target.bytes() { Ok(()) } else { Err(changed()) }
    }
}

impl Appender {
    fn flush(&mut self) -> Result<()> {
        self.target.put(self.written, &self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
