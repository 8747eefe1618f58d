//! Formats with a minimum: weight = d · sc · code − dmin · mn. Finds d and dmin for each super-block, sc and mn for each
//! sub-block, and the codes.
//!
//! 1. Each sub-block alone: of many widths tried, the one whose codes leave the least error once scale and minimum are the
//!    exact least-squares ones for them; then codes and least squares in turn.
//! 2. d and dmin such that the largest scale and minimum become the greatest numbers that can be stored; rounded to halves.
//! 3. Each sub-block tries the whole numbers next to its scale / d and minimum / dmin, all pairs, with all codes chosen
//!    anew, and keeps the best.
//! 4. d and dmin become the least-squares pair for all codes of the super-block, rounded to halves; again from 3.
//!
//! Errors are always those of the numbers that the file will hold. A better round replaces a worse one, never the reverse.

use super::half_scale::{first_scale, rounded_scale};
use super::lot::Lot;
use super::sixteen_lanes::Lanes;

/// How a format stores scales and minimums, and how hard to search.
#[derive(Clone, Copy)]
pub struct AffinePlan {
    /// Sub-blocks that share d and dmin.
    pub group: usize,
    /// The last code.
    pub high: f32,
    /// Greatest sc and mn. With 1, d and dmin belong to the sub-block alone, and the minimum may have either sign.
    pub scale_high: f32,
    /// Whole numbers tried on each side of the nearest sc.
    pub scale_reach: i32,
    /// Whole numbers tried on each side of the nearest mn.
    pub minimum_reach: i32,
    /// The range's width in step 1, in codes beyond the last one: `first`, `first + step`, …
    pub first: f32,
    /// Distance of two trials.
    pub step: f32,
    /// How many.
    pub trials: u32,
    /// Turns of codes and least squares after the trials.
    pub turns: u32,
    /// Factors on the first d and dmin; each is refined, the best wins.
    pub starts: &'static [(f32, f32)],
    /// Rounds of steps 3 and 4 for each start.
    pub rounds: u32,
}

impl AffinePlan {
    fn has_own_scales(&self) -> bool {
        self.scale_high > 1.0
    }
}

/// What was found, in units of the lot.
pub struct AffineSolution<const N: usize> {
    /// d for each lane.
    pub d: [f32; 16],
    /// dmin for each lane.
    pub dmin: [f32; 16],
    /// sc for each lane.
    pub scales: [f32; 16],
    /// mn for each lane.
    pub minimums: [f32; 16],
    /// Codes.
    pub codes: [[f32; 16]; N],
}

impl<const N: usize> AffineSolution<N> {
    /// Zeros.
    pub fn empty() -> Box<Self> {
        let lanes = [0.0; 16];
        Box::new(Self { d: lanes, dmin: lanes, scales: lanes, minimums: lanes, codes: [lanes; N] })
    }
}

/// Sums over a sub-block, importance times each.
#[derive(Clone, Copy)]
struct Sums<L> {
    /// 1.
    ones: L,
    /// The weight.
    x: L,
    /// The code.
    q: L,
    /// The code's square.
    qq: L,
    /// The product.
    xq: L,
}

/// Solves one lot.
#[inline(always)]
pub fn search_affine<L: Lanes, const N: usize>(lot: &Lot<N>, plan: &AffinePlan, solution: &mut AffineSolution<N>) {
    (solution.d, solution.dmin) = ([0.0; 16], [0.0; 16]);
    let (wanted_scales, wanted_minimums) = best_pairs::<L, N>(lot, plan);
    let mut best_error = [f64::INFINITY; 16];
    for start in plan.starts {
        let mut d = first_factor(&wanted_scales, lot, plan, start.0);
        let mut dmin = first_factor(&wanted_minimums, lot, plan, start.1);
        let (mut scales, mut minimums) = (divide(&wanted_scales, &d), divide(&wanted_minimums, &dmin));
        for round in 0..plan.rounds {
            let (errors, found_scales, found_minimums) =
                best_whole_pairs::<L, N>(lot, plan, &d, &dmin, &scales, &minimums);
            for first in (0..16).step_by(plan.group) {
                let lanes = first..first + plan.group;
                let error: f64 = errors[lanes.clone()].iter().map(|error| f64::from(*error)).sum();
                if error < best_error[first] {
                    best_error[first] = error;
                    for lane in lanes {
                        (solution.d[lane], solution.dmin[lane]) = (d[lane], dmin[lane]);
                        (solution.scales[lane], solution.minimums[lane]) = (found_scales[lane], found_minimums[lane]);
                    }
                }
            }
            // No earlier end: lanes of other super-blocks must not decide how long these are searched.
            if round + 1 == plan.rounds {
                break;
            }
            let before = (d, dmin);
            refit::<L, N>(lot, plan, &mut d, &mut dmin, &found_scales, &found_minimums);
            for lane in 0..16 {
                scales[lane] = found_scales[lane] * ratio(before.0[lane], d[lane]);
                minimums[lane] = found_minimums[lane] * ratio(before.1[lane], dmin[lane]);
            }
        }
    }
    choose_codes::<L, N>(lot, plan, solution);
}

#[inline(always)]
fn ratio(before: f32, after: f32) -> f32 {
    if after == 0.0 { 0.0 } else { before / after }
}

/// Step 1: scales and minimums (what is subtracted).
#[inline(always)]
fn best_pairs<L: Lanes, const N: usize>(lot: &Lot<N>, plan: &AffinePlan) -> ([f32; 16], [f32; 16]) {
    let zero = L::splat(0.0);
    let (mut low, mut high) = (L::load(&lot.weights[0]), L::load(&lot.weights[0]));
    let (mut ones, mut x) = (zero, zero);
    for (weights, importance) in lot.weights.iter().zip(&lot.importance) {
        let (weight, importance) = (L::load(weights), L::load(importance));
        low = low.min(weight);
        high = high.max(weight);
        ones = ones.add(importance);
        x = x.add(importance.mul(weight));
    }
    if plan.has_own_scales() {
        // What is stored can only be subtracted.
        low = low.min(zero);
        high = high.max(low);
    }
    let inverse = high.sub(low).inverse();
    // The plain range is what is left where no trial is of use: a block of equal weights is its minimum.
    let mut best = Pair { gain: zero, scale: zero, minimum: zero.sub(low) };
    best.gain = L::splat(f32::NEG_INFINITY);
    for trial in 0..plan.trials {
        let width = plan.high + plan.first + plan.step * trial as f32;
        let factor = inverse.mul(L::splat(width));
        let sums = sums::<L, N>(lot, plan, factor, zero.sub(low), ones, x);
        best.take(&fit(&sums, plan));
    }
    for _ in 0..plan.turns {
        let sums = sums::<L, N>(lot, plan, best.scale.inverse(), best.minimum, ones, x);
        best.take(&fit(&sums, plan));
    }
    let (mut scales, mut minimums) = ([0.0; 16], [0.0; 16]);
    best.scale.store(&mut scales);
    best.minimum.store(&mut minimums);
    (scales, minimums)
}

/// A scale and a minimum, and what they take off the error.
#[derive(Clone, Copy)]
struct Pair<L> {
    gain: L,
    scale: L,
    minimum: L,
}

impl<L: Lanes> Pair<L> {
    #[inline(always)]
    fn take(&mut self, other: &Self) {
        self.scale = self.gain.if_less(other.gain, other.scale, self.scale);
        self.minimum = self.gain.if_less(other.gain, other.minimum, self.minimum);
        self.gain = self.gain.max(other.gain);
    }
}

/// Sums with the codes of a scale's inverse and a minimum.
#[inline(always)]
fn sums<L: Lanes, const N: usize>(lot: &Lot<N>, plan: &AffinePlan, inverse: L, minimum: L, ones: L, x: L) -> Sums<L> {
    let (zero, high) = (L::splat(0.0), L::splat(plan.high));
    let offset = minimum.mul(inverse);
    let (mut q, mut qq, mut xq) = (zero, zero, zero);
    for (weights, importance) in lot.weights.iter().zip(&lot.importance) {
        let weight = L::load(weights);
        let code = weight.mul(inverse).add(offset).max(zero).min(high).round();
        let weighted = L::load(importance).mul(code);
        q = q.add(weighted);
        qq = qq.add(weighted.mul(code));
        xq = xq.add(weighted.mul(weight));
    }
    Sums { ones, x, q, qq, xq }
}

/// The least-squares scale and minimum for given codes.
#[inline(always)]
fn fit<L: Lanes>(sums: &Sums<L>, plan: &AffinePlan) -> Pair<L> {
    let zero = L::splat(0.0);
    let determinant = sums.ones.mul(sums.qq).sub(sums.q.mul(sums.q));
    // Codes that are all equal leave nothing but rounding errors.
    let usable = sums.ones.mul(sums.qq).mul(L::splat(1e-6));
    let inverse = usable.if_less(determinant, determinant.inverse(), zero);
    let mut scale = sums.ones.mul(sums.xq).sub(sums.x.mul(sums.q)).mul(inverse);
    let mut minimum = sums.q.mul(sums.xq).sub(sums.qq.mul(sums.x)).mul(inverse);
    if plan.has_own_scales() {
        // A minimum that would have to be added, or that cannot be told from the scale: none, and the scale alone.
        let alone = sums.xq.mul(sums.qq.inverse());
        minimum = usable.if_less(determinant, minimum, zero);
        scale = zero.if_less(minimum, scale, alone);
        minimum = minimum.max(zero);
    }
    // Error = Σx² − gain, for any scale and minimum.
    let first = scale.mul(sums.xq.add(sums.xq).sub(scale.mul(sums.qq)));
    let second = minimum.mul(sums.x.add(sums.x).add(minimum.mul(sums.ones)));
    let cross = scale.mul(minimum).mul(sums.q.add(sums.q));
    let gain = first.sub(second).add(cross);
    let no_use = L::splat(f32::NEG_INFINITY);
    Pair { gain: zero.if_less(scale, gain, no_use), scale, minimum }
}

/// Step 2.
#[inline(always)]
fn first_factor<const N: usize>(wanted: &[f32; 16], lot: &Lot<N>, plan: &AffinePlan, start: f32) -> [f32; 16] {
    let mut out = [0.0; 16];
    for first in (0..16).step_by(plan.group) {
        let lanes = first..first + plan.group;
        let largest = wanted[lanes.clone()].iter().copied().fold(0.0_f32, |a, b| if b.abs() > a.abs() { b } else { a });
        out[lanes].fill(first_scale(largest / plan.scale_high * start, lot.unit[first]));
    }
    out
}

#[inline(always)]
fn divide(values: &[f32; 16], by: &[f32; 16]) -> [f32; 16] {
    std::array::from_fn(|lane| if by[lane] == 0.0 { 0.0 } else { values[lane] / by[lane] })
}

/// Step 3; gives errors, scales and minimums.
#[inline(always)]
fn best_whole_pairs<L: Lanes, const N: usize>(
    lot: &Lot<N>,
    plan: &AffinePlan,
    d: &[f32; 16],
    dmin: &[f32; 16],
    scales: &[f32; 16],
    minimums: &[f32; 16],
) -> ([f32; 16], [f32; 16], [f32; 16]) {
    let least = L::splat(if plan.has_own_scales() { 0.0 } else { 1.0 });
    let (zero, most, last) = (L::splat(0.0), L::splat(plan.scale_high), L::splat(plan.high));
    let (d, dmin) = (L::load(d), L::load(dmin));
    let near_scale = L::load(scales).max(least).min(most).round();
    let near_minimum = L::load(minimums).max(least).min(most).round();
    let (mut best, mut scale, mut minimum) = (L::splat(f32::INFINITY), near_scale, near_minimum);
    for scale_distance in -plan.scale_reach..=plan.scale_reach {
        let try_scale = near_scale.add(L::splat(scale_distance as f32)).max(least).min(most);
        let step = d.mul(try_scale);
        let inverse = step.inverse();
        for minimum_distance in -plan.minimum_reach..=plan.minimum_reach {
            let try_minimum = near_minimum.add(L::splat(minimum_distance as f32)).max(least).min(most);
            let shift = dmin.mul(try_minimum);
            let mut error = zero;
            for (weights, importance) in lot.weights.iter().zip(&lot.importance) {
                let shifted = L::load(weights).add(shift);
                let rest = shifted.sub(step.mul(shifted.mul(inverse).max(zero).min(last).round()));
                error = error.add(L::load(importance).mul(rest.mul(rest)));
            }
            scale = error.if_less(best, try_scale, scale);
            minimum = error.if_less(best, try_minimum, minimum);
            best = error.min(best);
        }
    }
    let (mut errors, mut found_scales, mut found_minimums) = ([0.0; 16], [0.0; 16], [0.0; 16]);
    best.store(&mut errors);
    scale.store(&mut found_scales);
    minimum.store(&mut found_minimums);
    (errors, found_scales, found_minimums)
}

/// Step 4.
#[inline(always)]
fn refit<L: Lanes, const N: usize>(
    lot: &Lot<N>,
    plan: &AffinePlan,
    d: &mut [f32; 16],
    dmin: &mut [f32; 16],
    scales: &[f32; 16],
    minimums: &[f32; 16],
) {
    let zero = L::splat(0.0);
    let (mut ones, mut x) = (zero, zero);
    for (weights, importance) in lot.weights.iter().zip(&lot.importance) {
        let importance = L::load(importance);
        ones = ones.add(importance);
        x = x.add(importance.mul(L::load(weights)));
    }
    let inverse = L::load(d).mul(L::load(scales)).inverse();
    let minimum = L::load(dmin).mul(L::load(minimums));
    let sums = sums::<L, N>(lot, plan, inverse, minimum, ones, x);
    let mut stored = [[0.0; 16]; 5];
    for (sum, stored) in [sums.ones, sums.x, sums.q, sums.qq, sums.xq].into_iter().zip(&mut stored) {
        sum.store(stored);
    }
    for first in (0..16).step_by(plan.group) {
        let (mut aa, mut ab, mut bb, mut ax, mut bx) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
        for lane in first..first + plan.group {
            let [ones, x, q, qq, xq] = std::array::from_fn(|sum| f64::from(stored[sum][lane]));
            let (scale, minimum) = (f64::from(scales[lane]), f64::from(minimums[lane]));
            aa += scale * scale * qq;
            ab -= scale * minimum * q;
            bb += minimum * minimum * ones;
            ax += scale * xq;
            bx -= minimum * x;
        }
        let determinant = aa * bb - ab * ab;
        let (mut new_d, mut new_dmin) = (f64::from(d[first]), f64::from(dmin[first]));
        if determinant > 1e-9 * aa * bb {
            (new_d, new_dmin) = ((ax * bb - bx * ab) / determinant, (aa * bx - ab * ax) / determinant);
        } else if aa > 0.0 {
            // Minimums are none, or tell no other thing than scales: they stay.
            new_d = (ax - ab * new_dmin) / aa;
        }
        let unit = lot.unit[first];
        d[first..first + plan.group].fill(rounded_scale(new_d as f32, unit));
        dmin[first..first + plan.group].fill(rounded_scale(new_dmin as f32, unit));
    }
}

#[inline(always)]
fn choose_codes<L: Lanes, const N: usize>(lot: &Lot<N>, plan: &AffinePlan, solution: &mut AffineSolution<N>) {
    let inverse = L::load(&solution.d).mul(L::load(&solution.scales)).inverse();
    let shift = L::load(&solution.dmin).mul(L::load(&solution.minimums));
    let (zero, last) = (L::splat(0.0), L::splat(plan.high));
    for (weights, codes) in lot.weights.iter().zip(&mut solution.codes) {
        L::load(weights).add(shift).mul(inverse).max(zero).min(last).round().store(codes);
    }
}
