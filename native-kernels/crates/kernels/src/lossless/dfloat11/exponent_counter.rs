//! Counts of exponents, fast.

use super::super::bf16;
use crate::cpu::Backend;

/// Words split at a time: exponents and sign+mantissa bytes stay in the first-level cache.
const PIECE: usize = 8192;
/// Tables counted into by turns, so that a run of equal exponents doesn't wait for its own last store.
const TABLES: usize = 8;

/// Counts the exponents of BF16 words.
pub struct ExponentCounter {
    backend: Backend,
    tables: Box<[[u32; 256]; TABLES]>,
    exponents: Box<[u8; PIECE]>,
    unused: Box<[u8; PIECE]>,
}

impl ExponentCounter {
    /// A counter with every count at 0.
    pub fn new(backend: Backend) -> Self {
        Self {
            backend,
            tables: Box::new([[0; 256]; TABLES]),
            exponents: Box::new([0; PIECE]),
            unused: Box::new([0; PIECE]),
        }
    }

    /// Counts the exponents of little-endian BF16 words, fewer than 2^31 of them, from 0 on.
    pub fn count(&mut self, words: &[u8]) -> [u32; 256] {
        self.tables.fill([0; 256]);
        for piece in words.chunks(2 * PIECE) {
            let length = piece.len() / 2;
            let exponents = &mut self.exponents[..length];
            bf16::split(self.backend, &piece[..2 * length], exponents, &mut self.unused[..length]);
            let (groups, rest) = exponents.as_chunks::<TABLES>();
            for group in groups {
                for (table, exponent) in self.tables.iter_mut().zip(group) {
                    table[usize::from(*exponent)] += 1;
                }
            }
            rest.iter().for_each(|exponent| self.tables[0][usize::from(*exponent)] += 1);
        }
        std::array::from_fn(|exponent| self.tables.iter().map(|table| table[exponent]).sum())
    }
}
