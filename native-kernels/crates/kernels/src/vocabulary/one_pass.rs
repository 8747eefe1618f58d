//! One pass over a row: blocks that stay in the first-level cache are looked through for their greatest logit, then
//! summed. Written once over [`Vector`], compiled once per instruction set.

use super::lanes::{Vector, power_of_two};
use super::{LIMIT, RowScore};

/// Logits of a block: with the reference's, 8 KiB.
const BLOCK: usize = 1024;

/// 1.5 x 2^23: added to a float below 2^22, it leaves the nearest integer in the low bits.
const ROUND: f32 = 12_582_912.0;

/// ln 2 as a float, and what is missing of it.
const LN2_HIGH: f32 = std::f32::consts::LN_2;
const LN2_LOW: f32 = -1.904_654_2e-9;

/// exp(t) = 1 + t + t^2 P(t) for |t| <= ln(2) / 2, with the least greatest relative error (3.8e-9, by Remez's exchange,
/// coefficients rounded to floats), highest power first.
const POLYNOMIAL: [f32; 5] = [1.381_459_9e-3, 8.368_717e-3, 4.166_839e-2, 1.666_652_1e-1, 4.999_999_4e-1];

/// A block may be so many powers of two above the shared exponent before that is raised: its floats still fit.
const HEADROOM: i32 = 64;

/// Sums more than so many powers of two below a new exponent are nothing beside it, even in double precision.
const VANISHED: i32 = 1000;

/// A row's sum of exponentials so far: `sum` x 2^`exponent`.
#[derive(Clone, Copy)]
struct Total {
    exponent: i32,
    sum: f64,
}

impl Total {
    const EMPTY: Self = Self { exponent: i32::MIN / 2, sum: 0.0 };

    /// Makes room for logits up to `max`; returns the factor that sums of the same exponent must take.
    #[inline(always)]
    fn raise(&mut self, max: f32) -> f64 {
        // Below 2^17 in size, because the logits are within the limit.
        let needed = (max * std::f32::consts::LOG2_E) as i32;
        if needed <= self.exponent + HEADROOM {
            return 1.0;
        }
        let rise = needed - self.exponent;
        let factor = if rise > VANISHED { 0.0 } else { f64::from_bits(((1023 - rise) as u64) << 52) };
        self.exponent = needed;
        self.sum *= factor;
        factor
    }

    /// Natural logarithm of the whole sum.
    fn log_sum(&self) -> f64 {
        self.sum.ln() + f64::from(self.exponent) * std::f64::consts::LN_2
    }

    /// What turns the bits of a rounded exponent into the exponent field of a float relative to `exponent`.
    #[inline(always)]
    fn scale_offset(&self) -> i32 {
        (ROUND.to_bits() as i32).wrapping_add(self.exponent).wrapping_sub(127)
    }
}

/// The greatest logit so far, and the block in which it first occurred.
struct Greatest {
    value: f32,
    block: usize,
}

impl Greatest {
    const NONE: Self = Self { value: f32::NEG_INFINITY, block: 0 };

    #[inline(always)]
    fn update(&mut self, value: f32, block: usize) {
        if value > self.value {
            *self = Self { value, block };
        }
    }

    fn index(&self, logits: &[f32]) -> u32 {
        let start = self.block * BLOCK;
        (start + logits[start..].iter().position(|value| *value == self.value).unwrap_or(0)) as u32
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,popcnt")]
pub(super) fn score_row_avx512(model: &[f32], reference: Option<&[f32]>, target: usize) -> Option<RowScore> {
    // SAFETY: this function has the instructions.
    unsafe { score_row_with::<super::x86::Avx512>(model, reference, target) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2,fma,popcnt")]
pub(super) fn score_row_avx2(model: &[f32], reference: Option<&[f32]>, target: usize) -> Option<RowScore> {
    // SAFETY: this function has the instructions.
    unsafe { score_row_with::<super::x86::Avx2>(model, reference, target) }
}

/// In plain loops that need fused multiply-add to be quick.
#[cfg(any(target_arch = "aarch64", test))]
pub(super) fn score_row_plain(model: &[f32], reference: Option<&[f32]>, target: usize) -> Option<RowScore> {
    // SAFETY: plain loops need no special instructions.
    unsafe { score_row_with::<super::lanes::PlainLanes>(model, reference, target) }
}

/// `None` where a logit is beyond the limit or no number.
///
/// # Safety
/// The processor has the vector's instructions, and so has the function this is inlined into.
#[inline(always)]
unsafe fn score_row_with<V: Vector>(model: &[f32], reference: Option<&[f32]>, target: usize) -> Option<RowScore> {
    // SAFETY: the caller's promise.
    unsafe {
        match reference {
            None => score_alone::<V>(model, target),
            Some(reference) => score_against::<V>(model, reference, target),
        }
    }
}

/// # Safety
/// As [`score_row_with`], and so for all below.
#[inline(always)]
unsafe fn score_alone<V: Vector>(model: &[f32], target: usize) -> Option<RowScore> {
    let limit = model[target];
    let (mut total, mut greatest, mut rank) = (Total::EMPTY, Greatest::NONE, 0);
    for (block, logits) in model.chunks(BLOCK).enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let max = bounded_max::<V>(logits)?;
            greatest.update(max, block);
            rank += rank_in::<V>(logits, limit, target.saturating_sub(block * BLOCK));
            total.raise(max);
            total.sum += sum_exponentials::<V>(logits, total.scale_offset());
        }
    }
    let nll = (total.log_sum() - f64::from(limit)).max(0.0);
    Some(RowScore { nll, argmax: greatest.index(model), rank, ..RowScore::default() })
}

/// KL = E_p[r - x] + log-sum-exp of x - log-sum-exp of r, with p of the reference's logits r.
///
/// # Safety
/// As above.
#[inline(always)]
unsafe fn score_against<V: Vector>(model: &[f32], reference: &[f32], target: usize) -> Option<RowScore> {
    let limit = model[target];
    let (mut total, mut greatest, mut rank) = (Total::EMPTY, Greatest::NONE, 0);
    let (mut reference_total, mut reference_greatest) = (Total::EMPTY, Greatest::NONE);
    // Sum of e^r (r - x), with the exponent of the reference's total.
    let mut weighted = 0.0;
    for (block, (logits, wanted)) in model.chunks(BLOCK).zip(reference.chunks(BLOCK)).enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let (max, reference_max) = (bounded_max::<V>(logits)?, bounded_max::<V>(wanted)?);
            greatest.update(max, block);
            reference_greatest.update(reference_max, block);
            rank += rank_in::<V>(logits, limit, target.saturating_sub(block * BLOCK));
            total.raise(max);
            total.sum += sum_exponentials::<V>(logits, total.scale_offset());
            weighted *= reference_total.raise(reference_max);
            let (sum, difference) = sum_weighted::<V>(wanted, logits, reference_total.scale_offset());
            reference_total.sum += sum;
            weighted += difference;
        }
    }
    let (log_sum, reference_log_sum) = (total.log_sum(), reference_total.log_sum());
    Some(RowScore {
        nll: (log_sum - f64::from(limit)).max(0.0),
        argmax: greatest.index(model),
        rank,
        // Never negative but for rounding.
        kl: (weighted / reference_total.sum + (log_sum - reference_log_sum)).max(0.0),
        reference_nll: (reference_log_sum - f64::from(reference[target])).max(0.0),
        reference_argmax: reference_greatest.index(reference),
    })
}

/// The greatest logit of a block, or `None` if one is beyond the limit or no number.
#[inline(always)]
unsafe fn bounded_max<V: Vector>(logits: &[f32]) -> Option<f32> {
    let (pairs, rest) = in_pairs::<V>(logits);
    let (mut greatest, mut most) = ([f32::NEG_INFINITY; 16], [0.0_f32; 16]);
    // SAFETY: the caller's promise.
    unsafe {
        let (mut max, mut magnitude) = ([V::splat(f32::NEG_INFINITY); 2], [V::splat(0.0); 2]);
        for pair in pairs.chunks_exact(2 * V::LANES) {
            let values = [V::load(pair), V::load(&pair[V::LANES..])];
            // Bits of positive floats are in the order of their values; infinities and NaN come last.
            for of in 0..2 {
                max[of] = values[of].greater(max[of]);
                magnitude[of] = values[of].greater_magnitude(magnitude[of]);
            }
        }
        max[0].greater(max[1]).to_array(&mut greatest);
        magnitude[0].greater_magnitude(magnitude[1]).to_array(&mut most);
    }
    let bits = most.iter().map(|value| value.to_bits()).chain(rest.iter().map(|value| value.abs().to_bits()));
    if bits.fold(0, u32::max) > LIMIT.to_bits() {
        return None;
    }
    Some(greatest.iter().chain(rest).fold(f32::NEG_INFINITY, |max, value| if *value > max { *value } else { max }))
}

/// How many logits of a block come before the target; `place` is the target's in the block, 0 or the block's length or
/// more if it is in another one.
#[inline(always)]
unsafe fn rank_in<V: Vector>(logits: &[f32], limit: f32, place: usize) -> u32 {
    let (before, after) = logits.split_at(place.min(logits.len()));
    // SAFETY: the caller's promise.
    unsafe { count_above::<V>(before, limit, true) + count_above::<V>(after, limit, false) }
}

#[inline(always)]
unsafe fn count_above<V: Vector>(logits: &[f32], limit: f32, or_equal: bool) -> u32 {
    let (pairs, rest) = in_pairs::<V>(logits);
    let mut found = [0; 2];
    // SAFETY: the caller's promise.
    unsafe {
        let limits = V::splat(limit);
        for pair in pairs.chunks_exact(2 * V::LANES) {
            found[0] += V::load(pair).count_above(limits, or_equal);
            found[1] += V::load(&pair[V::LANES..]).count_above(limits, or_equal);
        }
    }
    found[0] + found[1] + rest.iter().filter(|value| **value > limit || or_equal && **value == limit).count() as u32
}

/// exp(x) x 2^-exponent in every lane, `offset` being [`Total::scale_offset`]; 0 below 2^-126.
#[inline(always)]
unsafe fn exponentials<V: Vector>(x: V, offset: i32) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        let rounded = x.multiply_add(V::splat(std::f32::consts::LOG2_E), V::splat(ROUND));
        let n = rounded.subtract(V::splat(ROUND));
        // |x| <= 2^16: n has 17 bits, and of n ln 2 only the last bits of ln 2 itself are missing.
        let t = n.multiply_add(V::splat(-LN2_LOW), n.multiply_add(V::splat(-LN2_HIGH), x));
        let mut p = V::splat(POLYNOMIAL[0]);
        for coefficient in &POLYNOMIAL[1..] {
            p = p.multiply_add(t, V::splat(*coefficient));
        }
        let one = V::splat(1.0);
        p.multiply_add(t, one).multiply_add(t, one).scale(rounded, offset)
    }
}

/// [`exponentials`] of one value, for the end of a row.
#[inline(always)]
fn exponential(x: f32, offset: i32) -> f32 {
    let rounded = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let t = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let p = POLYNOMIAL[1..].iter().fold(POLYNOMIAL[0], |p, coefficient| p.mul_add(t, *coefficient));
    p.mul_add(t, 1.0).mul_add(t, 1.0) * power_of_two((rounded.to_bits() as i32).wrapping_sub(offset))
}

/// The part of a slice that is whole pairs of vectors, and the rest.
#[inline(always)]
fn in_pairs<V: Vector>(logits: &[f32]) -> (&[f32], &[f32]) {
    logits.split_at(logits.len() - logits.len() % (2 * V::LANES))
}

/// Sum of a block's exponentials: two by two in floats, then in doubles.
#[inline(always)]
unsafe fn sum_exponentials<V: Vector>(logits: &[f32], offset: i32) -> f64 {
    let (pairs, rest) = in_pairs::<V>(logits);
    // SAFETY: the caller's promise.
    let total = unsafe {
        let mut sum = V::zero_sum();
        for pair in pairs.chunks_exact(2 * V::LANES) {
            let [first, second] = [V::load(pair), V::load(&pair[V::LANES..])];
            sum = exponentials(first, offset).add(exponentials(second, offset)).add_to(sum);
        }
        V::total(sum)
    };
    rest.iter().fold(total, |total, value| total + f64::from(exponential(*value, offset)))
}

/// Sum of a block's e^r, and of e^r (r - x).
#[inline(always)]
unsafe fn sum_weighted<V: Vector>(reference: &[f32], model: &[f32], offset: i32) -> (f64, f64) {
    let (pairs, rest) = in_pairs::<V>(reference);
    let (model_pairs, model_rest) = model.split_at(pairs.len());
    let both = pairs.chunks_exact(2 * V::LANES).zip(model_pairs.chunks_exact(2 * V::LANES));
    // SAFETY: the caller's promise.
    let (mut total, mut weighted) = unsafe {
        let (mut sum, mut differences) = (V::zero_sum(), V::zero_sum());
        for (pair, model_pair) in both {
            let [first, second] = [V::load(pair), V::load(&pair[V::LANES..])];
            let weights = [exponentials(first, offset), exponentials(second, offset)];
            sum = weights[0].add(weights[1]).add_to(sum);
            let first_difference = first.subtract(V::load(model_pair));
            let second_difference = second.subtract(V::load(&model_pair[V::LANES..]));
            let difference = weights[1].multiply_add(second_difference, weights[0].multiply(first_difference));
            differences = difference.add_to(differences);
        }
        (V::total(sum), V::total(differences))
    };
    for (wanted, value) in rest.iter().zip(model_rest) {
        let weight = exponential(*wanted, offset);
        total += f64::from(weight);
        weighted += f64::from(weight * (wanted - value));
    }
    (total, weighted)
}
