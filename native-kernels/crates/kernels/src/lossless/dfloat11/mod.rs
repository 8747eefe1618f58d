//! DFloat11, in the official layout of version 0.5.0 (lossless coding of BF16 weights by a Huffman code of exponents).
//!
//! Source: arXiv:2504.11651 (section "Method") and the layout that the official compressor writes. A *unit* is a run of
//! BF16 tensors, concatenated. Its exponents share one Huffman code; signs and mantissas are stored as they are. See
//! `README.md` beside this file for the drawing.
//!
//! Two streaming passes write a unit ([`measure`], then [`encode`]), one reads it ([`decode`]). All work in bounded
//! memory and give the same bytes at any thread count.

mod block_group;
mod code_book;
mod decode;
mod encode;
mod exponent_counter;
mod fields;
mod huffman;
#[doc(hidden)]
pub mod in_memory;
mod index_writer;
mod lookup;
mod luts;
mod pack;
mod plan;
#[cfg(test)]
mod reference;
mod scratch;
#[cfg(test)]
mod tests;
mod unpack;

pub use code_book::{BookOrigin, CodeBook};
pub use decode::decode;
pub use encode::encode;
pub use fields::UnitFields;
pub use plan::{UnitPlan, measure, plan_from_histogram};

/// Bytes of the bit stream that one thread block of the official kernel decodes.
pub const BLOCK_BYTES: u64 = 4096;
/// Bits of such a block.
pub(crate) const BLOCK_BITS: u64 = 8 * BLOCK_BYTES;
/// Bits of the stream that one thread of the official kernel decodes: a window.
pub(crate) const WINDOW_BITS: u64 = 64;
/// Windows in a block.
pub(crate) const WINDOWS_PER_BLOCK: usize = 512;
/// Bytes of the gap index for a block: 5 bits a window.
pub const GAP_BYTES_PER_BLOCK: u64 = 320;
/// The kernel's counters are 32-bit and signed.
pub const MAX_ELEMENTS: u64 = (1 << 31) - 1;
/// Above this the kernel's bounds test (block start + 4096) wraps.
pub const MAX_STREAM_BYTES: u64 = (1 << 31) - 4096;
/// The launch gets at most 48 KiB of shared memory: 2,052 bytes of counters, then 2 bytes an element of the block.
pub const MAX_BLOCK_ELEMENTS: u64 = (49_152 - 2_052) / 2;
/// Code lengths are at most this: a window and four bytes of the next are all that a thread of the kernel loads.
pub(crate) const MAX_CODE_BITS: u8 = 32;
/// Table values from here on are pointers to other rows (255 to row 1, 240 to row 16), so that no exponent from here
/// on can be held.
pub(crate) const FIRST_POINTER: u8 = 240;
/// Decoding rows that a one-byte pointer can reach: row 0 and rows 1 to 16.
pub(crate) const MAX_DECODE_ROWS: usize = 17;
