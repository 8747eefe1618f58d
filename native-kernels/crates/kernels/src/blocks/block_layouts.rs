//! The blocks as they lie in a file: little-endian, packed, without alignment. All fields are bytes.
//!
//! Source: the GGUF documentation and ggml's `ggml-common.h`. `d`, `m` and `dmin` are IEEE halves.

/// 32 weights of 4 bits. Byte `j` of `qs` has the code of weight `j` below that of weight `j + 16`. 4.5 bits per weight.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlockQ4_0 {
    pub d: [u8; 2],
    pub qs: [u8; 16],
}

/// 32 weights of 4 bits with a minimum. 5 bits per weight.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlockQ4_1 {
    pub d: [u8; 2],
    pub m: [u8; 2],
    pub qs: [u8; 16],
}

/// 32 weights of 5 bits: bit `j` of `qh` is the fifth bit of weight `j`. 5.5 bits per weight.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlockQ5_0 {
    pub d: [u8; 2],
    pub qh: [u8; 4],
    pub qs: [u8; 16],
}

/// 32 weights of 5 bits with a minimum. 6 bits per weight.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlockQ5_1 {
    pub d: [u8; 2],
    pub m: [u8; 2],
    pub qh: [u8; 4],
    pub qs: [u8; 16],
}

/// 32 weights of 8 bits, signed. 8.5 bits per weight.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlockQ8_0 {
    pub d: [u8; 2],
    pub qs: [u8; 32],
}

/// 256 weights of 2 bits; 16 scales (low nibbles) and minimums (high nibbles). Byte `l` of each half of `qs` has weights
/// `l`, `l + 32`, `l + 64`, `l + 96` of a half, lowest bits first. 2.625 bits per weight.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlockQ2K {
    pub scales: [u8; 16],
    pub qs: [u8; 64],
    pub d: [u8; 2],
    pub dmin: [u8; 2],
}

/// 256 weights of 3 bits; bit `i / 32` of `hmask[i % 32]` is the third bit, `qs` as in Q2_K; 16 scales of 6 bits, less 32.
/// 3.4375 bits per weight.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlockQ3K {
    pub hmask: [u8; 32],
    pub qs: [u8; 64],
    pub scales: [u8; 12],
    pub d: [u8; 2],
}

/// 256 weights of 4 bits; 8 scales and 8 minimums of 6 bits in 12 bytes. Of each 64 weights, 32 bytes hold the first 32 in
/// their low nibbles. 4.5 bits per weight.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlockQ4K {
    pub d: [u8; 2],
    pub dmin: [u8; 2],
    pub scales: [u8; 12],
    pub qs: [u8; 128],
}

/// 256 weights of 5 bits: as Q4_K, and bit `i / 32` of `qh[i % 32]` is the fifth bit. 5.5 bits per weight.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlockQ5K {
    pub d: [u8; 2],
    pub dmin: [u8; 2],
    pub scales: [u8; 12],
    pub qh: [u8; 32],
    pub qs: [u8; 128],
}

/// 256 weights of 6 bits: low four in `ql`, high two in `qh`; 16 signed scales. 6.5625 bits per weight.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlockQ6K {
    pub ql: [u8; 128],
    pub qh: [u8; 64],
    pub scales: [i8; 16],
    pub d: [u8; 2],
}

/// 32 weights of 4 bits, looked up in a table of 16 levels; packed as Q4_0. 4.5 bits per weight.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlockIq4Nl {
    pub d: [u8; 2],
    pub qs: [u8; 16],
}

/// 256 weights: eight times 32 as in IQ4_NL, each with a scale of 6 bits, less 32: its low four bits in `scales_l`, its
/// high two in `scales_h`. 4.25 bits per weight.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct BlockIq4Xs {
    pub d: [u8; 2],
    pub scales_h: [u8; 2],
    pub scales_l: [u8; 4],
    pub qs: [u8; 128],
}

/// A struct of bytes alone, as the file has it.
///
/// # Safety
///
/// The type must be `repr(C)`, of alignment 1, without padding, and valid for any bytes.
pub unsafe trait Layout: Copy {
    /// Bytes as blocks; a rest that is no whole block is left out.
    fn blocks(bytes: &[u8]) -> &[Self] {
        const { assert!(align_of::<Self>() == 1 && size_of::<Self>() > 0) };
        let count = bytes.len() / size_of::<Self>();
        // SAFETY: alignment is 1, `count` blocks lie within the bytes, and any bytes are valid blocks.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), count) }
    }
}

macro_rules! layouts {
    ($($block:ty: $bytes:literal;)*) => {$(
        const _: () = assert!(size_of::<$block>() == $bytes);
        // SAFETY: `repr(C)` structs whose fields are arrays of bytes: no padding, alignment 1, every pattern valid.
        unsafe impl Layout for $block {}
    )*};
}

layouts! {
    BlockQ4_0: 18;
    BlockQ4_1: 20;
    BlockQ5_0: 22;
    BlockQ5_1: 24;
    BlockQ8_0: 34;
    BlockQ2K: 84;
    BlockQ3K: 110;
    BlockQ4K: 144;
    BlockQ5K: 176;
    BlockQ6K: 210;
    BlockIq4Nl: 18;
    BlockIq4Xs: 136;
}

/// The 16 levels of IQ4_NL and IQ4_XS.
pub const IQ4_LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// The value of an IEEE half; exact, NaN payloads kept.
#[inline(always)]
pub fn half(bytes: [u8; 2]) -> f32 {
    let word = u32::from(u16::from_le_bytes(bytes));
    // Exponent and mantissa moved to single precision's places, and the exponent by the difference of the biases.
    let magnitude = (word & 0x7fff) << 13;
    let normal = magnitude + (112 << 23);
    // A subnormal half is its mantissa below 2^-14. Multiplying a subnormal float instead would cost a hundred cycles.
    let subnormal = f32::from_bits(magnitude + (113 << 23)) - f32::from_bits(113 << 23);
    let finite = if word & 0x7c00 == 0 { subnormal.to_bits() } else { normal };
    let largest = u32::from(word & 0x7c00 == 0x7c00) * 0x7f80_0000;
    f32::from_bits(finite | largest | ((word & 0x8000) << 16))
}

/// Scale and minimum `j` (0 to 7) of Q4_K and Q5_K, 6 bits each.
#[inline(always)]
pub fn scale_and_minimum(j: usize, s: &[u8; 12]) -> (u8, u8) {
    if j < 4 {
        (s[j] & 63, s[j + 4] & 63)
    } else {
        ((s[j + 4] & 15) | ((s[j - 4] >> 6) << 4), (s[j + 4] >> 4) | ((s[j] >> 6) << 4))
    }
}

/// The 16 scales of Q3_K, less 32.
#[inline(always)]
pub fn q3k_scales(s: &[u8; 12]) -> [i8; 16] {
    std::array::from_fn(|j| {
        let low = if j < 8 { s[j] & 15 } else { s[j - 8] >> 4 };
        let high = (s[8 + j % 4] >> (2 * (j / 4))) & 3;
        (low | (high << 4)) as i8 - 32
    })
}

/// Scale `j` (0 to 7) of IQ4_XS, less 32.
#[inline(always)]
pub fn iq4xs_scale(j: usize, block: &BlockIq4Xs) -> i32 {
    let low = (block.scales_l[j / 2] >> (4 * (j % 2))) & 15;
    let high = (u16::from_le_bytes(block.scales_h) >> (2 * j)) & 3;
    i32::from(low) + (i32::from(high) << 4) - 32
}
