//! Whole units in memory, on a chosen backend and one thread: what tests judge and the benchmark times. The streaming
//! calls are made of the same parts.

use super::block_group::{Group, join};
use super::exponent_counter::ExponentCounter;
use super::index_writer::{IndexWriter, Sink};
use super::lookup::Lookup;
use super::pack::{PackTable, PackedChunk, pack_chunk};
use super::plan::{UnitPlan, chunk_starts};
use super::unpack::STREAM_SLACK;
use super::{BLOCK_BYTES, CodeBook, GAP_BYTES_PER_BLOCK};
use crate::cpu::Backend;
use crate::error::{KernelError, Result};

/// The five stored tensors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredUnit {
    /// `luts`.
    pub luts: Vec<u8>,
    /// `encoded_exponent`.
    pub encoded_exponent: Vec<u8>,
    /// `sign_mantissa`.
    pub sign_mantissa: Vec<u8>,
    /// `output_positions`.
    pub output_positions: Vec<u8>,
    /// `gaps`.
    pub gaps: Vec<u8>,
}

impl Sink for &mut Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Plans words as [`super::measure`] does, without the rule of overfull blocks.
pub fn measure_words(backend: Backend, words: &[u8], chunk_elements: usize) -> Result<UnitPlan> {
    let mut counter = ExponentCounter::new(backend);
    let chunks: Vec<[u32; 256]> = words.chunks(2 * chunk_elements).map(|chunk| counter.count(chunk)).collect();
    let mut histogram = [0; 256];
    for chunk in &chunks {
        histogram.iter_mut().zip(chunk).for_each(|(sum, count)| *sum += u64::from(*count));
    }
    let last = words.last_chunk::<2>().map_or(0, |pair| super::super::bf16::exponent(u16::from_le_bytes(*pair)));
    let mut plan = UnitPlan::new(&histogram, last, CodeBook::from_histogram(&histogram)?)?;
    plan.chunk_elements = chunk_elements as u64;
    plan.chunk_bits = chunk_starts(&plan.book, &chunks);
    plan.any_block_size = true;
    Ok(plan)
}

/// Encodes the planned words; `unit`'s buffers are used again.
pub fn encode_words(backend: Backend, plan: &UnitPlan, words: &[u8], unit: &mut StoredUnit) -> Result<()> {
    let StoredUnit { luts, encoded_exponent, sign_mantissa, output_positions, gaps } = unit;
    for field in [&mut *encoded_exponent, &mut *sign_mantissa, &mut *output_positions, &mut *gaps] {
        field.clear();
    }
    *luts = plan.book.luts();
    let table = PackTable::new(&plan.book);
    let mut chunk = PackedChunk::new();
    let mut index = IndexWriter::new(plan, encoded_exponent, gaps, output_positions);
    let chunks = plan.chunk_bits.len() - 1;
    for (number, words) in words.chunks(2 * plan.chunk_elements as usize).enumerate() {
        pack_chunk(backend, &table, words, plan.chunk_bits[number], &mut chunk)?;
        if number + 1 == chunks {
            chunk.end_stream();
        }
        sign_mantissa.extend_from_slice(&chunk.sign_mantissa);
        index.add(number as u64, &chunk)?;
    }
    index.finish()
}

/// Decodes a unit that [`encode_words`] made (its positions are trusted, all else is checked) into 2 bytes an element.
pub fn decode_words(backend: Backend, unit: &StoredUnit, words: &mut [u8], group_blocks: usize) -> Result<()> {
    let lookup = Lookup::new(&unit.luts)?;
    let blocks = unit.encoded_exponent.len().div_ceil(BLOCK_BYTES as usize);
    let entries = unit.output_positions.as_chunks::<4>().0.iter();
    let mut starts: Vec<u64> = entries.map(|entry| u64::from(u32::from_le_bytes(*entry))).collect();
    starts.resize(blocks + 1, unit.sign_mantissa.len() as u64);
    let (mut stream, mut exponents) = (Vec::new(), Vec::new());
    let mut end_bit = 0;
    for first in (0..blocks).step_by(group_blocks) {
        let end = blocks.min(first + group_blocks);
        let stream_end = unit.encoded_exponent.len().min(end * BLOCK_BYTES as usize + STREAM_SLACK);
        stream.clear();
        stream.extend_from_slice(&unit.encoded_exponent[first * BLOCK_BYTES as usize..stream_end]);
        stream.resize((end - first) * BLOCK_BYTES as usize + STREAM_SLACK, 0);
        let (from, to) = (starts[first] as usize, starts[end] as usize);
        let group = Group {
            stream: &stream,
            gaps: &unit.gaps[first * GAP_BYTES_PER_BLOCK as usize..end * GAP_BYTES_PER_BLOCK as usize],
            starts: &starts[first..=end],
            sign_mantissa: &unit.sign_mantissa[from..to],
            first_block: first as u64,
            stream_bytes: unit.encoded_exponent.len() as u64,
        };
        let words = words.get_mut(2 * from..2 * to).ok_or_else(|| KernelError::bad_argument("too few words"))?;
        for span in group.decode(backend, &lookup, &mut exponents, words)? {
            end_bit = join(group.stream_bytes, end_bit, &span)?;
        }
    }
    Ok(())
}
