//! The few vector operations that the one pass is written in, for each instruction set.

/// Floats of one register, and the sums over them. Every method must be inlined into a function that has the
/// instructions; calling one on a processor without them is undefined behaviour, which is why they are unsafe.
pub(super) trait Vector: Copy {
    /// Floats a vector.
    const LANES: usize;
    /// One double for each float.
    type Sum: Copy;

    /// The first [`Self::LANES`] floats of a slice, which has as many.
    unsafe fn load(from: &[f32]) -> Self;
    unsafe fn splat(value: f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn subtract(self, other: Self) -> Self;
    unsafe fn multiply(self, other: Self) -> Self;
    /// self x factor + addend, rounded once.
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self;
    /// The greater of each pair; for a NaN in `self`, `other`.
    unsafe fn greater(self, other: Self) -> Self;
    /// In each lane the greater of two bit patterns, the sign of `self` left away.
    unsafe fn greater_magnitude(self, bits: Self) -> Self;
    /// How many lanes are above that of `limit`, or equal to it too.
    unsafe fn count_above(self, limit: Self, or_equal: bool) -> u32;
    /// self x 2^(low bits of `rounded` - `offset` - 127), for exponents up to 127; 0 where the exponent is below -126.
    unsafe fn scale(self, rounded: Self, offset: i32) -> Self;
    unsafe fn to_array(self, out: &mut [f32]);
    unsafe fn zero_sum() -> Self::Sum;
    unsafe fn add_to(self, sum: Self::Sum) -> Self::Sum;
    /// Sum of all lanes, in an order that never changes.
    unsafe fn total(sum: Self::Sum) -> f64;
}

/// 2^(n - 127) from the integer n in 1 ... 254; 0 from integers below.
#[inline(always)]
pub(super) fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.max(0) as u32) << 23)
}

/// Sixteen floats in plain loops: for processors whose vectors the compiler is left to use, and for the tests.
#[cfg(any(target_arch = "aarch64", test))]
#[derive(Clone, Copy)]
pub(super) struct PlainLanes([f32; 16]);

#[cfg(any(target_arch = "aarch64", test))]
impl PlainLanes {
    #[inline(always)]
    fn zip(self, other: Self, with: impl Fn(f32, f32) -> f32) -> Self {
        let mut out = [0.0; 16];
        for (lane, value) in out.iter_mut().enumerate() {
            *value = with(self.0[lane], other.0[lane]);
        }
        Self(out)
    }
}

#[cfg(any(target_arch = "aarch64", test))]
impl Vector for PlainLanes {
    const LANES: usize = 16;
    type Sum = [f64; 16];

    #[inline(always)]
    unsafe fn load(from: &[f32]) -> Self {
        let mut lanes = [0.0; 16];
        lanes.copy_from_slice(&from[..16]);
        Self(lanes)
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 16])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn multiply(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self {
        let mut out = [0.0; 16];
        for (lane, value) in out.iter_mut().enumerate() {
            *value = self.0[lane].mul_add(factor.0[lane], addend.0[lane]);
        }
        Self(out)
    }
    #[inline(always)]
    unsafe fn greater(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn greater_magnitude(self, bits: Self) -> Self {
        self.zip(bits, |a, b| f32::from_bits((a.to_bits() & 0x7fff_ffff).max(b.to_bits())))
    }
    #[inline(always)]
    unsafe fn count_above(self, limit: Self, or_equal: bool) -> u32 {
        let lanes = self.0.iter().zip(&limit.0);
        lanes.map(|(value, limit)| u32::from(value > limit || or_equal && value == limit)).sum()
    }
    #[inline(always)]
    unsafe fn scale(self, rounded: Self, offset: i32) -> Self {
        self.zip(rounded, |value, rounded| value * power_of_two((rounded.to_bits() as i32).wrapping_sub(offset)))
    }
    #[inline(always)]
    unsafe fn to_array(self, out: &mut [f32]) {
        out[..16].copy_from_slice(&self.0);
    }
    #[inline(always)]
    unsafe fn zero_sum() -> Self::Sum {
        [0.0; 16]
    }
    #[inline(always)]
    unsafe fn add_to(self, mut sum: Self::Sum) -> Self::Sum {
        sum.iter_mut().zip(self.0).for_each(|(sum, value)| *sum += f64::from(value));
        sum
    }
    #[inline(always)]
    unsafe fn total(sum: Self::Sum) -> f64 {
        sum.iter().sum()
    }
}
