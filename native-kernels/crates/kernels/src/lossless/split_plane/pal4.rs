//! `pal4`: a palette of 16 symbols, four bits an element, and a list of the elements outside it. For kernels that decode
//! while they multiply.
//!
//! ```text
//! blob    u32 fix_start[chunks + 1] | nibbles | zeros to a multiple of 4 | fix-ups      fix_start counts fix-ups
//! nibbles element 2i in the low half of byte i
//! fix-up  u16 index in the chunk | u8 symbol | u8 0        ascending; the element's nibble is 0
//! ```

use super::{BookEntry, CHUNK_ELEMENTS};
use crate::error::{KernelError, Result};

/// Bytes of a fix-up.
pub(super) const FIX_BYTES: usize = 4;

/// Where the parts of a blob of `elements` elements lie.
pub(super) struct Layout {
    pub(super) chunks: u64,
    /// Bytes before the nibbles.
    pub(super) head_bytes: u64,
    /// Bytes of the nibbles with their padding.
    pub(super) nibble_bytes: u64,
}

impl Layout {
    pub(super) fn of(elements: u64) -> Self {
        let chunks = elements.div_ceil(CHUNK_ELEMENTS as u64);
        Self { chunks, head_bytes: 4 * (chunks + 1), nibble_bytes: elements.div_ceil(2).next_multiple_of(4) }
    }
}

/// Codes planes with one palette.
pub(super) struct Pal4Encoder {
    /// Nibble by symbol, 16 where there is none.
    nibbles: [u8; 256],
}

impl Pal4Encoder {
    /// The book must have passed [`super::book::check_palette`].
    pub(super) fn new(book: &[BookEntry]) -> Self {
        let mut nibbles = [16; 256];
        for (nibble, (symbol, _)) in book.iter().enumerate().rev() {
            nibbles[usize::from(*symbol)] = nibble as u8;
        }
        Self { nibbles }
    }

    /// Appends the nibbles of `symbols` (which start at a chunk border) to `out`, their fix-ups to `fixes` and the number
    /// of fix-ups of each chunk, u32, to `counts`.
    pub(super) fn encode(&self, symbols: &[u8], out: &mut Vec<u8>, fixes: &mut Vec<u8>, counts: &mut Vec<u8>) {
        for chunk in symbols.chunks(CHUNK_ELEMENTS) {
            let before = fixes.len();
            let mut nibble = |index: usize, symbol: u8| -> u8 {
                let nibble = self.nibbles[usize::from(symbol)];
                if nibble < 16 {
                    return nibble;
                }
                fixes.extend_from_slice(&[index as u8, (index >> 8) as u8, symbol, 0]);
                0
            };
            for (index, pair) in chunk.chunks(2).enumerate() {
                let low = nibble(2 * index, pair[0]);
                let high = pair.get(1).map_or(0, |symbol| nibble(2 * index + 1, *symbol));
                out.push(low | (high << 4));
            }
            let count = (fixes.len() - before) / FIX_BYTES;
            counts.extend_from_slice(&(count as u32).to_le_bytes());
        }
        out.resize(out.len().next_multiple_of(4), 0);
    }
}

/// Decodes planes with one palette.
pub(super) struct Pal4Decoder {
    /// Both symbols of a byte, the low nibble's first.
    pairs: Vec<[u8; 2]>,
}

impl Pal4Decoder {
    /// The book must have passed [`super::book::check_palette`].
    pub(super) fn new(book: &[BookEntry]) -> Self {
        Self { pairs: (0..256).map(|byte| [book[byte & 15].0, book[byte >> 4].0]).collect() }
    }

    /// Decodes nibbles; whatever follows the last one must be zero.
    pub(super) fn decode(&self, nibbles: &[u8], symbols: &mut [u8]) -> Result<()> {
        let (pairs, last) = symbols.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(nibbles) {
            *pair = self.pairs[usize::from(*byte)];
        }
        let mut rest = &nibbles[pairs.len()..];
        if let ([symbol], [byte, after @ ..]) = (&mut *last, rest) {
            *symbol = self.pairs[usize::from(*byte)][0];
            if byte >> 4 != 0 {
                return Err(KernelError::malformed("the half byte after the last pal4 element is not zero"));
            }
            rest = after;
        }
        if rest.iter().any(|byte| *byte != 0) {
            return Err(KernelError::malformed("the bytes after the last pal4 element are not zero"));
        }
        Ok(())
    }

    /// Puts the fix-ups of one chunk in place.
    pub(super) fn fix(fixes: &[u8], nibbles: &[u8], symbols: &mut [u8]) -> Result<()> {
        let mut next = 0;
        for [low, high, symbol, zero] in fixes.as_chunks::<FIX_BYTES>().0 {
            let index = usize::from(u16::from_le_bytes([*low, *high]));
            if index < next
                || index >= symbols.len()
                || *zero != 0
                || (nibbles[index / 2] >> (4 * (index & 1))) & 15 != 0
            {
                return Err(KernelError::malformed(format!(
                    "a pal4 fix-up of element {index} of {} is out of order, out of range or has a nibble",
                    symbols.len()
                )));
            }
            symbols[index] = *symbol;
            next = index + 1;
        }
        Ok(())
    }
}
