//! Sixteen floats at a time, with the few operations that the searches are made of.
//!
//! Every operation is one IEEE operation in single precision, rounded to nearest, on each lane alone: no fused
//! multiply-add (but for `mul_add`), no reciprocal estimate, no sum across lanes. So the three bodies give the same bits, whatever the
//! compiler does with them, and whatever processor they run on.

/// Sixteen floats.
///
/// The bodies for x86 may only be used inside functions that are compiled for their instruction set; `dispatch.rs` is the
/// one place that names them.
pub trait Lanes: Copy {
    /// The same number in each lane.
    fn splat(value: f32) -> Self;
    /// From memory.
    fn load(values: &[f32; 16]) -> Self;
    /// To memory.
    fn store(self, out: &mut [f32; 16]);
    /// Sum.
    fn add(self, other: Self) -> Self;
    /// Difference.
    fn sub(self, other: Self) -> Self;
    /// Product.
    fn mul(self, other: Self) -> Self;
    /// Quotient.
    fn div(self, other: Self) -> Self;
    /// The lesser one; the second where they are equal.
    fn min(self, other: Self) -> Self;
    /// The greater one; the second where they are equal.
    fn max(self, other: Self) -> Self;
    /// `yes` where `self < other`, else `no`.
    fn if_less(self, other: Self, yes: Self, no: Self) -> Self;
    /// `table[index]`, for whole numbers 0 to 31 in `self`.
    fn look_up(self, table: &[f32; 32]) -> Self;

    /// `self + a · b`, fused where that is faster: not the same bits everywhere, and not for searches.
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        self.add(a.mul(b))
    }

    /// The nearest whole number, of two the even one; for magnitudes up to 2^22.
    #[inline(always)]
    fn round(self) -> Self {
        // Between 2^23 and 2^24 floats are whole numbers: the addition rounds, the subtraction is exact.
        let magic = Self::splat(12_582_912.0);
        self.add(magic).sub(magic)
    }

    /// Without the sign.
    #[inline(always)]
    fn magnitude(self) -> Self {
        self.max(Self::splat(0.0).sub(self))
    }

    /// `1 / self`, and 0 where `self` is so small that the quotient would be no use (zero included).
    #[inline(always)]
    fn inverse(self) -> Self {
        let tiny = Self::splat(1e-30);
        self.magnitude().if_less(tiny, Self::splat(0.0), Self::splat(1.0).div(self))
    }
}

/// Plain Rust: the judge.
#[derive(Clone, Copy)]
pub struct Plain([f32; 16]);

macro_rules! each_lane {
    ($self:ident, $other:ident, $lane:ident => $value:expr) => {{
        let mut out = [0.0; 16];
        for $lane in 0..16 {
            out[$lane] = $value;
        }
        Plain(out)
    }};
}

#[allow(clippy::needless_range_loop, reason = "a lane walks through several arrays at once")]
impl Lanes for Plain {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 16])
    }
    #[inline(always)]
    fn load(values: &[f32; 16]) -> Self {
        Self(*values)
    }
    #[inline(always)]
    fn store(self, out: &mut [f32; 16]) {
        *out = self.0;
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        each_lane!(self, other, lane => self.0[lane] + other.0[lane])
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        each_lane!(self, other, lane => self.0[lane] - other.0[lane])
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        each_lane!(self, other, lane => self.0[lane] * other.0[lane])
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        each_lane!(self, other, lane => self.0[lane] / other.0[lane])
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        each_lane!(self, other, lane => if self.0[lane] < other.0[lane] { self.0[lane] } else { other.0[lane] })
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        each_lane!(self, other, lane => if self.0[lane] > other.0[lane] { self.0[lane] } else { other.0[lane] })
    }
    #[inline(always)]
    fn if_less(self, other: Self, yes: Self, no: Self) -> Self {
        each_lane!(self, other, lane => if self.0[lane] < other.0[lane] { yes.0[lane] } else { no.0[lane] })
    }
    #[inline(always)]
    fn look_up(self, table: &[f32; 32]) -> Self {
        each_lane!(self, table, lane => table[self.0[lane] as usize & 31])
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks, reason = "said once, at the trait: only used where the instructions exist")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Lanes;

    /// Two registers of eight.
    #[derive(Clone, Copy)]
    pub struct Avx2(__m256, __m256);

    impl Lanes for Avx2 {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            unsafe { Self(_mm256_set1_ps(value), _mm256_set1_ps(value)) }
        }
        #[inline(always)]
        fn load(values: &[f32; 16]) -> Self {
            let start = values.as_ptr();
            unsafe { Self(_mm256_loadu_ps(start), _mm256_loadu_ps(start.add(8))) }
        }
        #[inline(always)]
        fn store(self, out: &mut [f32; 16]) {
            let start = out.as_mut_ptr();
            unsafe {
                _mm256_storeu_ps(start, self.0);
                _mm256_storeu_ps(start.add(8), self.1);
            }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            unsafe { Self(_mm256_sub_ps(self.0, other.0), _mm256_sub_ps(self.1, other.1)) }
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            unsafe { Self(_mm256_mul_ps(self.0, other.0), _mm256_mul_ps(self.1, other.1)) }
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            unsafe { Self(_mm256_div_ps(self.0, other.0), _mm256_div_ps(self.1, other.1)) }
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            unsafe { Self(_mm256_min_ps(self.0, other.0), _mm256_min_ps(self.1, other.1)) }
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            unsafe { Self(_mm256_max_ps(self.0, other.0), _mm256_max_ps(self.1, other.1)) }
        }
        #[inline(always)]
        fn if_less(self, other: Self, yes: Self, no: Self) -> Self {
            unsafe {
                Self(
                    _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, other.0)),
                    _mm256_blendv_ps(no.1, yes.1, _mm256_cmp_ps::<_CMP_LT_OQ>(self.1, other.1)),
                )
            }
        }
        #[inline(always)]
        fn look_up(self, table: &[f32; 32]) -> Self {
            unsafe {
                let mask = _mm256_set1_epi32(31);
                let (low, high) = (_mm256_cvttps_epi32(self.0), _mm256_cvttps_epi32(self.1));
                Self(
                    _mm256_i32gather_ps::<4>(table.as_ptr(), _mm256_and_si256(low, mask)),
                    _mm256_i32gather_ps::<4>(table.as_ptr(), _mm256_and_si256(high, mask)),
                )
            }
        }
    }

    /// One register of sixteen.
    #[derive(Clone, Copy)]
    pub struct Avx512(__m512);

    impl Lanes for Avx512 {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            unsafe { Self(_mm512_set1_ps(value)) }
        }
        #[inline(always)]
        fn load(values: &[f32; 16]) -> Self {
            unsafe { Self(_mm512_loadu_ps(values.as_ptr())) }
        }
        #[inline(always)]
        fn store(self, out: &mut [f32; 16]) {
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            unsafe { Self(_mm512_add_ps(self.0, other.0)) }
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            unsafe { Self(_mm512_mul_ps(self.0, other.0)) }
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            unsafe { Self(_mm512_div_ps(self.0, other.0)) }
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            unsafe { Self(_mm512_min_ps(self.0, other.0)) }
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            unsafe { Self(_mm512_max_ps(self.0, other.0)) }
        }
        #[inline(always)]
        fn if_less(self, other: Self, yes: Self, no: Self) -> Self {
            unsafe { Self(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, other.0), no.0, yes.0)) }
        }
        #[inline(always)]
        fn mul_add(self, a: Self, b: Self) -> Self {
            unsafe { Self(_mm512_fmadd_ps(a.0, b.0, self.0)) }
        }
        #[inline(always)]
        fn look_up(self, table: &[f32; 32]) -> Self {
            unsafe {
                let (low, high) = (_mm512_loadu_ps(table.as_ptr()), _mm512_loadu_ps(table.as_ptr().add(16)));
                Self(_mm512_permutex2var_ps(low, _mm512_cvttps_epi32(self.0), high))
            }
        }
    }
}
