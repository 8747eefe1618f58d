//! Codes and scales into blocks' bytes: the reverse of `blocks/block_reference.rs`.
//!
//! Codes are unsigned, in the weights' order.

#![allow(clippy::needless_range_loop, reason = "an index walks through several arrays at once")]

/// Weights `l` and `l + 16` of 32 share byte `l`.
#[inline(always)]
pub fn pack_nibbles(codes: &[u8], out: &mut [u8]) {
    for (codes, out) in codes.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<16>().0) {
        for l in 0..16 {
            out[l] = (codes[l] & 15) | (codes[l + 16] << 4);
        }
    }
}

/// The fifth bits of 32 weights.
#[inline(always)]
pub fn fifth_bits(codes: &[u8]) -> [u8; 4] {
    codes.iter().enumerate().fold(0_u32, |bits, (j, code)| bits | u32::from(code >> 4) << j).to_le_bytes()
}

/// Weights `l` and `l + 32` of 64 share byte `l`: Q4_K and Q5_K.
#[inline(always)]
pub fn pack_wide_nibbles(codes: &[u8; 256], out: &mut [u8; 128]) {
    for (codes, out) in codes.as_chunks::<64>().0.iter().zip(out.as_chunks_mut::<32>().0) {
        for l in 0..32 {
            out[l] = (codes[l] & 15) | (codes[l + 32] << 4);
        }
    }
}

/// Bit `shift` of weight `i` becomes bit `i / 32` of byte `i % 32`: Q5_K's fifth and Q3_K's third bits.
#[inline(always)]
pub fn pack_bit(codes: &[u8; 256], shift: u32, out: &mut [u8; 32]) {
    *out = [0; 32];
    for (j, codes) in codes.as_chunks::<32>().0.iter().enumerate() {
        for l in 0..32 {
            out[l] |= ((codes[l] >> shift) & 1) << j;
        }
    }
}

/// Weights `l`, `l + 32`, `l + 64`, `l + 96` of 128 share byte `l`: Q2_K and Q3_K.
#[inline(always)]
pub fn pack_pairs(codes: &[u8; 256], out: &mut [u8; 64]) {
    for (codes, out) in codes.as_chunks::<128>().0.iter().zip(out.as_chunks_mut::<32>().0) {
        for l in 0..32 {
            out[l] = (codes[l] & 3) | (codes[l + 32] & 3) << 2 | (codes[l + 64] & 3) << 4 | (codes[l + 96] & 3) << 6;
        }
    }
}

/// Q6_K's low four and high two bits.
#[inline(always)]
pub fn pack_q6k(codes: &[u8; 256], low: &mut [u8; 128], high: &mut [u8; 64]) {
    let halves = codes.as_chunks::<128>().0.iter();
    for ((codes, low), high) in halves.zip(low.as_chunks_mut::<64>().0).zip(high.as_chunks_mut::<32>().0) {
        for l in 0..64 {
            low[l] = (codes[l] & 15) | (codes[l + 64] << 4);
        }
        for l in 0..32 {
            high[l] =
                (codes[l] >> 4) | (codes[l + 32] >> 4) << 2 | (codes[l + 64] >> 4) << 4 | (codes[l + 96] >> 4) << 6;
        }
    }
}

/// Eight scales and eight minimums of 6 bits: Q4_K and Q5_K.
#[inline(always)]
pub fn pack_scales_and_minimums(scales: &[u8; 8], minimums: &[u8; 8]) -> [u8; 12] {
    std::array::from_fn(|at| match at {
        0..4 => scales[at] | (scales[at + 4] >> 4) << 6,
        4..8 => minimums[at - 4] | (minimums[at] >> 4) << 6,
        _ => (scales[at - 4] & 15) | minimums[at - 4] << 4,
    })
}

/// 16 scales of 6 bits, 32 added: Q3_K.
#[inline(always)]
pub fn pack_q3k_scales(scales: &[u8; 16]) -> [u8; 12] {
    std::array::from_fn(|at| match at {
        0..8 => (scales[at] & 15) | scales[at + 8] << 4,
        _ => (0..4).fold(0, |byte, k| byte | (scales[at - 8 + 4 * k] >> 4) << (2 * k)),
    })
}
