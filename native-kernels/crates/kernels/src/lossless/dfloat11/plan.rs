//! The first pass: what a unit holds, which code it gets, and how many bytes each stored tensor will have.

use super::code_book::{BookOrigin, CodeBook};
use super::exponent_counter::ExponentCounter;
use super::pack::{PackTable, PackedChunk, pack_chunk};
use super::scratch::{Scratch, resize};
use super::{BLOCK_BITS, BLOCK_BYTES, GAP_BYTES_PER_BLOCK, MAX_BLOCK_ELEMENTS, MAX_ELEMENTS, MAX_STREAM_BYTES};
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result, Status};
use crate::files::{ByteRange, Source};
use crate::pipeline::ordered;

/// Elements worked on at a time: source, bits and sign+mantissa bytes of a chunk fit the second-level cache.
pub(super) const CHUNK_ELEMENTS: u64 = 1 << 18;

/// What a unit's first pass found out. Sizes are exact, unless the plan is from [`plan_from_histogram`].
#[derive(Debug, Clone)]
pub struct UnitPlan {
    /// Weights in the unit: 1 to 2^31 - 1.
    pub elements: u64,
    /// How often each exponent occurs.
    pub histogram: [u64; 256],
    /// Exponent of the last weight; it decides whether the last code word leaves a block without a start.
    pub last_exponent: u8,
    /// Bytes of `encoded_exponent`: at most 2^31 - 4096.
    pub stream_bytes: u64,
    /// Blocks of 4096 bytes of it.
    pub blocks: u64,
    /// Entries of `output_positions`, 4 bytes each: `blocks + 1`, rarely `blocks`.
    pub position_entries: u64,
    /// Rows of `luts`, the row of lengths included: 2 to 18.
    pub lut_rows: u32,
    /// Bits of the longest code word in the stream: 1 to 32.
    pub longest_code_bits: u8,
    /// Whether the stored bytes are those of the official compressor.
    pub origin: BookOrigin,
    /// The code book.
    pub book: CodeBook,
    /// First bit of each chunk, then the stream's bit count; empty if the source wasn't read.
    pub(super) chunk_bits: Vec<u64>,
    pub(super) chunk_elements: u64,
    /// Whether a block may have more elements than the official kernel's shared memory holds (tests of the layout).
    pub(super) any_block_size: bool,
}

impl UnitPlan {
    /// Bytes of the five stored tensors, without `split_positions`.
    pub fn stored_bytes(&self) -> u64 {
        self.luts_bytes() + self.stream_bytes + self.elements + self.positions_bytes() + self.gaps_bytes()
    }

    /// Bytes of `luts`.
    pub fn luts_bytes(&self) -> u64 {
        256 * u64::from(self.lut_rows)
    }

    /// Bytes of `output_positions`.
    pub fn positions_bytes(&self) -> u64 {
        4 * self.position_entries
    }

    /// Bytes of `gaps`.
    pub fn gaps_bytes(&self) -> u64 {
        GAP_BYTES_PER_BLOCK * self.blocks
    }

    pub(super) fn new(histogram: &[u64; 256], last_exponent: u8, book: CodeBook) -> Result<Self> {
        let bits = book.total_bits(histogram);
        let last_bits = u64::from(book.length(last_exponent));
        if last_bits == 0 || histogram[usize::from(last_exponent)] == 0 {
            return Err(KernelError::bad_argument(format!(
                "the last exponent, {last_exponent}, is not in the histogram"
            )));
        }
        let stream_bytes = bits.div_ceil(8);
        if stream_bytes > MAX_STREAM_BYTES {
            return Err(KernelError::new(
                Status::Unrepresentable,
                format!("the unit's bit stream has {stream_bytes} bytes, DFloat11 holds at most {MAX_STREAM_BYTES}"),
            ));
        }
        let blocks = stream_bytes.div_ceil(BLOCK_BYTES);
        // The end mark starts at bit `bits` if it is written, that is, if it has to fill a byte.
        let last_start = if bits.is_multiple_of(8) { bits - last_bits } else { bits };
        Ok(Self {
            elements: histogram.iter().sum(),
            histogram: *histogram,
            last_exponent,
            stream_bytes,
            blocks,
            position_entries: blocks + u64::from(last_start / BLOCK_BITS == blocks - 1),
            lut_rows: book.lut_rows(),
            longest_code_bits: book.longest(),
            origin: book.origin(),
            book,
            chunk_bits: Vec::new(),
            chunk_elements: CHUNK_ELEMENTS,
            any_block_size: false,
        })
    }
}

/// The plan of a unit of which only the counts of exponents are known: for estimates, [`super::encode`] refuses it.
///
/// Exact, but for units with a one-bit code word, more than 23,550 elements and an uneven order: whether a block would
/// be too full for the official kernel, and the code be changed for that, is judged by the average.
///
/// Errors: [`Status::Unrepresentable`] as [`measure`]; [`Status::BadArgument`] if the last exponent has count 0.
pub fn plan_from_histogram(histogram: &[u64; 256], last_exponent: u8) -> Result<UnitPlan> {
    let book = CodeBook::from_histogram(histogram)?;
    let elements: u64 = histogram.iter().sum();
    let average_is_short = book.total_bits(histogram) * MAX_BLOCK_ELEMENTS < elements * BLOCK_BITS;
    let book = if elements > MAX_BLOCK_ELEMENTS && average_is_short { book.with_minimum_length_two()? } else { book };
    UnitPlan::new(histogram, last_exponent, book)
}

/// Reads the BF16 words of the concatenated ranges (little-endian, row-major tensors in the unit's order) once, or
/// twice where a one-bit code word might overfill a block, and plans the unit.
///
/// Source: arXiv:2504.11651, "Method"; limits of the official kernel. Counts `2 x elements` bytes of progress.
///
/// Errors: [`Status::Unrepresentable`] if DFloat11 cannot hold the unit, with the reason (no elements, more than
/// 2^31 - 1, NaN, infinity or magnitudes from 2^113 on, too many table rows, too long a stream);
/// [`Status::BadArgument`] for an odd number of bytes; file errors; [`Status::Cancelled`].
pub fn measure(context: &Context, source: &[ByteRange]) -> Result<UnitPlan> {
    measure_with(context, source, CHUNK_ELEMENTS, None)
}

/// [`measure`] with a chunk size, which never changes the bytes, and (for tests of the layout) with a given code book.
pub(super) fn measure_with(
    context: &Context,
    ranges: &[ByteRange],
    chunk_elements: u64,
    book: Option<CodeBook>,
) -> Result<UnitPlan> {
    let source = Source::open(ranges)?;
    if !source.bytes().is_multiple_of(2) {
        return Err(KernelError::bad_argument(format!(
            "{} bytes are not a whole number of BF16 words",
            source.bytes()
        )));
    }
    let elements = source.bytes() / 2;
    if elements == 0 || elements > MAX_ELEMENTS {
        return Err(KernelError::new(
            Status::Unrepresentable,
            format!("the unit has {elements} elements, DFloat11 holds 1 to {MAX_ELEMENTS} in one"),
        ));
    }
    let (histogram, chunk_histograms, last_exponent) = count(context, &source, chunk_elements)?;
    let any_block_size = book.is_some();
    let mut plan = match book {
        Some(book) => UnitPlan::new(&histogram, last_exponent, book)?,
        None => UnitPlan::new(&histogram, last_exponent, CodeBook::from_histogram(&histogram)?)?,
    };
    plan.any_block_size = any_block_size;
    plan.chunk_elements = chunk_elements;
    plan.chunk_bits = chunk_starts(&plan.book, &chunk_histograms);
    let has_one_bit_code = (0..=255).any(|exponent| plan.book.length(exponent) == 1);
    if has_one_bit_code && elements > MAX_BLOCK_ELEMENTS && !any_block_size {
        let overfull = largest_block(context, &source, &plan)? > MAX_BLOCK_ELEMENTS;
        if overfull {
            plan = UnitPlan::new(&histogram, last_exponent, plan.book.with_minimum_length_two()?)?;
            plan.chunk_elements = chunk_elements;
            plan.chunk_bits = chunk_starts(&plan.book, &chunk_histograms);
        }
    }
    Ok(plan)
}

/// First bit of each chunk, then the bit count.
pub(super) fn chunk_starts(book: &CodeBook, chunk_histograms: &[[u32; 256]]) -> Vec<u64> {
    let mut bits = 0;
    let mut starts = vec![0];
    for histogram in chunk_histograms {
        bits += book.total_bits(&histogram.map(u64::from));
        starts.push(bits);
    }
    starts
}

/// The words of chunk `index` of `source`, read into `buffer`.
pub(super) fn read_chunk(source: &Source, chunk_elements: u64, index: u64, buffer: &mut Vec<u8>) -> Result<()> {
    let start = 2 * chunk_elements * index;
    let bytes = (source.bytes() - start).min(2 * chunk_elements) as usize;
    resize(buffer, bytes)?;
    source.read(start, buffer)
}

type Counts = ([u64; 256], Vec<[u32; 256]>, u8);

fn count(context: &Context, source: &Source, chunk_elements: u64) -> Result<Counts> {
    let scratch = Scratch::new();
    let mut histogram = [0_u64; 256];
    let mut chunk_histograms = Vec::new();
    let mut last_exponent = 0;
    let chunks = (source.bytes() / 2).div_ceil(chunk_elements);
    let work = |index| {
        let (mut words, mut counter) = scratch.take(|| (Vec::new(), ExponentCounter::new(Backend::best())));
        read_chunk(source, chunk_elements, index, &mut words)?;
        let counts = counter.count(&words);
        let bytes = words.len() as u64;
        let last = words.last_chunk::<2>().map_or(0, |pair| super::super::bf16::exponent(u16::from_le_bytes(*pair)));
        scratch.give((words, counter));
        Ok((counts, last, bytes))
    };
    ordered(context, chunks, work, |_, (counts, last, bytes)| {
        histogram.iter_mut().zip(&counts).for_each(|(sum, count)| *sum += u64::from(*count));
        chunk_histograms.push(counts);
        last_exponent = last;
        context.control.advance(bytes);
        Ok(())
    })?;
    Ok((histogram, chunk_histograms, last_exponent))
}

/// Elements of the fullest block under the plan's code. Counts no progress.
fn largest_block(context: &Context, source: &Source, plan: &UnitPlan) -> Result<u64> {
    let scratch = Scratch::new();
    let table = PackTable::new(&plan.book);
    let chunks = plan.chunk_bits.len() as u64 - 1;
    let mut largest = 0;
    let mut block_start = 0;
    let work = |index: u64| {
        let (mut words, mut chunk) = scratch.take(|| (Vec::new(), PackedChunk::new()));
        read_chunk(source, plan.chunk_elements, index, &mut words)?;
        pack_chunk(Backend::best(), &table, &words, plan.chunk_bits[index as usize], &mut chunk)?;
        let starts = chunk.block_starts.clone();
        scratch.give((words, chunk));
        Ok(starts)
    };
    ordered(context, chunks, work, |index, starts| {
        for start in starts {
            let start = index * plan.chunk_elements + u64::from(start);
            largest = largest.max(start - block_start);
            block_start = start;
        }
        Ok(())
    })?;
    Ok(largest.max(plan.elements - block_start))
}
