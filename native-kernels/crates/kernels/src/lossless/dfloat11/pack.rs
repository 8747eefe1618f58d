//! One chunk of a unit in memory: words in; code bits, gaps and block starts out.
//!
//! A chunk is packed at its own bit offset in the unit's stream, so that chunks are packed in any order and their first
//! and last bytes are merged with OR. The plain judge of this file is `reference.rs`.

use super::super::bf16;
use super::code_book::CodeBook;
use super::scratch::resize;
use super::{BLOCK_BITS, WINDOW_BITS};
use crate::cpu::Backend;
use crate::error::{KernelError, Result, Status};

/// Words split at a time: their exponents stay in the first-level cache.
const PIECE: usize = 4096;
/// Elements between two looks for a block border. A run has at most 8,192 bits, so that it meets at most one.
const RUN: usize = 256;
/// Bits that go into the accumulator at once, beside the up to 7 that wait there.
const MAX_BITS_AT_ONCE: u32 = 56;
/// Stands for the length of a code word that isn't there: leads out of the fast path.
const ABSENT: u32 = 255;
/// Bytes that a store of 8 may reach past the last code.
const SLACK: usize = 16;

/// Code words and lengths by exponent.
pub struct PackTable {
    codes: Box<[u32; 256]>,
    lengths: Box<[u32; 256]>,
    longest: usize,
}

impl PackTable {
    /// The table of a code book.
    pub fn new(book: &CodeBook) -> Self {
        let codes = std::array::from_fn(|exponent| book.code(exponent as u8).bits);
        let lengths = std::array::from_fn(|exponent| match book.code(exponent as u8).length {
            0 => ABSENT,
            length => u32::from(length),
        });
        Self { codes: Box::new(codes), lengths: Box::new(lengths), longest: usize::from(book.longest()) }
    }
}

/// The buffers of a packed chunk.
pub struct PackedChunk {
    /// Bytes `start_bit / 8 .. ceil(end_bit / 8)` of the stream; the bits before and after the chunk's are 0.
    stream: Vec<u8>,
    /// By window, from that of `start_bit` on.
    gaps: Vec<u8>,
    /// First element, counted from the chunk's first, that starts at or after each block border in
    /// `start_bit .. end_bit`. The chunk's element count where the next chunk's first element is meant.
    pub block_starts: Vec<u32>,
    /// One byte an element.
    pub sign_mantissa: Vec<u8>,
    exponents: Box<[u8; PIECE]>,
    start_bit: u64,
    /// Where the next chunk starts.
    pub end_bit: u64,
}

impl PackedChunk {
    /// Empty buffers; they grow at the first use and are used again.
    pub fn new() -> Self {
        Self {
            stream: Vec::new(),
            gaps: Vec::new(),
            block_starts: Vec::new(),
            sign_mantissa: Vec::new(),
            exponents: Box::new([0; PIECE]),
            start_bit: 0,
            end_bit: 0,
        }
    }

    /// The chunk's bytes of the stream.
    pub fn stream(&self) -> &[u8] {
        &self.stream[..(self.end_bit.div_ceil(8) - self.start_bit / 8) as usize]
    }

    /// Gaps (0 to 31) of the windows that begin in `start_bit .. end_bit`.
    pub fn gaps(&self) -> &[u8] {
        let first = self.start_bit / WINDOW_BITS;
        let window = |bit: u64| (bit.div_ceil(WINDOW_BITS) - first) as usize;
        &self.gaps[window(self.start_bit)..window(self.end_bit)]
    }

    /// Makes this the unit's last chunk. If it ends on a byte border no end mark follows, so that a window which only
    /// the last code word reaches into has no start: its gap becomes 0.
    pub fn end_stream(&mut self) {
        let last_window = self.end_bit.div_ceil(WINDOW_BITS).saturating_sub(1);
        let index = (last_window - self.start_bit / WINDOW_BITS) as usize;
        let to_end = self.end_bit - last_window * WINDOW_BITS;
        if self.end_bit.is_multiple_of(8) && u64::from(self.gaps[index]) == to_end {
            self.gaps[index] = 0;
        }
    }
}

impl Default for PackedChunk {
    fn default() -> Self {
        Self::new()
    }
}

/// Where the packer stands. Bits are counted from the window that holds the chunk's first bit.
struct Cursor {
    accumulator: u64,
    waiting_bits: u32,
    byte: usize,
    bit: u32,
}

/// Packs little-endian BF16 words (at most 2^26) at bit `start_bit` of the stream.
///
/// Errors: [`Status::SourceChanged`] if an exponent has no code word (the source changed since it was measured).
pub fn pack_chunk(
    backend: Backend,
    table: &PackTable,
    words: &[u8],
    start_bit: u64,
    chunk: &mut PackedChunk,
) -> Result<()> {
    let elements = words.len() / 2;
    let most_bytes = (elements * table.longest).div_ceil(8) + SLACK;
    grow(&mut chunk.stream, most_bytes)?;
    grow(&mut chunk.gaps, most_bytes / 8 + 4)?;
    resize(&mut chunk.sign_mantissa, elements)?;
    chunk.block_starts.clear();
    let window_bit = start_bit / WINDOW_BITS * WINDOW_BITS;
    let mut cursor =
        Cursor { accumulator: 0, waiting_bits: (start_bit % 8) as u32, byte: 0, bit: (start_bit - window_bit) as u32 };
    chunk.gaps[0] = 0;
    let mut element = 0;
    for (piece, sign_mantissa) in words[..2 * elements].chunks(2 * PIECE).zip(chunk.sign_mantissa.chunks_mut(PIECE)) {
        let exponents = &mut chunk.exponents[..sign_mantissa.len()];
        bf16::split(backend, piece, exponents, sign_mantissa);
        for run in exponents.chunks(RUN) {
            let first_bit = window_bit + u64::from(cursor.bit);
            pack_run(backend, table, run, &mut cursor, &mut chunk.stream, &mut chunk.gaps)?;
            let border = first_bit.next_multiple_of(BLOCK_BITS);
            if border < window_bit + u64::from(cursor.bit) {
                let mut bit = first_bit;
                let before = run.iter().take_while(|exponent| {
                    let starts_before = bit < border;
                    bit += u64::from(table.lengths[usize::from(**exponent)]);
                    starts_before
                });
                chunk.block_starts.push((element + before.count()) as u32);
            }
            element += run.len();
        }
    }
    chunk.start_bit = start_bit;
    chunk.end_bit = window_bit + u64::from(cursor.bit);
    Ok(())
}

fn grow(buffer: &mut Vec<u8>, length: usize) -> Result<()> {
    if buffer.len() < length { resize(buffer, length) } else { Ok(()) }
}

fn pack_run(
    backend: Backend,
    table: &PackTable,
    exponents: &[u8],
    cursor: &mut Cursor,
    stream: &mut [u8],
    gaps: &mut [u8],
) -> Result<()> {
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions (BMI2 is part of both).
        Backend::Avx2 | Backend::Avx512 => unsafe { pack_run_bmi2(table, exponents, cursor, stream, gaps) },
        _ => pack_run_body(table, exponents, cursor, stream, gaps),
    }
}

// Shifts by a register that leave the flags alone: the same code, compiled for them.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2,lzcnt")]
fn pack_run_bmi2(
    table: &PackTable,
    exponents: &[u8],
    cursor: &mut Cursor,
    stream: &mut [u8],
    gaps: &mut [u8],
) -> Result<()> {
    pack_run_body(table, exponents, cursor, stream, gaps)
}

#[inline(always)]
fn pack_run_body(
    table: &PackTable,
    exponents: &[u8],
    cursor: &mut Cursor,
    stream: &mut [u8],
    gaps: &mut [u8],
) -> Result<()> {
    let Cursor { mut accumulator, mut waiting_bits, mut byte, mut bit } = *cursor;
    // Appends `length` bits (1 to 56). A store of 8 bytes each time, of which only whole ones count.
    let mut append = |code: u64, length: u32, stream: &mut [u8]| {
        accumulator = accumulator << length | code;
        waiting_bits += length;
        stream[byte..byte + 8].copy_from_slice(&(accumulator << (64 - waiting_bits)).to_be_bytes());
        byte += (waiting_bits / 8) as usize;
        waiting_bits %= 8;
    };
    let (fours, rest) = exponents.as_chunks::<4>();
    for four in fours {
        let [a, b, c, d] = four.map(usize::from);
        let (length_a, length_b) = (table.lengths[a], table.lengths[b]);
        let (length_c, length_d) = (table.lengths[c], table.lengths[d]);
        let length = length_a + length_b + length_c + length_d;
        if length > MAX_BITS_AT_ONCE {
            for exponent in *four {
                let code_length = code_length(table, exponent)?;
                append(u64::from(table.codes[usize::from(exponent)]), code_length, stream);
                note_gap(gaps, &mut bit, [code_length]);
            }
            continue;
        }
        let left = u64::from(table.codes[a]) << length_b | u64::from(table.codes[b]);
        let right = u64::from(table.codes[c]) << length_d | u64::from(table.codes[d]);
        append(left << (length_c + length_d) | right, length, stream);
        note_gap(gaps, &mut bit, [length_a, length_b, length_c, length_d]);
    }
    for exponent in rest {
        let code_length = code_length(table, *exponent)?;
        append(u64::from(table.codes[usize::from(*exponent)]), code_length, stream);
        note_gap(gaps, &mut bit, [code_length]);
    }
    *cursor = Cursor { accumulator, waiting_bits, byte, bit };
    Ok(())
}

/// Notes, for the window after that of `bit`, how far behind its border the first of these codes ends (where the next
/// starts), and moves `bit` past them.
///
/// Without a branch: as long as no code reaches the border, what is noted is wrong, and noted again by the next call.
/// Needs at most 64 bits in all.
#[inline(always)]
fn note_gap<const N: usize>(gaps: &mut [u8], bit: &mut u32, lengths: [u32; N]) {
    let window = *bit / WINDOW_BITS as u32;
    let border = (window + 1) * WINDOW_BITS as u32;
    let mut nearest = u32::MAX;
    for length in lengths {
        *bit += length;
        // An end before the border wraps to a huge distance.
        nearest = nearest.min(bit.wrapping_sub(border));
    }
    gaps[window as usize + 1] = nearest as u8;
}

fn code_length(table: &PackTable, exponent: u8) -> Result<u32> {
    match table.lengths[usize::from(exponent)] {
        ABSENT => Err(KernelError::new(
            Status::SourceChanged,
            format!("exponent {exponent} was not there when the weights were measured: the source has changed"),
        )),
        length => Ok(length),
    }
}
