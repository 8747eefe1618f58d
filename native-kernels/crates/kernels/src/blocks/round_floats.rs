//! Weights in the type that a model file keeps them in, and what that rounding costs.

use super::block_types::GgmlType;
use crate::cpu::Backend;

/// What decoded weights are stored as. Rounding is to nearest, ties to even.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FloatType {
    /// The upper half of single precision.
    Bf16,
    /// IEEE half precision.
    F16,
    /// IEEE single precision: nothing is rounded.
    F32,
}

impl FloatType {
    /// The type of a safetensors dtype.
    pub fn of_dtype(dtype: &str) -> Option<Self> {
        match dtype {
            "BF16" => Some(Self::Bf16),
            "F16" => Some(Self::F16),
            "F32" => Some(Self::F32),
            _ => None,
        }
    }

    /// As a type of stored tensors.
    pub(crate) fn stored_type(self) -> GgmlType {
        match self {
            Self::Bf16 => GgmlType::Bf16,
            Self::F16 => GgmlType::F16,
            Self::F32 => GgmlType::F32,
        }
    }

    /// Bytes of a weight.
    pub fn bytes(self) -> usize {
        match self {
            Self::Bf16 | Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// Sums over weights and over what rounding did to them. Weights that are no finite numbers are counted, nothing more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockFigures {
    /// The least finite weight; infinity if there is none.
    pub min: f64,
    /// The greatest finite weight; minus infinity if there is none.
    pub max: f64,
    /// Sum of squares.
    pub squares: f64,
    /// Weights that are zero, negative zero included.
    pub zeros: u64,
    /// Weights that are not a number.
    pub nans: u64,
    /// Weights that are infinite.
    pub infinities: u64,
    /// The greatest change by rounding; infinite where a finite weight became infinite.
    pub max_abs_error: f64,
    /// Sum of the squares of the changes.
    pub squared_error: f64,
}

impl BlockFigures {
    /// Of no weights.
    pub const NONE: Self = Self {
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        squares: 0.0,
        zeros: 0,
        nans: 0,
        infinities: 0,
        max_abs_error: 0.0,
        squared_error: 0.0,
    };

    /// Adds those of other weights. Sums depend on the order of these calls, in their last bits.
    pub fn add(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.squares += other.squares;
        self.zeros += other.zeros;
        self.nans += other.nans;
        self.infinities += other.infinities;
        self.max_abs_error = self.max_abs_error.max(other.max_abs_error);
        self.squared_error += other.squared_error;
    }
}

/// Independent sums: a vector of f64, so that additions need not wait for each other.
const LANES: usize = 8;

/// Sums up `originals`, with how far `found` (as many) are from them as errors. A number against what is none is infinitely
/// far off.
pub fn compare_floats(backend: Backend, originals: &[f32], found: &[f32]) -> BlockFigures {
    debug_assert_eq!(originals.len(), found.len());
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => unsafe { compare_avx512(originals, found) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Backend::Avx2 => unsafe { compare_avx2(originals, found) },
        _ => compare_body(originals, found),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn compare_avx512(originals: &[f32], found: &[f32]) -> BlockFigures {
    compare_body(originals, found)
}
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn compare_avx2(originals: &[f32], found: &[f32]) -> BlockFigures {
    compare_body(originals, found)
}

#[inline(always)]
fn compare_body(originals: &[f32], found: &[f32]) -> BlockFigures {
    let (rows, rest) = originals.as_chunks::<LANES>();
    let (found_rows, found_rest) = found.as_chunks::<LANES>();
    let mut lanes = Lanes::NONE;
    for (row, found) in rows.iter().zip(found_rows) {
        lanes.add_row(row, found);
    }
    let mut figures = lanes.sum();
    figures.add(&rest_figures(rest, |row| {
        let mut others = [0.0; LANES];
        others[..found_rest.len()].copy_from_slice(found_rest);
        let mut last = Lanes::NONE;
        last.add_row(row, &others);
        last
    }));
    figures
}

/// Figures of fewer weights than a row has: zeros fill it up, and are taken out of what they touch again.
#[inline(always)]
fn rest_figures(rest: &[f32], sum: impl FnOnce(&[f32; LANES]) -> Lanes) -> BlockFigures {
    if rest.is_empty() {
        return BlockFigures::NONE;
    }
    let mut row = [0.0; LANES];
    row[..rest.len()].copy_from_slice(rest);
    let mut last = sum(&row).sum();
    last.zeros -= (LANES - rest.len()) as u64;
    let finite = || rest.iter().copied().filter(|w| w.is_finite()).map(f64::from);
    last.min = finite().fold(f64::INFINITY, f64::min);
    last.max = finite().fold(f64::NEG_INFINITY, f64::max);
    last
}

/// Rounds weights into `out` (as many of the type's bytes), little-endian.
pub fn round_floats(backend: Backend, float_type: FloatType, weights: &[f32], out: &mut [u8]) -> BlockFigures {
    debug_assert_eq!(out.len(), weights.len() * float_type.bytes());
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => unsafe { round_avx512(float_type, weights, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Backend::Avx2 => unsafe { round_avx2(float_type, weights, out) },
        _ => round_body(float_type, weights, out),
    }
}

// The same loops, compiled once per instruction set; they vectorise by themselves.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn round_avx512(float_type: FloatType, weights: &[f32], out: &mut [u8]) -> BlockFigures {
    round_body(float_type, weights, out)
}
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn round_avx2(float_type: FloatType, weights: &[f32], out: &mut [u8]) -> BlockFigures {
    round_body(float_type, weights, out)
}

#[inline(always)]
fn round_body(float_type: FloatType, weights: &[f32], out: &mut [u8]) -> BlockFigures {
    match float_type {
        FloatType::Bf16 => round_each(
            weights,
            out,
            |w| to_bf16(w).to_le_bytes(),
            |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16),
        ),
        FloatType::F16 => round_each(weights, out, |w| to_half(w).to_le_bytes(), super::block_layouts::half),
        FloatType::F32 => round_each(weights, out, f32::to_le_bytes, f32::from_le_bytes),
    }
}

#[inline(always)]
fn round_each<const SIZE: usize>(
    weights: &[f32],
    out: &mut [u8],
    store: impl Fn(f32) -> [u8; SIZE],
    load: impl Fn([u8; SIZE]) -> f32,
) -> BlockFigures {
    let (out, _) = out.as_chunks_mut::<SIZE>();
    let (rows, rest) = weights.as_chunks::<LANES>();
    let (out_rows, out_rest) = out.as_chunks_mut::<LANES>();
    let mut lanes = Lanes::NONE;
    for (row, out) in rows.iter().zip(out_rows) {
        lanes.round_row(row, out, &store, &load);
    }
    let mut figures = lanes.sum();
    figures.add(&rest_figures(rest, |row| {
        let mut stored = [[0; SIZE]; LANES];
        let mut last = Lanes::NONE;
        last.round_row(row, &mut stored, &store, &load);
        out_rest.copy_from_slice(&stored[..rest.len()]);
        last
    }));
    figures
}

struct Lanes {
    min: [f64; LANES],
    max: [f64; LANES],
    squares: [f64; LANES],
    max_abs_error: [f64; LANES],
    squared_error: [f64; LANES],
    zeros: [u64; LANES],
    nans: [u64; LANES],
    specials: [u64; LANES],
}

impl Lanes {
    const NONE: Self = Self {
        min: [f64::INFINITY; LANES],
        max: [f64::NEG_INFINITY; LANES],
        squares: [0.0; LANES],
        max_abs_error: [0.0; LANES],
        squared_error: [0.0; LANES],
        zeros: [0; LANES],
        nans: [0; LANES],
        specials: [0; LANES],
    };

    #[inline(always)]
    fn round_row<const SIZE: usize>(
        &mut self,
        row: &[f32; LANES],
        out: &mut [[u8; SIZE]; LANES],
        store: impl Fn(f32) -> [u8; SIZE],
        load: impl Fn([u8; SIZE]) -> f32,
    ) {
        let mut rounded = [0.0; LANES];
        for lane in 0..LANES {
            out[lane] = store(row[lane]);
            rounded[lane] = load(out[lane]);
        }
        self.add_row(row, &rounded);
    }

    /// Adds weights, and how far others are from them.
    #[inline(always)]
    fn add_row(&mut self, row: &[f32; LANES], others: &[f32; LANES]) {
        for lane in 0..LANES {
            let (weight, other) = (f64::from(row[lane]), f64::from(others[lane]));
            let finite = weight.abs() < f64::INFINITY;
            let clean = if finite { weight } else { 0.0 };
            // A NaN is never equal: it counts as infinitely far off, by the comparison below.
            let distance = (weight - other).abs();
            let error = if !finite {
                0.0
            } else if distance <= f64::MAX {
                distance
            } else {
                f64::INFINITY
            };
            self.squares[lane] += clean * clean;
            self.squared_error[lane] += error * error;
            self.max_abs_error[lane] = if error > self.max_abs_error[lane] { error } else { self.max_abs_error[lane] };
            self.min[lane] = if finite && weight < self.min[lane] { weight } else { self.min[lane] };
            self.max[lane] = if finite && weight > self.max[lane] { weight } else { self.max[lane] };
            self.zeros[lane] += u64::from(weight == 0.0);
            self.specials[lane] += u64::from(!finite);
            self.nans[lane] += u64::from(weight.is_nan());
        }
    }

    fn sum(&self) -> BlockFigures {
        let mut all = BlockFigures::NONE;
        for lane in 0..LANES {
            all.add(&BlockFigures {
                min: self.min[lane],
                max: self.max[lane],
                squares: self.squares[lane],
                zeros: self.zeros[lane],
                nans: self.nans[lane],
                infinities: self.specials[lane] - self.nans[lane],
                max_abs_error: self.max_abs_error[lane],
                squared_error: self.squared_error[lane],
            });
        }
        all
    }
}

/// The nearest BF16, of two the even one; NaN stays NaN.
#[inline(always)]
pub(crate) fn to_bf16(weight: f32) -> u16 {
    let bits = weight.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    let nan = (bits >> 16) | 0x40;
    (if bits & 0x7fff_ffff > 0x7f80_0000 { nan } else { rounded }) as u16
}

/// The nearest half, of two the even one; NaN stays NaN, what is too large becomes infinite.
#[inline(always)]
pub(crate) fn to_half(weight: f32) -> u16 {
    let bits = weight.to_bits();
    let magnitude = bits & 0x7fff_ffff;
    // The exponent moves by the difference of the biases, 112; what is cut off rounds by carrying.
    let normal = magnitude.wrapping_sub((112 << 23) - 0xfff).wrapping_add((magnitude >> 13) & 1) >> 13;
    let largest = if normal < 0x7c00 { normal } else { 0x7c00 };
    // One half has steps of 2^-24, as subnormal halves have: the addition rounds.
    let subnormal = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0.5_f32.to_bits());
    let finite = if magnitude < 113 << 23 { subnormal } else { largest };
    let nan = 0x7e00 | ((magnitude >> 13) & 0x3ff);
    let half = if magnitude > 0x7f80_0000 { nan } else { finite };
    (half | ((bits >> 16) & 0x8000)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every float type's values around a weight, by brute force over the sorted finite patterns.
    fn nearest(values: &[(f64, u16)], overflow: f64, weight: f32) -> u16 {
        let weight = f64::from(weight);
        let magnitude = weight.abs();
        let sign = if weight.is_sign_negative() { 0x8000 } else { 0 };
        if magnitude >= overflow {
            return (values[values.len() - 1].1 + 1) | sign;
        }
        let above = values.partition_point(|(value, _)| *value < magnitude);
        let candidates = [above.saturating_sub(1), above.min(values.len() - 1)].map(|index| values[index]);
        let [(low, low_word), (high, high_word)] = candidates;
        let word = match (magnitude - low).total_cmp(&(high - magnitude)) {
            std::cmp::Ordering::Less => low_word,
            std::cmp::Ordering::Greater => high_word,
            std::cmp::Ordering::Equal => {
                if low_word % 2 == 0 {
                    low_word
                } else {
                    high_word
                }
            }
        };
        word | sign
    }

    fn awkward() -> Vec<f32> {
        let mut weights =
            vec![0.0, -0.0, 1.0, 65504.0, 65519.0, 65520.0, 65521.0, 1e9, f32::MAX, 6.2e-5, 2.98e-8, 1e-40];
        let mut state = 1_u32;
        for _ in 0..200_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Exponents around what a half can hold, mantissas full of ones and zeros.
            let exponent = 90 + (state >> 8) % 60;
            let mantissa = if state & 1 == 0 { state >> 9 } else { (state >> 9) & 0x7f_e000 | 0x1000 };
            weights.push(f32::from_bits(exponent << 23 | (mantissa & 0x7f_ffff) | (state & 0x8000_0000)));
        }
        weights.extend(weights.clone().iter().map(|w| -w));
        weights
    }

    #[test]
    fn rounds_to_the_nearest_of_two_the_even_one() {
        let halves: Vec<_> = (0..0x7c00_u16)
            .map(|word| (f64::from(super::super::block_layouts::half(word.to_le_bytes())), word))
            .collect();
        let bf16s: Vec<_> =
            (0..0x7f80_u16).map(|word| (f64::from(f32::from_bits(u32::from(word) << 16)), word)).collect();
        for weight in awkward() {
            assert_eq!(to_half(weight), nearest(&halves, 65520.0, weight), "{weight:e}");
            let limit = f64::from(f32::from_bits(0x7f7f_0000)) + 2_f64.powi(119);
            assert_eq!(to_bf16(weight), nearest(&bf16s, limit, weight), "{weight:e}");
        }
        for nan in [0x7f80_0001, 0x7fc0_0000, 0xffff_ffff_u32].map(f32::from_bits) {
            assert!(f32::from_bits(u32::from(to_bf16(nan)) << 16).is_nan());
            assert!(super::super::block_layouts::half(to_half(nan).to_le_bytes()).is_nan());
        }
        assert_eq!((to_half(f32::NEG_INFINITY), to_bf16(f32::INFINITY)), (0xfc00, 0x7f80));
    }

    #[test]
    fn sums_up_weights_and_errors_at_any_length() {
        let weights = [1.0 + 2_f32.powi(-9), -2.0, 0.0, f32::NAN, f32::INFINITY, 0.25, 0.5, 0.125, -0.0, 3.0];
        for length in 0..=weights.len() {
            let part = &weights[..length];
            let mut out = vec![0; 2 * length];
            let found = round_floats(Backend::Scalar, FloatType::Bf16, part, &mut out);
            let finite: Vec<f64> = part.iter().filter(|w| w.is_finite()).map(|w| f64::from(*w)).collect();
            assert_eq!(found.squares, finite.iter().map(|w| w * w).sum::<f64>());
            assert_eq!(found.min, finite.iter().copied().fold(f64::INFINITY, f64::min));
            assert_eq!(found.max, finite.iter().copied().fold(f64::NEG_INFINITY, f64::max));
            assert_eq!(found.zeros, part.iter().filter(|w| **w == 0.0).count() as u64);
            assert_eq!((found.nans, found.infinities), (u64::from(length > 3), u64::from(length > 4)));
            assert_eq!(found.max_abs_error, if length > 0 { 2_f64.powi(-9) } else { 0.0 });
        }
        let mut out = [0; 2];
        let found = round_floats(Backend::Scalar, FloatType::F16, &[1e6], &mut out);
        assert_eq!((found.max_abs_error, found.infinities), (f64::INFINITY, 0));
    }

    #[test]
    fn compares_with_originals_at_any_length() {
        let originals = [1.0_f32, -2.0, 0.0, 0.5, 3.0, -4.0, 0.25, 8.0, 1.5, -0.125, 2.0];
        let found = [1.5_f32, -2.0, 0.25, 0.5, 3.0, -4.0, 0.25, 8.0, 1.5, -0.125, 4.0];
        for backend in Backend::available() {
            for length in 0..=originals.len() {
                let figures = compare_floats(backend, &originals[..length], &found[..length]);
                let errors: Vec<f64> = (0..length).map(|i| f64::from((originals[i] - found[i]).abs())).collect();
                assert_eq!(figures.max_abs_error, errors.iter().copied().fold(0.0, f64::max), "{length}");
                assert_eq!(figures.squared_error, errors.iter().map(|e| e * e).sum::<f64>());
                assert_eq!(figures.squares, originals[..length].iter().map(|w| f64::from(w * w)).sum::<f64>());
                assert_eq!(figures.zeros, u64::from(length > 2));
            }
            for odd in [f32::NAN, f32::INFINITY] {
                assert_eq!(compare_floats(backend, &[1.0], &[odd]).max_abs_error, f64::INFINITY);
                let figures = compare_floats(backend, &[odd], &[1.0]);
                assert_eq!((figures.max_abs_error, figures.nans + figures.infinities), (0.0, 1));
            }
        }
    }

    #[test]
    fn every_backend_rounds_and_sums_alike() {
        let mut weights = awkward();
        weights.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        for float_type in [FloatType::Bf16, FloatType::F16, FloatType::F32] {
            let mut expected = vec![0; weights.len() * float_type.bytes()];
            let figures = round_floats(Backend::Scalar, float_type, &weights, &mut expected);
            for backend in Backend::available() {
                let mut out = vec![0; expected.len()];
                assert_eq!(round_floats(backend, float_type, &weights, &mut out), figures);
                assert!(out == expected, "{float_type:?} {}", backend.name());
            }
        }
    }
}
