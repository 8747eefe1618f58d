//! Q8_0, Q4_0, Q4_1, Q5_0 and Q5_1 without importance: plain rounding, byte for byte what ggml writes.
//!
//! All in single precision: d is not yet rounded where codes are chosen, weights are multiplied with its inverse, and d and
//! the minimum are rounded to halves only where they are stored. The same loops serve every instruction set; compiled for
//! one, they become vectors.

#![allow(clippy::needless_range_loop, reason = "an index walks through several arrays at once")]

use super::pack_blocks::{fifth_bits, pack_nibbles};
use crate::blocks::round_floats::to_half;

/// 32 weights, 34 bytes: d = largest magnitude / 127; halves round away from zero.
#[inline(always)]
pub fn q8_0(weights: &[f32; 32], out: &mut [u8; 34]) {
    let d = largest_magnitude(weights) / 127.0;
    let inverse = inverse(d);
    out[..2].copy_from_slice(&to_half(d).to_le_bytes());
    for (weight, out) in weights.iter().zip(&mut out[2..]) {
        let value = weight * inverse;
        // The float below one half: one half itself is rounded up by the addition, what is less is not.
        *out = (value + 0.499_999_97_f32.copysign(value)) as i32 as u8;
    }
}

/// 32 weights, 18 bytes: d = the first weight of largest magnitude / -8.
#[inline(always)]
pub fn q4_0(weights: &[f32; 32], out: &mut [u8; 18]) {
    let mut codes = [0; 32];
    let d = signed_codes(weights, 8.0, &mut codes);
    out[..2].copy_from_slice(&d);
    pack_nibbles(&codes, &mut out[2..]);
}

/// 32 weights, 22 bytes: d = the first weight of largest magnitude / -16.
#[inline(always)]
pub fn q5_0(weights: &[f32; 32], out: &mut [u8; 22]) {
    let mut codes = [0; 32];
    let d = signed_codes(weights, 16.0, &mut codes);
    out[..2].copy_from_slice(&d);
    out[2..6].copy_from_slice(&fifth_bits(&codes));
    pack_nibbles(&codes, &mut out[6..]);
}

/// 32 weights, 20 bytes: d = range / 15.
#[inline(always)]
pub fn q4_1(weights: &[f32; 32], out: &mut [u8; 20]) {
    let mut codes = [0; 32];
    let (d, minimum) = range_codes(weights, 15.0, &mut codes);
    out[..2].copy_from_slice(&d);
    out[2..4].copy_from_slice(&minimum);
    pack_nibbles(&codes, &mut out[4..]);
}

/// 32 weights, 24 bytes: d = range / 31.
#[inline(always)]
pub fn q5_1(weights: &[f32; 32], out: &mut [u8; 24]) {
    let mut codes = [0; 32];
    let (d, minimum) = range_codes(weights, 31.0, &mut codes);
    out[..2].copy_from_slice(&d);
    out[2..4].copy_from_slice(&minimum);
    out[4..8].copy_from_slice(&fifth_bits(&codes));
    pack_nibbles(&codes, &mut out[8..]);
}

/// Codes 0 to `2 half - 1`, and d as stored.
#[inline(always)]
fn signed_codes(weights: &[f32; 32], half: f32, codes: &mut [u8; 32]) -> [u8; 2] {
    let largest = largest_magnitude(weights);
    let mut has = (false, false);
    for weight in weights {
        has.0 |= *weight == largest;
        has.1 |= *weight == -largest;
    }
    let signed = match has {
        (true, false) => largest,
        (false, true) => -largest,
        _ => weights.iter().copied().find(|weight| weight.abs() == largest).unwrap_or(0.0),
    };
    // Zeros of either sign count as +0 in the reference, whose largest weight starts there.
    let d = if largest == 0.0 { -0.0 } else { signed / -half };
    let inverse = inverse(d);
    for (weight, code) in weights.iter().zip(codes) {
        *code = ((weight * inverse + (half + 0.5)) as i32).min(2 * half as i32 - 1) as u8;
    }
    to_half(d).to_le_bytes()
}

/// Codes 0 to `levels`, d and minimum as stored.
#[inline(always)]
fn range_codes(weights: &[f32; 32], levels: f32, codes: &mut [u8; 32]) -> ([u8; 2], [u8; 2]) {
    let (mut least, mut most) = ([f32::MAX; 8], [-f32::MAX; 8]);
    for row in weights.as_chunks::<8>().0 {
        for lane in 0..8 {
            least[lane] = if row[lane] < least[lane] { row[lane] } else { least[lane] };
            most[lane] = if row[lane] > most[lane] { row[lane] } else { most[lane] };
        }
    }
    let minimum = least.iter().copied().fold(f32::MAX, |a, b| if b < a { b } else { a });
    let maximum = most.iter().copied().fold(-f32::MAX, |a, b| if b > a { b } else { a });
    let d = (maximum - minimum) / levels;
    let inverse = inverse(d);
    for (weight, code) in weights.iter().zip(codes) {
        *code = (((weight - minimum) * inverse + 0.5) as i32).min(levels as i32) as u8;
    }
    (to_half(d).to_le_bytes(), to_half(minimum).to_le_bytes())
}

#[inline(always)]
fn largest_magnitude(weights: &[f32; 32]) -> f32 {
    let mut largest = [0.0_f32; 8];
    for row in weights.as_chunks::<8>().0 {
        for lane in 0..8 {
            let magnitude = row[lane].abs();
            largest[lane] = if magnitude > largest[lane] { magnitude } else { largest[lane] };
        }
    }
    largest.iter().copied().fold(0.0, |a, b| if b > a { b } else { a })
}

/// 0 for 0, and for subnormal numbers whose inverse overflows: their d is 0 where it is stored.
#[inline(always)]
fn inverse(d: f32) -> f32 {
    let inverse = 1.0 / d;
    if inverse.abs() < f32::INFINITY { inverse } else { 0.0 }
}
