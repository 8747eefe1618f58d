//! Plain loops in ggml's order of operations: the judge of every faster body.
//!
//! Source: ggml's `dequantize_row_*` (ggml-quants.c). Every product of a scale, a block scale and a code is exact in f32,
//! so only the last sum rounds, once, whatever the order or a fused multiply-add.

#![allow(clippy::needless_range_loop, reason = "an index walks through several arrays at once")]

use super::block_layouts::{
    BlockIq4Nl, BlockIq4Xs, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K,
    BlockQ6K, BlockQ8_0, IQ4_LEVELS, Layout, half, iq4xs_scale, q3k_scales, scale_and_minimum,
};
use super::block_types::GgmlType;

/// Weights of whole blocks.
///
/// `out` takes as many weights as the blocks in `bytes` hold.
pub fn dequantize_reference(ggml_type: GgmlType, bytes: &[u8], out: &mut [f32]) {
    match ggml_type {
        GgmlType::F32 => plain(bytes, out, f32::from_le_bytes),
        GgmlType::F16 => plain(bytes, out, half),
        GgmlType::Bf16 => plain(bytes, out, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)),
        GgmlType::Q4_0 => each(bytes, out, q4_0),
        GgmlType::Q4_1 => each(bytes, out, q4_1),
        GgmlType::Q5_0 => each(bytes, out, q5_0),
        GgmlType::Q5_1 => each(bytes, out, q5_1),
        GgmlType::Q8_0 => each(bytes, out, q8_0),
        GgmlType::Q2K => each(bytes, out, q2k),
        GgmlType::Q3K => each(bytes, out, q3k),
        GgmlType::Q4K => each(bytes, out, q4k),
        GgmlType::Q5K => each(bytes, out, q5k),
        GgmlType::Q6K => each(bytes, out, q6k),
        GgmlType::Iq4Nl => each(bytes, out, iq4_nl),
        GgmlType::Iq4Xs => each(bytes, out, iq4_xs),
    }
}

/// One element after the other.
#[inline(always)]
pub(super) fn plain<const SIZE: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; SIZE]) -> f32) {
    for (element, out) in bytes.as_chunks::<SIZE>().0.iter().zip(out) {
        *out = value(*element);
    }
}

/// One block after the other.
#[inline(always)]
pub(super) fn each<B: Layout, const N: usize>(bytes: &[u8], out: &mut [f32], decode: impl Fn(&B, &mut [f32; N])) {
    for (block, out) in B::blocks(bytes).iter().zip(out.as_chunks_mut::<N>().0) {
        decode(block, out);
    }
}

fn q4_0(block: &BlockQ4_0, out: &mut [f32; 32]) {
    let d = half(block.d);
    for j in 0..16 {
        out[j] = (i32::from(block.qs[j] & 15) - 8) as f32 * d;
        out[j + 16] = (i32::from(block.qs[j] >> 4) - 8) as f32 * d;
    }
}

fn q4_1(block: &BlockQ4_1, out: &mut [f32; 32]) {
    let (d, m) = (half(block.d), half(block.m));
    for j in 0..16 {
        out[j] = f32::from(block.qs[j] & 15) * d + m;
        out[j + 16] = f32::from(block.qs[j] >> 4) * d + m;
    }
}

fn q5_0(block: &BlockQ5_0, out: &mut [f32; 32]) {
    let (d, qh) = (half(block.d), u32::from_le_bytes(block.qh));
    for j in 0..16 {
        let fifth = |weight: usize| (((qh >> weight) & 1) << 4) as u8;
        out[j] = (i32::from(block.qs[j] & 15 | fifth(j)) - 16) as f32 * d;
        out[j + 16] = (i32::from(block.qs[j] >> 4 | fifth(j + 16)) - 16) as f32 * d;
    }
}

fn q5_1(block: &BlockQ5_1, out: &mut [f32; 32]) {
    let (d, m, qh) = (half(block.d), half(block.m), u32::from_le_bytes(block.qh));
    for j in 0..16 {
        let fifth = |weight: usize| (((qh >> weight) & 1) << 4) as u8;
        out[j] = f32::from(block.qs[j] & 15 | fifth(j)) * d + m;
        out[j + 16] = f32::from(block.qs[j] >> 4 | fifth(j + 16)) * d + m;
    }
}

fn q8_0(block: &BlockQ8_0, out: &mut [f32; 32]) {
    let d = half(block.d);
    for j in 0..32 {
        out[j] = f32::from(block.qs[j] as i8) * d;
    }
}

fn q2k(block: &BlockQ2K, out: &mut [f32; 256]) {
    let (d, dmin) = (half(block.d), half(block.dmin));
    for i in 0..256 {
        let scale = block.scales[i / 16];
        let (dl, ml) = (d * f32::from(scale & 15), dmin * f32::from(scale >> 4));
        let code = (block.qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3;
        out[i] = dl * f32::from(code) - ml;
    }
}

fn q3k(block: &BlockQ3K, out: &mut [f32; 256]) {
    let (d, scales) = (half(block.d), q3k_scales(&block.scales));
    for i in 0..256 {
        let dl = d * f32::from(scales[i / 16]);
        let low = (block.qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2)) & 3;
        let less = if (block.hmask[i % 32] >> (i / 32)) & 1 == 1 { 0 } else { 4 };
        out[i] = dl * (i32::from(low) - less) as f32;
    }
}

fn q4k(block: &BlockQ4K, out: &mut [f32; 256]) {
    let (d, dmin) = (half(block.d), half(block.dmin));
    for i in 0..256 {
        let (scale, minimum) = scale_and_minimum(i / 32, &block.scales);
        let (d1, m1) = (d * f32::from(scale), dmin * f32::from(minimum));
        let code = (block.qs[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4)) & 15;
        out[i] = d1 * f32::from(code) - m1;
    }
}

fn q5k(block: &BlockQ5K, out: &mut [f32; 256]) {
    let (d, dmin) = (half(block.d), half(block.dmin));
    for i in 0..256 {
        let (scale, minimum) = scale_and_minimum(i / 32, &block.scales);
        let (d1, m1) = (d * f32::from(scale), dmin * f32::from(minimum));
        let low = (block.qs[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4)) & 15;
        let fifth = (block.qh[i % 32] >> (i / 32)) & 1;
        out[i] = d1 * f32::from(low + 16 * fifth) - m1;
    }
}

fn q6k(block: &BlockQ6K, out: &mut [f32; 256]) {
    let d = half(block.d);
    for i in 0..256 {
        let (half_block, quarter, l) = (i / 128, i / 32 % 4, i % 32);
        let low = (block.ql[half_block * 64 + quarter % 2 * 32 + l] >> (quarter / 2 * 4)) & 15;
        let high = (block.qh[half_block * 32 + l] >> (quarter * 2)) & 3;
        let code = i32::from(low | (high << 4)) - 32;
        out[i] = d * f32::from(block.scales[i / 16]) * code as f32;
    }
}

fn iq4_nl(block: &BlockIq4Nl, out: &mut [f32; 32]) {
    let d = half(block.d);
    for j in 0..16 {
        out[j] = d * f32::from(IQ4_LEVELS[usize::from(block.qs[j] & 15)]);
        out[j + 16] = d * f32::from(IQ4_LEVELS[usize::from(block.qs[j] >> 4)]);
    }
}

fn iq4_xs(block: &BlockIq4Xs, out: &mut [f32; 256]) {
    let d = half(block.d);
    for i in 0..256 {
        let dl = d * iq4xs_scale(i / 32, block) as f32;
        let code = (block.qs[i / 32 * 16 + i % 16] >> (i / 16 % 2 * 4)) & 15;
        out[i] = dl * f32::from(IQ4_LEVELS[usize::from(code)]);
    }
}
