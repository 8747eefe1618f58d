//! The vectors that attention is written over, once; [`Plain`] is for processors without any.

/// A few floats, worked on together.
///
/// Every method is unsafe for one reason: the processor must have the implementation's instructions.
#[allow(clippy::missing_safety_doc, reason = "said above, once for all")]
pub(crate) trait Floats: Copy {
    const LANES: usize;
    unsafe fn load(from: &[f32]) -> Self;
    unsafe fn store(self, to: &mut [f32]);
    unsafe fn splat(value: f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn subtract(self, other: Self) -> Self;
    unsafe fn multiply(self, other: Self) -> Self;
    unsafe fn divide(self, other: Self) -> Self;
    /// `self` * `factor` + `addend`, rounded once (the plain body: twice).
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self;
    /// The greater one; `other` where one is NaN.
    unsafe fn greater(self, other: Self) -> Self;
    /// The smaller one; `other` where one is NaN.
    unsafe fn smaller(self, other: Self) -> Self;
    /// To the nearest whole number, ties to even.
    unsafe fn round(self) -> Self;
    /// 2 to the power of whole numbers from -126 to 127.
    unsafe fn power_of_two(self) -> Self;
    /// `self` where `value` is below `limit`, else `other`; `other` where `value` is NaN.
    unsafe fn where_below(self, value: Self, limit: Self, other: Self) -> Self;
    unsafe fn sum(self) -> f32;
    /// NaN if any is.
    unsafe fn greatest(self) -> f32;
}

/// e^x - 1 = scale * rest + (scale - 1), and e^x = scale * rest + scale; |rest| below 0.42.
#[inline(always)]
unsafe fn exponential_parts<V: Floats>(x: V) -> (V, V) {
    /// ln 2 in two parts: the first has 9 significant bits fewer, so that its product with any exponent is exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // SAFETY: the caller's promise, here and below.
    unsafe {
        let n = x.multiply(V::splat(std::f32::consts::LOG2_E)).round();
        let r = n.multiply_add(V::splat(-LN2_HIGH), x);
        let r = n.multiply_add(V::splat(-LN2_LOW), r);
        // Taylor's series: the first term left away, r^8 / 8!, is below 2^-27 of e^r for |r| <= ln(2) / 2.
        let mut tail = V::splat(1.0 / 5040.0);
        for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5] {
            tail = tail.multiply_add(r, V::splat(factor));
        }
        (tail.multiply(r).multiply_add(r, r), n.power_of_two())
    }
}

/// e^x for x <= 0: 0 below -87, NaN for NaN. Within 2^-22 of itself.
#[inline(always)]
pub(super) unsafe fn exponential<V: Floats>(x: V) -> V {
    const LOWEST: f32 = -87.0;
    // SAFETY: the caller's promise.
    unsafe {
        let (rest, scale) = exponential_parts(V::splat(LOWEST).greater(x));
        V::splat(0.0).where_below(x, V::splat(LOWEST), scale.multiply_add(rest, scale))
    }
}

/// The hyperbolic tangent, within 2^-21 of itself: (e^2x - 1) / (e^2x + 1).
#[inline(always)]
pub(super) unsafe fn tangent<V: Floats>(x: V) -> V {
    /// From here on it is 1 in single precision.
    const FULL: f32 = 9.5;
    // SAFETY: the caller's promise.
    unsafe {
        let bounded = V::splat(-FULL).greater(V::splat(FULL).smaller(x));
        let (rest, scale) = exponential_parts(bounded.add(bounded));
        let minus_one = scale.multiply_add(rest, scale.subtract(V::splat(1.0)));
        minus_one.divide(minus_one.add(V::splat(2.0)))
    }
}

/// Eight floats, one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Plain([f32; 8]);

impl Plain {
    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        Self(self.0.map(f))
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

impl Floats for Plain {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn load(from: &[f32]) -> Self {
        Self(std::array::from_fn(|lane| from[lane]))
    }
    #[inline(always)]
    unsafe fn store(self, to: &mut [f32]) {
        to[..8].copy_from_slice(&self.0);
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
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
    unsafe fn divide(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self {
        Self(std::array::from_fn(|lane| self.0[lane] * factor.0[lane] + addend.0[lane]))
    }
    #[inline(always)]
    unsafe fn greater(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn smaller(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn round(self) -> Self {
        self.map(f32::round_ties_even)
    }
    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        self.map(|n| f32::from_bits(((n as i32 + 127) << 23) as u32))
    }
    #[inline(always)]
    unsafe fn where_below(self, value: Self, limit: Self, other: Self) -> Self {
        Self(std::array::from_fn(|lane| if value.0[lane] < limit.0[lane] { self.0[lane] } else { other.0[lane] }))
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        self.0.iter().sum()
    }
    #[inline(always)]
    unsafe fn greatest(self) -> f32 {
        self.0.iter().fold(f32::NEG_INFINITY, |most, &lane| if most > lane { most } else { lane })
    }
}
