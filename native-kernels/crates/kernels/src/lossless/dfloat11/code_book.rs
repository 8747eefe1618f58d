//! The code book of a unit: code words, tables, and where they come from.

use super::huffman::{Code, PrefixCode, prefix_code};
use super::luts::decode_rows;
use super::{FIRST_POINTER, MAX_CODE_BITS, MAX_ELEMENTS};
use crate::error::{KernelError, Result, Status};

/// How a code book came about, and so whether the official compressor would have written the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BookOrigin {
    /// Code and tables are the official ones.
    Official,
    /// The 32-bit limiter had to choose among exponents of equal frequency; the official choice is unspecified.
    LimiterTie,
    /// The official compressor fails on this code; its unused table entries are filled in our own way.
    SafeFill,
    /// The one-bit code word was made two bits long, so that no block has more elements than the official kernel's
    /// shared memory holds.
    MinimumLength2,
}

impl BookOrigin {
    /// Whether the stored bytes are those of the official compressor 0.5.0.
    pub fn is_official_bytes(self) -> bool {
        self == Self::Official
    }

    /// A name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::LimiterTie => "limiter-tie",
            Self::SafeFill => "safe-fill",
            Self::MinimumLength2 => "minimum-length-2",
        }
    }
}

/// A Huffman code of exponents (1 to 32 bits a code word) with its lookup tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeBook {
    code: PrefixCode,
    rows: Vec<[u8; 256]>,
    origin: BookOrigin,
}

impl CodeBook {
    /// The code book that the official compressor makes of these counts of exponents, or the nearest that works.
    ///
    /// Source: arXiv:2504.11651, "Method", with the merge order, 32-bit limiter and tables of the official compressor.
    ///
    /// Errors: [`Status::Unrepresentable`] if there are no elements or more than 2^31 - 1, if an exponent is 240 or
    /// above (NaN, infinity, or a magnitude from 2^113 on), or if the code needs more than 17 decoding rows.
    pub fn from_histogram(histogram: &[u64; 256]) -> Result<Self> {
        let refuse = |what: String| Err(KernelError::new(Status::Unrepresentable, what));
        let elements = histogram.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
        if elements == 0 {
            return refuse("DFloat11 cannot hold a unit without elements".into());
        }
        if elements > MAX_ELEMENTS {
            return refuse(format!("the unit has {elements} elements, DFloat11 holds at most {MAX_ELEMENTS} in one"));
        }
        let high: u64 = histogram[usize::from(FIRST_POINTER)..].iter().sum();
        if high > 0 {
            return refuse(format!(
                "{high} of {elements} weights are NaN, infinite or at least 2^113 in magnitude (exponent {FIRST_POINTER} or \
                 above), which DFloat11 cannot hold"
            ));
        }
        let code = prefix_code(histogram);
        let origin = if code.tie { BookOrigin::LimiterTie } else { BookOrigin::Official };
        Self::assemble(code, origin)
    }

    /// The same code with the one-bit code word made two bits long, or this book if it has none.
    ///
    /// Any prefix code suits the kernel; with two bits at least, a block of 32,768 bits has at most 16,384 elements.
    pub(super) fn with_minimum_length_two(&self) -> Result<Self> {
        let mut code = self.code.clone();
        let Some(short) = code.exponents.iter_mut().find(|code| code.length == 1) else { return Ok(self.clone()) };
        *short = Code { bits: short.bits << 1, length: 2 };
        Self::assemble(code, BookOrigin::MinimumLength2)
    }

    pub(super) fn assemble(code: PrefixCode, origin: BookOrigin) -> Result<Self> {
        let tables = decode_rows(&code)?;
        let origin = match origin {
            BookOrigin::Official | BookOrigin::LimiterTie if !tables.official => BookOrigin::SafeFill,
            origin => origin,
        };
        Ok(Self { code, rows: tables.rows, origin })
    }

    /// How it came about.
    pub fn origin(&self) -> BookOrigin {
        self.origin
    }

    /// The tensor `luts`: `lut_rows() x 256` bytes, decoding rows first, then the code length of each exponent.
    pub fn luts(&self) -> Vec<u8> {
        let lengths = self.code.exponents.map(|code| code.length);
        self.rows.iter().chain(std::iter::once(&lengths)).flatten().copied().collect()
    }

    /// Rows of the tensor `luts`, the row of lengths included: 2 to 18.
    pub fn lut_rows(&self) -> u32 {
        self.rows.len() as u32 + 1
    }

    /// Bits of an exponent's code word: 1 to 32, or 0 if it has none.
    pub fn length(&self, exponent: u8) -> u8 {
        self.code.exponents[usize::from(exponent)].length
    }

    /// Bits of the end mark's code word: 1 to 32.
    pub fn end_mark_length(&self) -> u8 {
        self.code.end.length
    }

    /// Bits of the longest code word, the end mark's not counted: 1 to 32.
    pub fn longest(&self) -> u8 {
        self.code.exponents.iter().map(|code| code.length).max().unwrap_or(0)
    }

    /// Bits of a stream with these counts of exponents, without the end mark. Exponents without a code word count 0.
    pub fn total_bits(&self, histogram: &[u64; 256]) -> u64 {
        histogram
            .iter()
            .zip(&self.code.exponents)
            .fold(0, |bits: u64, (count, code)| bits.saturating_add(count.saturating_mul(u64::from(code.length))))
    }

    /// The code word of an exponent, right-aligned.
    pub(super) fn code(&self, exponent: u8) -> Code {
        self.code.exponents[usize::from(exponent)]
    }

    /// What fills the low `8 - used_bits` bits of the stream's last byte: the end mark's leading bits, then zeros.
    /// `used_bits` is 1 to 7.
    pub(super) fn padding(&self, used_bits: u32) -> u8 {
        let left_aligned = self.code.end.bits << (u32::from(MAX_CODE_BITS) - u32::from(self.code.end.length));
        ((left_aligned >> 24) as u8) >> used_bits
    }

    #[cfg(test)]
    pub(super) fn prefix_code(&self) -> &PrefixCode {
        &self.code
    }
}
