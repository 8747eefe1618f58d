//! Formats without a minimum: weight = d · sc · level. Finds d for each super-block, sc for each sub-block, and the levels.
//!
//! 1. Each sub-block alone: of many scales tried, the one whose levels leave the least error once the scale is the exact
//!    least-squares one for them.
//! 2. d such that the largest of those scales becomes the scales' extreme; rounded to a half.
//! 3. Each sub-block tries the whole numbers next to its scale / d, with all levels chosen anew, and keeps the best.
//! 4. d becomes the least-squares one for all levels and scales of the super-block, rounded to a half; again from 3.
//!
//! Errors are always those of the numbers that the file will hold. A better round replaces a worse one, never the reverse.

use super::code_grid::CodeGrid;
use super::half_scale::{first_scale, rounded_scale};
use super::lot::Lot;
use super::sixteen_lanes::Lanes;

/// How a format stores scales, and how hard to search.
#[derive(Clone, Copy)]
pub struct SymmetricPlan {
    /// Sub-blocks that share d.
    pub group: usize,
    /// Least sc; 1 and 1 where there is none.
    pub scale_low: f32,
    /// Greatest sc.
    pub scale_high: f32,
    /// Whole numbers tried on each side of the nearest sc.
    pub reach: i32,
    /// The largest weight's place in step 1, in levels beyond the extreme one: `first`, `first + step`, …
    pub first: f32,
    /// Distance of two trials.
    pub step: f32,
    /// Trials with the largest weight on the lowest level's side.
    pub trials_low: u32,
    /// Trials with the largest weight on the highest level's side.
    pub trials_high: u32,
    /// Factors on the first d; each is refined, the best wins.
    pub starts: &'static [f32],
    /// Rounds of steps 3 and 4 for each start.
    pub rounds: u32,
}

/// What was found, in units of the lot.
pub struct SymmetricSolution<const N: usize> {
    /// d for each lane, a half times the unit's inverse.
    pub d: [f32; 16],
    /// sc for each lane.
    pub scales: [f32; 16],
    /// Levels.
    pub levels: [[f32; 16]; N],
}

impl<const N: usize> SymmetricSolution<N> {
    /// Zeros.
    pub fn empty() -> Box<Self> {
        Box::new(Self { d: [0.0; 16], scales: [0.0; 16], levels: [[0.0; 16]; N] })
    }
}

/// Solves one lot.
#[inline(always)]
pub fn search_symmetric<L: Lanes, G: CodeGrid, const N: usize>(
    lot: &Lot<N>,
    grid: G,
    plan: &SymmetricPlan,
    solution: &mut SymmetricSolution<N>,
) {
    solution.d = [0.0; 16];
    let wanted = best_scales::<L, G, N>(lot, grid, plan);
    let mut best_error = [f64::INFINITY; 16];
    for start in plan.starts {
        let mut d = first_d(&wanted, lot, plan, *start);
        let mut scales = divide(&wanted, &d);
        for round in 0..plan.rounds {
            let mut found = [0.0; 16];
            let errors = best_whole_scales::<L, G, N>(lot, grid, plan, &d, &scales, &mut found);
            for first in (0..16).step_by(plan.group) {
                let lanes = first..first + plan.group;
                let error: f64 = errors[lanes.clone()].iter().map(|error| f64::from(*error)).sum();
                if error < best_error[first] {
                    best_error[first] = error;
                    for lane in lanes {
                        (solution.d[lane], solution.scales[lane]) = (d[lane], found[lane]);
                    }
                }
            }
            // No earlier end: lanes of other super-blocks must not decide how long these are searched.
            if round + 1 == plan.rounds {
                break;
            }
            let before = d;
            refit_d::<L, G, N>(lot, grid, plan, &mut d, &found);
            for lane in 0..16 {
                let ratio = if d[lane] == 0.0 { 0.0 } else { before[lane] / d[lane] };
                scales[lane] = found[lane] * ratio;
            }
        }
    }
    choose_levels::<L, G, N>(lot, grid, solution);
}

/// Step 1.
#[inline(always)]
fn best_scales<L: Lanes, G: CodeGrid, const N: usize>(lot: &Lot<N>, grid: G, plan: &SymmetricPlan) -> [f32; 16] {
    let zero = L::splat(0.0);
    let (mut largest, mut signed) = (zero, zero);
    for weights in &lot.weights {
        let weight = L::load(weights);
        let magnitude = weight.magnitude();
        signed = largest.if_less(magnitude, weight, signed);
        largest = largest.max(magnitude);
    }
    let inverse = signed.inverse();
    let (mut best, mut scale) = (zero, zero);
    for trial in 0..plan.trials_low + plan.trials_high {
        let at = if trial < plan.trials_low {
            grid.lowest() - plan.first - plan.step * trial as f32
        } else {
            grid.highest() + plan.first + plan.step * (trial - plan.trials_low) as f32
        };
        let factor = inverse.mul(L::splat(at));
        let (mut products, mut squares) = (zero, zero);
        for (weights, importance) in lot.weights.iter().zip(&lot.importance) {
            let (weight, importance) = (L::load(weights), L::load(importance));
            let level = grid.nearest(weight.mul(factor));
            let weighted = importance.mul(level);
            products = products.add(weighted.mul(weight));
            squares = squares.add(weighted.mul(level));
        }
        let fitted = products.mul(squares.inverse());
        // The error is a constant less this.
        let gain = products.mul(fitted);
        scale = best.if_less(gain, fitted, scale);
        best = best.max(gain);
    }
    let mut out = [0.0; 16];
    scale.store(&mut out);
    out
}

/// Step 2.
#[inline(always)]
fn first_d<const N: usize>(wanted: &[f32; 16], lot: &Lot<N>, plan: &SymmetricPlan, start: f32) -> [f32; 16] {
    let mut d = [0.0; 16];
    for first in (0..16).step_by(plan.group) {
        let group = &wanted[first..first + plan.group];
        let largest = group.iter().copied().fold(0.0_f32, |a, b| if b.abs() > a.abs() { b } else { a });
        let extreme = if plan.scale_low < 0.0 { plan.scale_low } else { plan.scale_high };
        let rounded = first_scale(largest / extreme * start, lot.unit[first]);
        d[first..first + plan.group].fill(rounded);
    }
    d
}

#[inline(always)]
fn divide(values: &[f32; 16], by: &[f32; 16]) -> [f32; 16] {
    std::array::from_fn(|lane| if by[lane] == 0.0 { 0.0 } else { values[lane] / by[lane] })
}

/// Step 3; gives the error of each lane.
#[inline(always)]
fn best_whole_scales<L: Lanes, G: CodeGrid, const N: usize>(
    lot: &Lot<N>,
    grid: G,
    plan: &SymmetricPlan,
    d: &[f32; 16],
    scales: &[f32; 16],
    found: &mut [f32; 16],
) -> [f32; 16] {
    let (low, high) = (L::splat(plan.scale_low), L::splat(plan.scale_high));
    let d = L::load(d);
    let nearest = L::load(scales).max(low).min(high).round();
    let (mut best, mut scale) = (L::splat(f32::INFINITY), nearest);
    for distance in -plan.reach..=plan.reach {
        let candidate = nearest.add(L::splat(distance as f32)).max(low).min(high);
        let step = d.mul(candidate);
        let inverse = step.inverse();
        let mut error = L::splat(0.0);
        for (weights, importance) in lot.weights.iter().zip(&lot.importance) {
            let weight = L::load(weights);
            let rest = weight.sub(step.mul(grid.nearest(weight.mul(inverse))));
            error = error.add(L::load(importance).mul(rest.mul(rest)));
        }
        scale = error.if_less(best, candidate, scale);
        best = error.min(best);
    }
    scale.store(found);
    let mut errors = [0.0; 16];
    best.store(&mut errors);
    errors
}

/// Step 4.
#[inline(always)]
fn refit_d<L: Lanes, G: CodeGrid, const N: usize>(
    lot: &Lot<N>,
    grid: G,
    plan: &SymmetricPlan,
    d: &mut [f32; 16],
    scales: &[f32; 16],
) {
    let inverse = L::load(d).mul(L::load(scales)).inverse();
    let (mut products, mut squares) = (L::splat(0.0), L::splat(0.0));
    for (weights, importance) in lot.weights.iter().zip(&lot.importance) {
        let weight = L::load(weights);
        let level = grid.nearest(weight.mul(inverse));
        let weighted = L::load(importance).mul(level);
        products = products.add(weighted.mul(weight));
        squares = squares.add(weighted.mul(level));
    }
    let (mut wx, mut ww) = ([0.0; 16], [0.0; 16]);
    products.store(&mut wx);
    squares.store(&mut ww);
    for first in (0..16).step_by(plan.group) {
        let (mut numerator, mut denominator) = (0.0_f64, 0.0_f64);
        for lane in first..first + plan.group {
            let scale = f64::from(scales[lane]);
            numerator += scale * f64::from(wx[lane]);
            denominator += scale * scale * f64::from(ww[lane]);
        }
        if denominator > 0.0 {
            let fitted = rounded_scale((numerator / denominator) as f32, lot.unit[first]);
            d[first..first + plan.group].fill(fitted);
        }
    }
}

#[inline(always)]
fn choose_levels<L: Lanes, G: CodeGrid, const N: usize>(lot: &Lot<N>, grid: G, solution: &mut SymmetricSolution<N>) {
    let inverse = L::load(&solution.d).mul(L::load(&solution.scales)).inverse();
    for (weights, levels) in lot.weights.iter().zip(&mut solution.levels) {
        grid.nearest(L::load(weights).mul(inverse)).store(levels);
    }
}
