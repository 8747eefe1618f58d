//! Weights in memory to blocks: which method serves which format, and with which instructions.

use super::affine_search::{AffinePlan, AffineSolution, search_affine};
use super::block_plans;
use super::code_grid::{CodeGrid, Iq4, Whole};
use super::half_scale::scale_bytes;
use super::lot::{Emphasis, Lot};
use super::pack_blocks::{
    fifth_bits, pack_bit, pack_nibbles, pack_pairs, pack_q3k_scales, pack_q6k, pack_scales_and_minimums,
    pack_wide_nibbles,
};
use super::reference_rounding;
use super::sixteen_lanes::{Lanes, Plain};
use super::symmetric_search::{SymmetricPlan, SymmetricSolution, search_symmetric};
use crate::blocks::{FloatType, GgmlType, round_floats};
use crate::cpu::Backend;
use crate::error::{KernelError, Result, Status};

/// How to quantize rows of weights into blocks.
#[derive(Debug, Clone, Copy)]
pub struct BlockOptions<'a> {
    /// The format: blocks, or floats, to which weights are rounded (to nearest, ties to even).
    pub ggml_type: GgmlType,
    /// Weights of a row: whole blocks.
    pub columns: usize,
    /// One number >= 0 for each column: what an error's square counts for. Without it all columns count alike, and Q4_0,
    /// Q4_1, Q5_0 and Q5_1 are plain rounding, byte for byte what ggml writes; Q8_0 always is.
    pub importance: Option<&'a [f32]>,
    /// What else errors count for.
    pub emphasis: Emphasis,
}

impl BlockOptions<'_> {
    /// As [`BlockOptions::check`], for methods that need a grid: fails with [`Status::BadArgument`] for floats too.
    pub fn check_blocks(&self) -> Result<()> {
        match FloatType::of_dtype(self.ggml_type.name()) {
            None => self.check(),
            Some(_) => Err(KernelError::bad_argument(format!("{} is no block format", self.ggml_type.name()))),
        }
    }

    /// Fails with [`Status::BadArgument`] where rows are no whole blocks or importance fits no row, with
    /// [`Status::NotFinite`] where importance is no number or less than 0.
    pub fn check(&self) -> Result<()> {
        let (name, block) = (self.ggml_type.name(), self.ggml_type.block_elements() as usize);
        if self.columns == 0 || !self.columns.is_multiple_of(block) {
            return Err(KernelError::bad_argument(format!(
                "rows of {} weights are no whole {name} blocks of {block}",
                self.columns
            )));
        }
        let Some(importance) = self.importance else { return Ok(()) };
        if importance.len() != self.columns {
            return Err(KernelError::bad_argument(format!(
                "the importance of {} columns was given for {}",
                importance.len(),
                self.columns
            )));
        }
        match importance.iter().position(|number| !(0.0..f32::INFINITY).contains(number)) {
            None => Ok(()),
            Some(column) => Err(KernelError::new(
                Status::NotFinite,
                format!("the importance of column {column} is {}, not a number from 0 on", importance[column]),
            )),
        }
    }
}

/// Quantizes whole blocks of consecutive rows; `first_weight` is the place of the first one in the tensor.
///
/// `weights` and `out` hold the same number of blocks. The bytes are the same on every backend. Fails with
/// [`Status::NotFinite`] at a weight that is NaN or infinite, and with [`Status::Unrepresentable`] at one whose scale would
/// overflow a half; both name the weight's place in the tensor.
pub fn quantize_blocks(
    backend: Backend,
    options: &BlockOptions<'_>,
    first_weight: u64,
    weights: &[f32],
    out: &mut [u8],
) -> Result<()> {
    let (elements, bytes) = (options.ggml_type.block_elements() as usize, options.ggml_type.block_bytes() as usize);
    if !weights.len().is_multiple_of(elements) || out.len() != weights.len() / elements * bytes {
        return Err(KernelError::bad_argument(format!(
            "{} weights and {} bytes are not the same {} blocks",
            weights.len(),
            out.len(),
            options.ggml_type.name()
        )));
    }
    check_weights(options, first_weight, weights)?;
    if let Some(float_type) = FloatType::of_dtype(options.ggml_type.name()) {
        round_floats(backend, float_type, weights, out);
        return Ok(());
    }
    let first_column = (first_weight % options.columns as u64) as usize;
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => unsafe { quantize_avx512(options, first_column, weights, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Backend::Avx2 => unsafe { quantize_avx2(options, first_column, weights, out) },
        _ => quantize_body::<Plain>(options, first_column, weights, out),
    }
    Ok(())
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi2")]
fn quantize_avx512(options: &BlockOptions<'_>, first_column: usize, weights: &[f32], out: &mut [u8]) {
    quantize_body::<super::sixteen_lanes::Avx512>(options, first_column, weights, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn quantize_avx2(options: &BlockOptions<'_>, first_column: usize, weights: &[f32], out: &mut [u8]) {
    quantize_body::<super::sixteen_lanes::Avx2>(options, first_column, weights, out);
}

fn check_weights(options: &BlockOptions<'_>, first_weight: u64, weights: &[f32]) -> Result<()> {
    /// The greatest half.
    const GREATEST_HALF: f32 = 65504.0;
    // A minimum is stored as it is, d of Q8_0 as 1 / 127 of the largest weight; the others' d are found by searches that
    // may go a little beyond the plain range.
    let most = match options.ggml_type {
        GgmlType::Q8_0 => GREATEST_HALF * 127.0,
        // The greatest number that rounds to one of BF16, not to infinity.
        GgmlType::Bf16 => f32::from_bits(0x7f7f_7fff),
        GgmlType::F32 => f32::MAX,
        _ => GREATEST_HALF,
    };
    // One pass without an early end, so that it becomes vectors.
    if weights.iter().fold(true, |all, weight| all & (weight.abs() <= most)) {
        return Ok(());
    }
    let index = weights.iter().position(|weight| weight.is_nan() || weight.abs() > most).unwrap_or(0);
    let (place, weight) = (first_weight + index as u64, weights[index]);
    if weight.is_finite() {
        return Err(KernelError::new(
            Status::Unrepresentable,
            format!("weight {place} is {weight}, {} holds magnitudes up to {most}", options.ggml_type.name()),
        ));
    }
    Err(KernelError::new(Status::NotFinite, format!("weight {place} is {weight}")))
}

#[inline(always)]
fn quantize_body<L: Lanes>(options: &BlockOptions<'_>, first_column: usize, weights: &[f32], out: &mut [u8]) {
    let work = Work { options, first_column, weights };
    let is_plain = options.importance.is_none() && options.emphasis == Emphasis::None;
    match options.ggml_type {
        GgmlType::Q8_0 => round_each(weights, out, reference_rounding::q8_0),
        GgmlType::Q4_0 if is_plain => round_each(weights, out, reference_rounding::q4_0),
        GgmlType::Q4_1 if is_plain => round_each(weights, out, reference_rounding::q4_1),
        GgmlType::Q5_0 if is_plain => round_each(weights, out, reference_rounding::q5_0),
        GgmlType::Q5_1 if is_plain => round_each(weights, out, reference_rounding::q5_1),
        GgmlType::Q4_0 => work.symmetric::<L, _, 32, 32, 18>(Whole { low: -8.0, high: 7.0 }, &block_plans::Q4_0, out),
        GgmlType::Q5_0 => work.symmetric::<L, _, 32, 32, 22>(Whole { low: -16.0, high: 15.0 }, &block_plans::Q5_0, out),
        GgmlType::Iq4Nl => work.symmetric::<L, _, 32, 32, 18>(Iq4, &block_plans::IQ4_NL, out),
        GgmlType::Iq4Xs => work.symmetric::<L, _, 32, 256, 136>(Iq4, &block_plans::IQ4_XS, out),
        GgmlType::Q3K => work.symmetric::<L, _, 16, 256, 110>(Whole { low: -4.0, high: 3.0 }, &block_plans::Q3_K, out),
        GgmlType::Q6K => {
            work.symmetric::<L, _, 16, 256, 210>(Whole { low: -32.0, high: 31.0 }, &block_plans::Q6_K, out)
        }
        GgmlType::Q4_1 => work.affine::<L, 32, 32, 20>(&block_plans::Q4_1, out),
        GgmlType::Q5_1 => work.affine::<L, 32, 32, 24>(&block_plans::Q5_1, out),
        GgmlType::Q2K => work.affine::<L, 16, 256, 84>(&block_plans::Q2_K, out),
        GgmlType::Q4K => work.affine::<L, 32, 256, 144>(&block_plans::Q4_K, out),
        GgmlType::Q5K => work.affine::<L, 32, 256, 176>(&block_plans::Q5_K, out),
        GgmlType::F32 | GgmlType::F16 | GgmlType::Bf16 => debug_assert!(false, "floats are rounded before"),
    }
}

#[inline(always)]
fn round_each<const BYTES: usize>(weights: &[f32], out: &mut [u8], round: impl Fn(&[f32; 32], &mut [u8; BYTES])) {
    for (weights, out) in weights.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<BYTES>().0) {
        round(weights, out);
    }
}

/// Weights that wait for their blocks.
struct Work<'a> {
    options: &'a BlockOptions<'a>,
    first_column: usize,
    weights: &'a [f32],
}

impl Work<'_> {
    /// `N` weights to a sub-block, `ELEMENTS` to a block of `BYTES`.
    #[inline(always)]
    fn symmetric<L: Lanes, G: CodeGrid, const N: usize, const ELEMENTS: usize, const BYTES: usize>(
        &self,
        grid: G,
        plan: &SymmetricPlan,
        out: &mut [u8],
    ) {
        let (mut lot, mut solution) = (Lot::<N>::empty(), SymmetricSolution::<N>::empty());
        let mut blocks = out.as_chunks_mut::<BYTES>().0.iter_mut();
        for (index, weights) in self.weights.chunks(16 * N).enumerate() {
            let column = self.first_column + index * 16 * N;
            lot.fill(weights, self.options.importance, column, plan.group, self.options.emphasis);
            search_symmetric::<L, G, N>(&lot, grid, plan, &mut solution);
            for (first, block) in (0..weights.len() / N).step_by(plan.group).zip(&mut blocks) {
                let mut codes = [0; ELEMENTS];
                for (lane, codes) in codes.as_chunks_mut::<N>().0.iter_mut().enumerate() {
                    for (code, levels) in codes.iter_mut().zip(&solution.levels) {
                        *code = grid.code(levels[first + lane]);
                    }
                }
                let d = scale_bytes(solution.d[first], lot.unit[first]);
                let scales = &solution.scales[first..first + plan.group];
                pack_symmetric(self.options.ggml_type, d, scales, &codes, block);
            }
        }
    }

    #[inline(always)]
    fn affine<L: Lanes, const N: usize, const ELEMENTS: usize, const BYTES: usize>(
        &self,
        plan: &AffinePlan,
        out: &mut [u8],
    ) {
        let (mut lot, mut solution) = (Lot::<N>::empty(), AffineSolution::<N>::empty());
        let mut blocks = out.as_chunks_mut::<BYTES>().0.iter_mut();
        for (index, weights) in self.weights.chunks(16 * N).enumerate() {
            let column = self.first_column + index * 16 * N;
            lot.fill(weights, self.options.importance, column, plan.group, self.options.emphasis);
            search_affine::<L, N>(&lot, plan, &mut solution);
            for (first, block) in (0..weights.len() / N).step_by(plan.group).zip(&mut blocks) {
                let mut codes = [0; ELEMENTS];
                for (lane, codes) in codes.as_chunks_mut::<N>().0.iter_mut().enumerate() {
                    for (code, found) in codes.iter_mut().zip(&solution.codes) {
                        *code = found[first + lane] as u8;
                    }
                }
                let (unit, dmin) = (lot.unit[first], solution.dmin[first]);
                // Q4_1 and Q5_1 store what is added.
                let dmin = if plan.group == 1 { -dmin } else { dmin };
                let factors = (scale_bytes(solution.d[first], unit), scale_bytes(dmin, unit));
                let lanes = first..first + plan.group;
                pack_affine(
                    self.options.ggml_type,
                    factors,
                    &solution.scales[lanes.clone()],
                    &solution.minimums[lanes],
                    &codes,
                    block,
                );
            }
        }
    }
}

/// `scales` and `codes` as the format has them: as many as there are sub-blocks and weights.
#[inline(always)]
pub fn pack_symmetric(ggml_type: GgmlType, d: [u8; 2], scales: &[f32], codes: &[u8], out: &mut [u8]) {
    match (ggml_type, codes.first_chunk::<256>()) {
        (GgmlType::Q5_0, _) => {
            out[2..6].copy_from_slice(&fifth_bits(codes));
            pack_nibbles(codes, &mut out[6..]);
        }
        (GgmlType::Q3K, Some(codes)) => {
            let (hmask, rest) = out.split_first_chunk_mut::<32>().expect("110 bytes");
            let (qs, rest) = rest.split_first_chunk_mut::<64>().expect("78 bytes");
            pack_bit(codes, 2, hmask);
            pack_pairs(codes, qs);
            let stored = std::array::from_fn(|j| (scales[j] + 32.0) as u8);
            rest[..12].copy_from_slice(&pack_q3k_scales(&stored));
            rest[12..].copy_from_slice(&d);
            return;
        }
        (GgmlType::Q6K, Some(codes)) => {
            let (low, rest) = out.split_first_chunk_mut::<128>().expect("210 bytes");
            let (high, rest) = rest.split_first_chunk_mut::<64>().expect("82 bytes");
            pack_q6k(codes, low, high);
            for (scale, out) in scales.iter().zip(&mut rest[..16]) {
                *out = *scale as i8 as u8;
            }
            rest[16..].copy_from_slice(&d);
            return;
        }
        (GgmlType::Iq4Xs, _) => {
            let mut high = 0_u16;
            for (j, scale) in scales.iter().enumerate() {
                let stored = (scale + 32.0) as u8;
                high |= u16::from(stored >> 4) << (2 * j);
                let byte = &mut out[4 + j / 2];
                *byte = if j % 2 == 0 { stored & 15 } else { *byte | stored << 4 };
            }
            out[2..4].copy_from_slice(&high.to_le_bytes());
            pack_nibbles(codes, &mut out[8..]);
        }
        _ => pack_nibbles(codes, &mut out[2..]),
    }
    out[..2].copy_from_slice(&d);
}

/// `factors` are d and dmin (or the minimum), `scales`, `minimums` and `codes` as the format has them.
#[inline(always)]
pub fn pack_affine(
    ggml_type: GgmlType,
    factors: ([u8; 2], [u8; 2]),
    scales: &[f32],
    minimums: &[f32],
    codes: &[u8],
    out: &mut [u8],
) {
    let Some(codes) = codes.first_chunk::<256>() else {
        out[..2].copy_from_slice(&factors.0);
        out[2..4].copy_from_slice(&factors.1);
        let packed = out.len() - 16;
        pack_nibbles(codes, &mut out[packed..]);
        if packed == 8 {
            out[4..8].copy_from_slice(&fifth_bits(codes));
        }
        return;
    };
    if ggml_type == GgmlType::Q2K {
        for ((scale, minimum), out) in scales.iter().zip(minimums).zip(&mut out[..16]) {
            *out = *scale as u8 | (*minimum as u8) << 4;
        }
        pack_pairs(codes, out[16..].first_chunk_mut().expect("64 bytes"));
        out[80..82].copy_from_slice(&factors.0);
        out[82..84].copy_from_slice(&factors.1);
        return;
    }
    out[..2].copy_from_slice(&factors.0);
    out[2..4].copy_from_slice(&factors.1);
    let (scales, minimums) = (std::array::from_fn(|j| scales[j] as u8), std::array::from_fn(|j| minimums[j] as u8));
    out[4..16].copy_from_slice(&pack_scales_and_minimums(&scales, &minimums));
    let packed = out.len() - 128;
    if packed == 48 {
        pack_bit(codes, 4, out[16..].first_chunk_mut().expect("32 bytes"));
    }
    pack_wide_nibbles(codes, out[packed..].first_chunk_mut().expect("128 bytes"));
}
