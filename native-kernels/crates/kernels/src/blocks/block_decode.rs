//! The fast bodies: the same numbers as the reference, bit for bit, in loops that compilers turn into vectors; compiled
//! once for each instruction set.

#![allow(clippy::needless_range_loop, reason = "an index walks through several arrays at once")]

use super::block_layouts::{
    BlockIq4Nl, BlockIq4Xs, BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K,
    BlockQ6K, BlockQ8_0, half, iq4xs_scale, q3k_scales, scale_and_minimum,
};
use super::block_reference::{dequantize_reference, each, plain};
use super::block_types::GgmlType;
use super::iq4_lookup::Lookup;
use crate::cpu::Backend;

/// Weights of whole blocks, as [`dequantize_reference`] gives them, with the instructions of `backend`.
///
/// `out` takes as many weights as the blocks in `bytes` hold.
pub fn dequantize(backend: Backend, ggml_type: GgmlType, bytes: &[u8], out: &mut [f32]) {
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => unsafe { dequantize_avx512(ggml_type, bytes, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Backend::Avx2 => unsafe { dequantize_avx2(ggml_type, bytes, out) },
        Backend::Scalar => dequantize_reference(ggml_type, bytes, out),
        #[allow(unreachable_patterns, reason = "which backends are left depends on the target")]
        _ => dequantize_body(ggml_type, bytes, out, super::iq4_lookup::Plain),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi2")]
fn dequantize_avx512(ggml_type: GgmlType, bytes: &[u8], out: &mut [f32]) {
    // SAFETY: this function is compiled for, and only called on, processors with AVX-512.
    dequantize_body(ggml_type, bytes, out, unsafe { super::iq4_lookup::Avx512::new() });
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn dequantize_avx2(ggml_type: GgmlType, bytes: &[u8], out: &mut [f32]) {
    // SAFETY: this function is compiled for, and only called on, processors with AVX2.
    dequantize_body(ggml_type, bytes, out, unsafe { super::iq4_lookup::Avx2::new() });
}

#[inline(always)]
fn dequantize_body(ggml_type: GgmlType, bytes: &[u8], out: &mut [f32], lookup: impl Lookup) {
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
        GgmlType::Iq4Nl => each(bytes, out, |block: &BlockIq4Nl, out: &mut [f32; 32]| {
            lookup.decode(half(block.d), &block.qs, out);
        }),
        GgmlType::Iq4Xs => each(bytes, out, |block: &BlockIq4Xs, out: &mut [f32; 256]| {
            let d = half(block.d);
            let (codes, _) = block.qs.as_chunks::<16>();
            for (j, (codes, out)) in codes.iter().zip(out.as_chunks_mut::<32>().0).enumerate() {
                lookup.decode(d * iq4xs_scale(j, block) as f32, codes, out);
            }
        }),
    }
}

#[inline(always)]
fn q4_0(block: &BlockQ4_0, out: &mut [f32; 32]) {
    let d = half(block.d);
    let (low, high) = halves(out);
    for j in 0..16 {
        low[j] = (i32::from(block.qs[j] & 15) - 8) as f32 * d;
    }
    for j in 0..16 {
        high[j] = (i32::from(block.qs[j] >> 4) - 8) as f32 * d;
    }
}

#[inline(always)]
fn q4_1(block: &BlockQ4_1, out: &mut [f32; 32]) {
    let (d, m) = (half(block.d), half(block.m));
    let (low, high) = halves(out);
    for j in 0..16 {
        low[j] = i32::from(block.qs[j] & 15) as f32 * d + m;
    }
    for j in 0..16 {
        high[j] = i32::from(block.qs[j] >> 4) as f32 * d + m;
    }
}

#[inline(always)]
fn q5_0(block: &BlockQ5_0, out: &mut [f32; 32]) {
    let (d, qh) = (half(block.d), u32::from_le_bytes(block.qh));
    let (low, high) = halves(out);
    for j in 0..16 {
        low[j] = ((u32::from(block.qs[j] & 15) | fifth_bit(qh, j)) as i32 - 16) as f32 * d;
    }
    for j in 0..16 {
        high[j] = ((u32::from(block.qs[j] >> 4) | fifth_bit(qh >> 16, j)) as i32 - 16) as f32 * d;
    }
}

#[inline(always)]
fn q5_1(block: &BlockQ5_1, out: &mut [f32; 32]) {
    let (d, m, qh) = (half(block.d), half(block.m), u32::from_le_bytes(block.qh));
    let (low, high) = halves(out);
    for j in 0..16 {
        low[j] = (u32::from(block.qs[j] & 15) | fifth_bit(qh, j)) as i32 as f32 * d + m;
    }
    for j in 0..16 {
        high[j] = (u32::from(block.qs[j] >> 4) | fifth_bit(qh >> 16, j)) as i32 as f32 * d + m;
    }
}

/// Bit `j` of 16, as the fifth bit of a code.
#[inline(always)]
fn fifth_bit(bits: u32, j: usize) -> u32 {
    ((bits >> j) & 1) << 4
}

#[inline(always)]
fn q8_0(block: &BlockQ8_0, out: &mut [f32; 32]) {
    let d = half(block.d);
    for j in 0..32 {
        out[j] = i32::from(block.qs[j] as i8) as f32 * d;
    }
}

#[inline(always)]
fn q2k(block: &BlockQ2K, out: &mut [f32; 256]) {
    let (d, dmin) = (half(block.d), half(block.dmin));
    let (out, _) = out.as_chunks_mut::<16>();
    for (group, out) in out.iter_mut().enumerate() {
        let scale = block.scales[group];
        let (dl, ml) = (d * f32::from(scale & 15), dmin * f32::from(scale >> 4));
        let (first, shift) = (group / 8 * 32 + group % 2 * 16, group / 2 % 4 * 2);
        for l in 0..16 {
            out[l] = dl * (i32::from(block.qs[first + l] >> shift) & 3) as f32 - ml;
        }
    }
}

#[inline(always)]
fn q3k(block: &BlockQ3K, out: &mut [f32; 256]) {
    let (d, scales) = (half(block.d), q3k_scales(&block.scales));
    let (out, _) = out.as_chunks_mut::<16>();
    for (group, out) in out.iter_mut().enumerate() {
        let dl = d * f32::from(scales[group]);
        let (first, shift) = (group / 8 * 32 + group % 2 * 16, group / 2 % 4 * 2);
        for l in 0..16 {
            let low = i32::from(block.qs[first + l] >> shift) & 3;
            let third = (i32::from(block.hmask[group % 2 * 16 + l]) >> (group / 2)) & 1;
            out[l] = dl * (low + 4 * third - 4) as f32;
        }
    }
}

#[inline(always)]
fn q4k(block: &BlockQ4K, out: &mut [f32; 256]) {
    let (d, dmin) = (half(block.d), half(block.dmin));
    let (out, _) = out.as_chunks_mut::<32>();
    for (group, out) in out.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(group, &block.scales);
        let (d1, m1) = (d * f32::from(scale), dmin * f32::from(minimum));
        let (first, shift) = (group / 2 * 32, group % 2 * 4);
        for l in 0..32 {
            out[l] = d1 * (i32::from(block.qs[first + l] >> shift) & 15) as f32 - m1;
        }
    }
}

#[inline(always)]
fn q5k(block: &BlockQ5K, out: &mut [f32; 256]) {
    let (d, dmin) = (half(block.d), half(block.dmin));
    let (out, _) = out.as_chunks_mut::<32>();
    for (group, out) in out.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(group, &block.scales);
        let (d1, m1) = (d * f32::from(scale), dmin * f32::from(minimum));
        let (first, shift) = (group / 2 * 32, group % 2 * 4);
        for l in 0..32 {
            let low = i32::from(block.qs[first + l] >> shift) & 15;
            let fifth = (i32::from(block.qh[l]) >> group) & 1;
            out[l] = d1 * (low | (fifth << 4)) as f32 - m1;
        }
    }
}

#[inline(always)]
fn q6k(block: &BlockQ6K, out: &mut [f32; 256]) {
    let d = half(block.d);
    let (out, _) = out.as_chunks_mut::<16>();
    for (group, out) in out.iter_mut().enumerate() {
        let dl = d * f32::from(block.scales[group]);
        let (half_block, quarter, first) = (group / 8, group / 2 % 4, group % 2 * 16);
        let (ql, shift) = (half_block * 64 + quarter % 2 * 32 + first, quarter / 2 * 4);
        for l in 0..16 {
            let low = i32::from(block.ql[ql + l] >> shift) & 15;
            let high = (i32::from(block.qh[half_block * 32 + first + l]) >> (2 * quarter)) & 3;
            out[l] = dl * ((low | (high << 4)) - 32) as f32;
        }
    }
}

/// Weights 0 to 15 and 16 to 31: the low and the high nibbles.
#[inline(always)]
fn halves(out: &mut [f32; 32]) -> (&mut [f32; 16], &mut [f32; 16]) {
    let [low, high] = out.as_chunks_mut::<16>().0 else { unreachable!("32 weights are two halves") };
    (low, high)
}
