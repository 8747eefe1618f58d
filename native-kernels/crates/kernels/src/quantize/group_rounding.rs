//! Rounding to nearest in groups of integers: conventions for the scale, and a search for the best one.
//!
//! The search tries scales side by side, one to a lane, each already rounded to the type it is stored in; so no sum crosses
//! lanes, groups may have any size, and every backend gives the same codes.

use super::integer_groups::IntegerGroups;
use super::sixteen_lanes::{Lanes, Plain};
use crate::blocks::round_floats::{FloatType, to_bf16, to_half};
use crate::cpu::Backend;
use crate::error::{KernelError, Result, Status};

/// How a group's scale follows from its weights. m = 2^(bits − 1), M the first weight of largest magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleRule {
    /// |M| / (m − 1); codes −m + 1 … m − 1, zero m.
    Restricted,
    /// |M| / (m − ½); codes −m … m − 1, zero m. What GPTQ and compressed-tensors do.
    HalfStep,
    /// M / −m, so that M is a code exactly; codes −m … m − 1, zero m; the scale may be negative.
    SignedExtreme,
    /// Range, stretched to hold 0, / (2^bits − 1); the zero is a code.
    IntegerZero,
    /// Range / (2^bits − 1), not stretched; the minimum is stored like a scale, so the zero is any number.
    FloatMinimum,
}

/// How to quantize rows into groups of integers.
#[derive(Debug, Clone, Copy)]
pub struct GroupOptions<'a> {
    /// Width of a code: 2 to 8.
    pub bits: u32,
    /// Weights of a row.
    pub columns: usize,
    /// Columns that share a scale; the last group of a row may be shorter.
    pub group_size: usize,
    /// How scales are found.
    pub rule: ScaleRule,
    /// Whether smaller ranges are tried, and scales near the best of them, for the least weighted squared error.
    pub is_searched: bool,
    /// What scales (and float minimums) are rounded to, before codes are chosen.
    pub scale_type: FloatType,
    /// One number >= 0 for each column: what an error's square counts for in the search. Without it all count alike.
    pub importance: Option<&'a [f32]>,
}

impl GroupOptions<'_> {
    fn check(&self, weights: &[f32]) -> Result<()> {
        let bad = |what: String| Err(KernelError::bad_argument(what));
        if !(2..=8).contains(&self.bits) {
            return bad(format!("codes of {} bits asked for, 2 to 8 are possible", self.bits));
        }
        if self.group_size == 0 || self.columns == 0 || !weights.len().is_multiple_of(self.columns) {
            return bad(format!(
                "{} weights are no whole rows of {} in groups of {}",
                weights.len(),
                self.columns,
                self.group_size
            ));
        }
        if let Some(importance) = self.importance {
            if importance.len() != self.columns {
                return bad(format!("importance of {} columns was given for {}", importance.len(), self.columns));
            }
            if let Some(column) = importance.iter().position(|number| !(0.0..f32::INFINITY).contains(number)) {
                let what =
                    format!("the importance of column {column} is {}, not a number from 0 on", importance[column]);
                return Err(KernelError::new(Status::NotFinite, what));
            }
        }
        if weights.iter().fold(true, |all, weight| all & (weight.abs() < f32::INFINITY)) {
            return Ok(());
        }
        let place = weights.iter().position(|weight| !weight.is_finite()).unwrap_or(0);
        let (row, column) = (place / self.columns, place % self.columns);
        Err(KernelError::new(Status::NotFinite, format!("weight {column} of row {row} is {}", weights[place])))
    }
}

/// A scale and a zero, and the codes that go with them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupGrid {
    /// As stored.
    pub scale: f32,
    /// In code units.
    pub zero: f32,
    /// The least code.
    pub low: f32,
    /// The greatest code.
    pub high: f32,
}

impl GroupGrid {
    /// The nearest code; of two, the even multiple of the scale.
    pub fn code(&self, weight: f32) -> u8 {
        ((weight / self.scale + self.zero).clamp(self.low, self.high)).round_ties_even() as u8
    }

    /// What a code stands for.
    pub fn weight(&self, code: u8) -> f32 {
        self.scale * (f32::from(code) - self.zero)
    }
}

/// Quantizes whole rows.
///
/// Fails with [`Status::NotFinite`] at a weight that is NaN or infinite (row and column counted within `weights`), and with
/// [`Status::Unrepresentable`] where a scale overflows its type. Groups of zeros have scale 1. The same on every backend.
pub fn quantize_groups(backend: Backend, options: &GroupOptions<'_>, weights: &[f32]) -> Result<IntegerGroups> {
    options.check(weights)?;
    let (rows, groups) = (weights.len() / options.columns, options.columns.div_ceil(options.group_size));
    let mut result = IntegerGroups {
        bits: options.bits,
        rows,
        columns: options.columns,
        group_size: options.group_size,
        codes: crate::files::zeroed(weights.len())?,
        scales: Vec::with_capacity(rows * groups),
        zeros: Vec::with_capacity(rows * groups),
        permutation: None,
    };
    let all_rows = weights.chunks_exact(options.columns).zip(result.codes.chunks_exact_mut(options.columns));
    for (row, (weights, codes)) in all_rows.enumerate() {
        let pieces = weights.chunks(options.group_size).zip(codes.chunks_mut(options.group_size));
        for (index, (weights, codes)) in pieces.enumerate() {
            let importance = options.importance.map(|all| &all[index * options.group_size..][..weights.len()]);
            let grid = group_grid(backend, options, weights, importance).ok_or_else(|| {
                KernelError::new(
                    Status::Unrepresentable,
                    format!("the scale of group {index} of row {row} does not fit {:?}", options.scale_type),
                )
            })?;
            for (weight, code) in weights.iter().zip(codes) {
                *code = grid.code(*weight);
            }
            result.scales.push(grid.scale);
            result.zeros.push(grid.zero);
        }
    }
    Ok(result)
}

/// The scale and zero of one group; `None` where a scale overflows its type.
pub fn group_grid(
    backend: Backend,
    options: &GroupOptions<'_>,
    weights: &[f32],
    importance: Option<&[f32]>,
) -> Option<GroupGrid> {
    let range = Range::of(weights);
    let plain = range.grid(options, 1.0, false)?;
    if !options.is_searched || range.largest() == 0.0 {
        return Some(plain);
    }
    let importance = importance.filter(|importance| importance.iter().any(|number| *number > 0.0));
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => Some(unsafe { search_avx512(options, &range, plain, weights, importance) }),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Backend::Avx2 => Some(unsafe { search_avx2(options, &range, plain, weights, importance) }),
        _ => Some(search::<Plain>(options, &range, plain, weights, importance)),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi2")]
fn search_avx512(
    options: &GroupOptions<'_>,
    range: &Range,
    plain: GroupGrid,
    weights: &[f32],
    importance: Option<&[f32]>,
) -> GroupGrid {
    search::<super::sixteen_lanes::Avx512>(options, range, plain, weights, importance)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn search_avx2(
    options: &GroupOptions<'_>,
    range: &Range,
    plain: GroupGrid,
    weights: &[f32],
    importance: Option<&[f32]>,
) -> GroupGrid {
    search::<super::sixteen_lanes::Avx2>(options, range, plain, weights, importance)
}

/// What a group spans.
struct Range {
    low: f32,
    high: f32,
    /// The first weight of largest magnitude.
    extreme: f32,
}

impl Range {
    fn of(weights: &[f32]) -> Self {
        let low = weights.iter().copied().fold(f32::INFINITY, |a, b| if b < a { b } else { a });
        let high = weights.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
        let extreme = if -low > high {
            low
        } else if -low < high {
            high
        } else {
            weights.iter().copied().find(|weight| weight.abs() == high.abs()).unwrap_or(0.0)
        };
        Self { low, high, extreme }
    }

    fn largest(&self) -> f32 {
        self.extreme.abs()
    }

    /// The grid of a rule when the range is cut to `factor` of itself; `is_turned` swaps the ends of a signed grid.
    fn grid(&self, options: &GroupOptions<'_>, factor: f32, is_turned: bool) -> Option<GroupGrid> {
        let half = (1_u32 << (options.bits - 1)) as f32;
        let last = 2.0 * half - 1.0;
        let symmetric = |scale: f32, low: f32| {
            let scale = stored_scale(options.scale_type, scale * factor)?;
            Some(GroupGrid { scale, zero: half, low, high: last })
        };
        if self.largest() == 0.0 {
            let zero = if options.rule == ScaleRule::FloatMinimum { 0.0 } else { half };
            let zero = if options.rule == ScaleRule::IntegerZero { 0.0 } else { zero };
            return Some(GroupGrid { scale: 1.0, zero, low: 0.0, high: last });
        }
        match options.rule {
            ScaleRule::Restricted => symmetric(self.largest() / (half - 1.0), 1.0),
            ScaleRule::HalfStep => symmetric(self.largest() / (half - 0.5), 0.0),
            ScaleRule::SignedExtreme if is_turned => symmetric(self.extreme / (half - 1.0), 0.0),
            ScaleRule::SignedExtreme => symmetric(self.extreme / -half, 0.0),
            ScaleRule::IntegerZero => {
                let (low, high) = (self.low.min(0.0) * factor, self.high.max(0.0) * factor);
                // Halves first: the difference of two floats may overflow.
                let scale = stored_scale(options.scale_type, (high / last) - (low / last))?;
                let zero = (-low / scale).round_ties_even().clamp(0.0, last);
                Some(GroupGrid { scale, zero, low: 0.0, high: last })
            }
            ScaleRule::FloatMinimum => {
                let (middle, reach) = (self.low / 2.0 + self.high / 2.0, (self.high / 2.0 - self.low / 2.0) * factor);
                if reach == 0.0 {
                    // All weights are equal: code 0 is one scale away from its zero.
                    let scale = stored_scale(options.scale_type, self.extreme.abs())?;
                    return Some(GroupGrid { scale, zero: -1.0_f32.copysign(self.extreme), low: 0.0, high: last });
                }
                let scale = stored_scale(options.scale_type, reach / last * 2.0)?;
                let minimum = rounded(options.scale_type, middle - reach);
                (minimum.abs() < f32::INFINITY).then_some(GroupGrid {
                    scale,
                    zero: -minimum / scale,
                    low: 0.0,
                    high: last,
                })
            }
        }
    }
}

fn rounded(scale_type: FloatType, value: f32) -> f32 {
    match scale_type {
        FloatType::F16 => crate::blocks::block_layouts::half(to_half(value).to_le_bytes()),
        FloatType::Bf16 => f32::from_bits(u32::from(to_bf16(value)) << 16),
        FloatType::F32 => value,
    }
}

/// Rounded, but never to zero; `None` where it overflows.
fn stored_scale(scale_type: FloatType, value: f32) -> Option<f32> {
    let least = match scale_type {
        FloatType::F16 => 1.0 / (1 << 24) as f32,
        // Its inverse must be a number.
        FloatType::Bf16 | FloatType::F32 => f32::MIN_POSITIVE,
    };
    let scale = rounded(scale_type, value);
    let scale = if scale.abs() < least { least.copysign(value) } else { scale };
    (scale.abs() < f32::INFINITY).then_some(scale)
}

/// Smaller ranges, then scales and zeros near the best, twice.
#[inline(always)]
fn search<L: Lanes>(
    options: &GroupOptions<'_>,
    range: &Range,
    plain: GroupGrid,
    weights: &[f32],
    importance: Option<&[f32]>,
) -> GroupGrid {
    /// Ranges from the whole down to half of it.
    const CUTS: usize = 32;
    // In units of the largest weight's power of two, squares neither overflow nor vanish.
    let unit = f32::from_bits(range.largest().to_bits() & 0x7f80_0000).max(f32::MIN_POSITIVE);
    let mut best = (f32::INFINITY, plain);
    for first in (0..CUTS).step_by(16) {
        let candidates = std::array::from_fn(|lane| {
            let index = first + lane;
            // Every fourth puts the largest weight at the other end, where that is another grid.
            let is_turned = index % 4 == 3;
            let factor = 1.0 - 0.5 * index as f32 / (CUTS - 1) as f32;
            range.grid(options, factor, is_turned).unwrap_or(plain)
        });
        take_best::<L>(&candidates, unit, weights, importance, &mut best);
    }
    for distance in [0.02_f32, 0.006] {
        let found = best.1;
        let candidates = std::array::from_fn(|lane| {
            // Five scales, by three zeros where these can move.
            let (turn, shift) = (lane as f32 % 5.0 - 2.0, lane as f32 / 5.0);
            let moved = shift.trunc() - 1.0;
            let is_symmetric =
                matches!(options.rule, ScaleRule::Restricted | ScaleRule::HalfStep | ScaleRule::SignedExtreme);
            let factor = if is_symmetric { (lane as f32 - 7.0) / 4.0 } else { turn };
            let Some(scale) = stored_scale(options.scale_type, found.scale * (1.0 + distance * factor)) else {
                return found;
            };
            let zero = match options.rule {
                ScaleRule::IntegerZero => (found.zero + moved).clamp(0.0, found.high),
                ScaleRule::FloatMinimum => {
                    // The middle of the grid stays, but for the shift.
                    let middle = found.scale * (found.high / 2.0 - found.zero) + found.scale * moved * 12.0 * distance;
                    -rounded(options.scale_type, middle - scale * found.high / 2.0) / scale
                }
                _ => found.zero,
            };
            GroupGrid { scale, zero, ..found }
        });
        take_best::<L>(&candidates, unit, weights, importance, &mut best);
    }
    best.1
}

/// Puts the candidate of least error in `best`, if it is less.
#[inline(always)]
fn take_best<L: Lanes>(
    candidates: &[GroupGrid; 16],
    unit: f32,
    weights: &[f32],
    importance: Option<&[f32]>,
    best: &mut (f32, GroupGrid),
) {
    let to_units = 1.0 / unit;
    let each = |part: fn(&GroupGrid) -> f32| L::load(&std::array::from_fn(|lane| part(&candidates[lane])));
    let scale = each(|grid| grid.scale).mul(L::splat(to_units));
    let (zero, low, high) = (each(|grid| grid.zero), each(|grid| grid.low), each(|grid| grid.high));
    let inverse = L::splat(1.0).div(scale);
    let mut errors = L::splat(0.0);
    for (index, weight) in weights.iter().enumerate() {
        let weight = L::splat(weight * to_units);
        let code = weight.mul(inverse).add(zero).max(low).min(high).round();
        let rest = weight.sub(scale.mul(code.sub(zero)));
        let count = L::splat(importance.map_or(1.0, |importance| importance[index]));
        errors = errors.add(count.mul(rest.mul(rest)));
    }
    let mut found = [0.0; 16];
    errors.store(&mut found);
    for (error, candidate) in found.iter().zip(candidates) {
        if *error < best.0 {
            *best = (*error, *candidate);
        }
    }
}
