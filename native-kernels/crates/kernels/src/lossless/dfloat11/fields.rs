//! Where the five stored tensors of a unit lie.

use crate::files::ByteRange;

/// The byte ranges of a unit's five tensors, all of dtype U8. (`split_positions` is the caller's: it holds the
/// cumulative element counts of the concatenated tensors, which the coder doesn't need.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFields {
    /// `luts`, shape [rows, 256]: decoding rows, then the row of code lengths.
    pub luts: ByteRange,
    /// `encoded_exponent`, the bit stream, most significant bit first.
    pub encoded_exponent: ByteRange,
    /// `sign_mantissa`, one byte an element.
    pub sign_mantissa: ByteRange,
    /// `output_positions`, u32 little-endian as bytes: each block's first element, then the element count.
    pub output_positions: ByteRange,
    /// `gaps`, 5 bits a window, 320 bytes a block.
    pub gaps: ByteRange,
}
