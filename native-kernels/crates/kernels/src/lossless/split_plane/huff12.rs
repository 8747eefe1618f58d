//! `huff12`: a canonical Huffman code of at most 12 bits in blocks of 128 elements, for decoders without wide vectors.
//!
//! ```text
//! blob  u32 start[ceil(blocks / 32)] | u8 bytes[blocks] | zeros to a multiple of 4 | stream
//! ```
//! `start` is where every 32nd block begins in the stream, `bytes` how long each block is. Codes are ordered by (length,
//! symbol), the first is all zeros, and they are written most significant bit first; a block's last byte is filled up
//! with zeros.

use super::BookEntry;
use super::book::MAX_CODE_BITS;
use crate::error::{KernelError, Result};

/// Elements of a block.
pub(super) const BLOCK_ELEMENTS: usize = 128;

/// Blocks between two entries of the start table.
pub(super) const BLOCKS_PER_START: usize = 32;

/// The longest block: 128 codes of 12 bits.
pub(super) const MAX_BLOCK_BYTES: usize = BLOCK_ELEMENTS * MAX_CODE_BITS as usize / 8;

/// Bytes a decoder may read behind a block that lies about its length: every code is at most 12 bits, and a load is 8
/// bytes.
pub(super) const SLACK_BYTES: usize = MAX_BLOCK_BYTES + 8;

/// Where the parts of a blob of `elements` elements lie.
pub(super) struct Layout {
    pub(super) blocks: u64,
    pub(super) starts: u64,
    /// Bytes before the stream.
    pub(super) head_bytes: u64,
}

impl Layout {
    pub(super) fn of(elements: u64) -> Self {
        let blocks = elements.div_ceil(BLOCK_ELEMENTS as u64);
        let starts = blocks.div_ceil(BLOCKS_PER_START as u64);
        Self { blocks, starts, head_bytes: (4 * starts + blocks).next_multiple_of(4) }
    }
}

/// (code, length) by symbol; length 0 where there is none.
fn canonical_codes(book: &[BookEntry]) -> [(u32, u32); 256] {
    let mut order: Vec<BookEntry> = book.to_vec();
    order.sort_by_key(|(symbol, length)| (*length, *symbol));
    let mut codes = [(0, 0); 256];
    let (mut code, mut previous) = (0_u32, order.first().map_or(0, |entry| u32::from(entry.1)));
    for (symbol, length) in order {
        let length = u32::from(length);
        code <<= length - previous;
        codes[usize::from(symbol)] = (code, length);
        code += 1;
        previous = length;
    }
    codes
}

/// Codes planes with one book.
pub(super) struct Huff12Encoder {
    codes: [(u32, u32); 256],
}

impl Huff12Encoder {
    /// The book must have passed [`super::book::check_lengths`].
    pub(super) fn new(book: &[BookEntry]) -> Self {
        Self { codes: canonical_codes(book) }
    }

    /// Appends the blocks of `symbols` to `out` and the length of each, one byte, to `lengths`.
    pub(super) fn encode(&self, symbols: &[u8], out: &mut Vec<u8>, lengths: &mut Vec<u8>) -> Result<()> {
        for block in symbols.chunks(BLOCK_ELEMENTS) {
            let before = out.len();
            let (mut bits, mut held) = (0_u64, 0_u32);
            for symbol in block {
                let (code, length) = self.codes[usize::from(*symbol)];
                if length == 0 {
                    return Err(super::source_changed());
                }
                bits = (bits << length) | u64::from(code);
                held += length;
                if held >= 32 {
                    held -= 32;
                    out.extend_from_slice(&((bits >> held) as u32).to_be_bytes());
                }
            }
            let last = ((bits << (32 - held)) as u32).to_be_bytes();
            out.extend_from_slice(&last[..held.div_ceil(8) as usize]);
            lengths.push((out.len() - before) as u8);
        }
        Ok(())
    }

    /// The start table, block lengths and padding, from the lengths of all blocks; `None` past 32 bits.
    pub(super) fn head(lengths: &[u8]) -> Option<Vec<u8>> {
        let mut head = Vec::new();
        let mut start = 0_u64;
        for group in lengths.chunks(BLOCKS_PER_START) {
            head.extend_from_slice(&u32::try_from(start).ok()?.to_le_bytes());
            start += group.iter().map(|length| u64::from(*length)).sum::<u64>();
        }
        head.extend_from_slice(lengths);
        head.resize(head.len().next_multiple_of(4), 0);
        Some(head)
    }
}

/// Decodes planes with one book.
pub(super) struct Huff12Decoder {
    /// By the next 12 bits: symbol | length << 8.
    table: Vec<u16>,
    single: Option<u8>,
}

impl Huff12Decoder {
    /// The book must have passed [`super::book::check_lengths`].
    pub(super) fn new(book: &[BookEntry]) -> Self {
        let codes = canonical_codes(book);
        let mut table = vec![0; 1 << MAX_CODE_BITS];
        for (symbol, _) in book {
            let (code, length) = codes[usize::from(*symbol)];
            let room = MAX_CODE_BITS - length;
            let first = (code << room) as usize;
            table[first..first + (1 << room)].fill(u16::from(*symbol) | (length as u16) << 8);
        }
        Self { table, single: (book.len() == 1).then(|| book[0].0) }
    }

    /// Decodes consecutive blocks; `stored` holds the blocks' bytes and [`SLACK_BYTES`] more of any content.
    pub(super) fn decode(&self, stored: &[u8], lengths: &[u8], symbols: &mut [u8]) -> Result<()> {
        let mut start = 0;
        for (block, length) in symbols.chunks_mut(BLOCK_ELEMENTS).zip(lengths) {
            let end = start + usize::from(*length);
            let bits = match self.single {
                Some(symbol) => {
                    block.fill(symbol);
                    block.len()
                }
                None => self.decode_block(&stored[start..start + SLACK_BYTES], block),
            };
            if bits.div_ceil(8) != usize::from(*length) {
                return Err(KernelError::malformed(format!(
                    "a huff12 block of {length} bytes has codes of {bits} bits"
                )));
            }
            // The padding is zero; so is all of a block whose only code is one zero bit.
            let clear_from = if self.single.is_some() { 0 } else { bits };
            let last = stored[start..end].iter().enumerate().skip(clear_from / 8);
            for (index, byte) in last {
                let used = clear_from.saturating_sub(8 * index).min(8) as u32;
                if u32::from(*byte) & (0xff >> used) != 0 {
                    return Err(KernelError::malformed("a huff12 block does not end in zero bits"));
                }
            }
            start = end;
        }
        Ok(())
    }

    /// Answers how many bits the block's codes took.
    #[inline]
    fn decode_block(&self, stored: &[u8], block: &mut [u8]) -> usize {
        let mut bit = 0_usize;
        for symbols in block.chunks_mut(4) {
            let eight: &[u8; 8] = stored[bit / 8..].first_chunk().unwrap_or(&[0; 8]);
            // Four codes of 12 bits and 7 bits of a started byte fit.
            let mut window = u64::from_be_bytes(*eight) << (bit % 8);
            for symbol in symbols {
                let entry = self.table[(window >> (64 - MAX_CODE_BITS)) as usize];
                *symbol = entry as u8;
                let length = u32::from(entry >> 8);
                window <<= length;
                bit += length as usize;
            }
        }
        bit
    }
}
