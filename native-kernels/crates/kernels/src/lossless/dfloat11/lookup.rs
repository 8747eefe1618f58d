//! Reading with the stored tables: one code word at a time as the official kernel does, and many at once.

use super::{FIRST_POINTER, MAX_CODE_BITS, MAX_DECODE_ROWS};
use crate::error::{KernelError, Result};

/// Bits that index the table of several code words. 12 give 32 KiB, which the first-level cache of this century's
/// processors holds beside the buffers of a block.
pub(super) const INDEX_BITS: u32 = 12;
/// Code words that an entry holds at most.
pub(super) const MAX_SYMBOLS: u32 = 4;

/// The tensor `luts`, checked.
pub struct Lookup {
    rows: Vec<[u8; 256]>,
    lengths: [u8; 256],
    entries: Box<[Entry; 1 << INDEX_BITS]>,
}

/// The code words that begin with an index.
///
/// ```text
/// bits  0..32  exponents, the first lowest; unused ones 0
/// bits 32..40  how many (0: the first code word is longer than the index, or none that is allowed)
/// bits 40..48  how many bits they have
/// bits 48..61  bit 48 + i: one of them ends after i bits
/// ```
#[derive(Clone, Copy, Default)]
pub(super) struct Entry(u64);

impl Entry {
    #[inline(always)]
    pub fn exponents(self) -> u32 {
        self.0 as u32
    }

    #[inline(always)]
    pub fn count(self) -> u32 {
        (self.0 >> 32) as u32 & 0xff
    }

    #[inline(always)]
    pub fn bits(self) -> u32 {
        (self.0 >> 40) as u32 & 0xff
    }

    #[inline(always)]
    pub fn ends(self) -> u32 {
        (self.0 >> 48) as u32
    }

    fn push(&mut self, exponent: u8, length: u32) {
        let bits = self.bits() + length;
        self.0 |= u64::from(exponent) << (8 * self.count());
        self.0 = ((self.0 & !(0xff << 40)) + (1 << 32)) | (u64::from(bits) << 40) | (1 << (48 + bits));
    }
}

impl Lookup {
    /// Checks the tensor `luts` and prepares it for reading.
    ///
    /// Pointers that can be reached within the kernel's four lookups must lead to rows 1 to R - 1, exponents that can be
    /// reached must have a length (0 would make the kernel loop), and lengths are at most 32. A pointer left in
    /// unused entries by the official compressor's fill is allowed; a code word that leads there isn't.
    ///
    /// Errors: [`crate::Status::Malformed`].
    pub fn new(luts: &[u8]) -> Result<Self> {
        let (rows, rest) = luts.as_chunks::<256>();
        let (lengths, rows) = match rows.split_last() {
            Some((lengths, rows)) if rest.is_empty() && !rows.is_empty() && rows.len() <= MAX_DECODE_ROWS => {
                (*lengths, rows.to_vec())
            }
            _ => {
                return Err(KernelError::malformed(format!(
                    "\"luts\" has {} bytes, expected 2 to {} rows of 256",
                    luts.len(),
                    MAX_DECODE_ROWS + 1
                )));
            }
        };
        if let Some(exponent) = lengths.iter().position(|length| *length > MAX_CODE_BITS) {
            return Err(KernelError::malformed(format!(
                "\"luts\" gives exponent {exponent} a code word of {} bits, {MAX_CODE_BITS} is the most",
                lengths[exponent]
            )));
        }
        let mut lookup = Self { rows, lengths, entries: Box::new([Entry::default(); 1 << INDEX_BITS]) };
        lookup.check_reachable()?;
        lookup.fill_entries();
        Ok(lookup)
    }

    /// The code word that the most significant bits of `bits` begin with: its exponent and length (1 to 32). `None` if
    /// the tables lead to an exponent whose length doesn't fit the row, which no real code word does.
    pub fn exponent(&self, bits: u32) -> Option<(u8, u32)> {
        let mut row = 0;
        for (depth, byte) in bits.to_be_bytes().into_iter().enumerate() {
            let value = self.rows[row][usize::from(byte)];
            if depth == 3 || value < FIRST_POINTER {
                let length = self.lengths[usize::from(value)];
                let fits = length > 0 && usize::from(length - 1) / 8 == depth;
                return fits.then_some((value, u32::from(length)));
            }
            // In range: `check_reachable` has followed every pointer of the first three lookups.
            row = 256 - usize::from(value);
        }
        None
    }

    #[inline(always)]
    pub(super) fn entries(&self) -> &[Entry; 1 << INDEX_BITS] {
        &self.entries
    }

    fn check_reachable(&self) -> Result<()> {
        let mut reached = vec![0_usize];
        for depth in 0..4 {
            let mut next = Vec::new();
            for (row, value) in reached.iter().flat_map(|row| self.rows[*row].iter().map(move |value| (*row, *value))) {
                if depth < 3 && value >= FIRST_POINTER {
                    let target = 256 - usize::from(value);
                    if target >= self.rows.len() {
                        return Err(KernelError::malformed(format!(
                            "row {row} of \"luts\" points to row {target}, of {} decoding rows",
                            self.rows.len()
                        )));
                    }
                    if !next.contains(&target) {
                        next.push(target);
                    }
                } else if value < FIRST_POINTER && self.lengths[usize::from(value)] == 0 {
                    return Err(KernelError::malformed(format!(
                        "row {row} of \"luts\" leads to exponent {value}, which has length 0: a decoder would loop"
                    )));
                }
            }
            reached = next;
        }
        Ok(())
    }

    /// Decodes every index as far as its bits alone decide, whatever the tables hold: an entry is what
    /// [`Lookup::exponent`] gives for all bits that may follow.
    fn fill_entries(&mut self) {
        // known[r][x]: the code word of length <= r that r bits x begin with, if they decide it.
        let known: Vec<Vec<Option<(u8, u32)>>> = (0..=8)
            .map(|known_bits| {
                (0..1_u32 << known_bits)
                    .map(|value| {
                        let first = value << (8 - known_bits);
                        let decoded = self.exponent(first << 24)?;
                        let same = (first..first + (1 << (8 - known_bits)))
                            .all(|byte| self.rows[0][byte as usize] == self.rows[0][first as usize]);
                        (same && decoded.1 <= known_bits).then_some(decoded)
                    })
                    .collect()
            })
            .collect();
        for index in 0..1_u32 << INDEX_BITS {
            let mut entry = Entry::default();
            while entry.count() < MAX_SYMBOLS {
                let left = INDEX_BITS - entry.bits();
                let value = index & ((1 << left) - 1);
                let decoded = if left >= 8 {
                    known[8][(value >> (left - 8)) as usize]
                } else {
                    known[left as usize][value as usize]
                };
                // A longer code word counts if its second row decides it with the bits that are left.
                let Some((exponent, length)) = decoded.or_else(|| self.long(value, left)) else { break };
                entry.push(exponent, length);
            }
            self.entries[index as usize] = entry;
        }
    }

    /// The code word of 9 to `left` bits that `left` bits begin with, if they decide it.
    fn long(&self, value: u32, left: u32) -> Option<(u8, u32)> {
        let first = value.checked_shl(32 - left).filter(|_| left > 8)?;
        let decoded = self.exponent(first).filter(|(_, length)| (9..=left).contains(length))?;
        let row = 256 - usize::from(self.rows[0][(first >> 24) as usize]);
        let byte = (first >> 16) as u8 as usize;
        let same = (byte..byte + (1 << (16 - left))).all(|byte| self.rows[row][byte] == decoded.0);
        same.then_some(decoded)
    }
}
