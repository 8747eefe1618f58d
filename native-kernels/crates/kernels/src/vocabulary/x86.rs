//! [`Vector`] for AVX2 with FMA, and for AVX-512.
//!
//! The methods hold no conditions of their own: loads and stores are within slices whose lengths are checked, and that
//! the processor has the instructions is the caller's promise.

use std::arch::x86_64::*;

use super::lanes::Vector;

/// Eight floats.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256);

impl Vector for Avx2 {
    const LANES: usize = 8;
    type Sum = [__m256d; 2];

    #[inline(always)]
    unsafe fn load(from: &[f32]) -> Self {
        let from = &from[..8];
        // SAFETY: eight floats are there; the instructions are the caller's promise, here and below.
        unsafe { Self(_mm256_loadu_ps(from.as_ptr())) }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm256_set1_ps(value)) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm256_add_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm256_sub_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn multiply(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm256_mul_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm256_fmadd_ps(self.0, factor.0, addend.0)) }
    }
    #[inline(always)]
    unsafe fn greater(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm256_max_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn greater_magnitude(self, bits: Self) -> Self {
        // SAFETY: as above.
        unsafe {
            let magnitude = _mm256_and_si256(_mm256_castps_si256(self.0), _mm256_set1_epi32(0x7fff_ffff));
            Self(_mm256_castsi256_ps(_mm256_max_epu32(magnitude, _mm256_castps_si256(bits.0))))
        }
    }
    #[inline(always)]
    unsafe fn count_above(self, limit: Self, or_equal: bool) -> u32 {
        // SAFETY: as above.
        let mask = unsafe {
            _mm256_movemask_ps(if or_equal {
                _mm256_cmp_ps::<_CMP_GE_OQ>(self.0, limit.0)
            } else {
                _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, limit.0)
            })
        };
        mask.count_ones()
    }
    #[inline(always)]
    unsafe fn scale(self, rounded: Self, offset: i32) -> Self {
        // SAFETY: as above.
        unsafe {
            let biased = _mm256_sub_epi32(_mm256_castps_si256(rounded.0), _mm256_set1_epi32(offset));
            let exponent = _mm256_slli_epi32::<23>(_mm256_max_epi32(biased, _mm256_setzero_si256()));
            Self(_mm256_mul_ps(self.0, _mm256_castsi256_ps(exponent)))
        }
    }
    #[inline(always)]
    unsafe fn to_array(self, out: &mut [f32]) {
        let out = &mut out[..8];
        // SAFETY: room for eight floats is there.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    unsafe fn zero_sum() -> Self::Sum {
        // SAFETY: as above.
        unsafe { [_mm256_setzero_pd(); 2] }
    }
    #[inline(always)]
    unsafe fn add_to(self, [low, high]: Self::Sum) -> Self::Sum {
        // SAFETY: as above.
        unsafe {
            let upper = _mm256_extractf128_ps::<1>(self.0);
            [
                _mm256_add_pd(low, _mm256_cvtps_pd(_mm256_castps256_ps128(self.0))),
                _mm256_add_pd(high, _mm256_cvtps_pd(upper)),
            ]
        }
    }
    #[inline(always)]
    unsafe fn total([low, high]: Self::Sum) -> f64 {
        let mut lanes = [0.0; 4];
        // SAFETY: as above; room for four doubles is there.
        unsafe { _mm256_storeu_pd(lanes.as_mut_ptr(), _mm256_add_pd(low, high)) };
        lanes.iter().sum()
    }
}

/// Sixteen floats.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

impl Vector for Avx512 {
    const LANES: usize = 16;
    type Sum = [__m512d; 2];

    #[inline(always)]
    unsafe fn load(from: &[f32]) -> Self {
        let from = &from[..16];
        // SAFETY: sixteen floats are there; the instructions are the caller's promise, here and below.
        unsafe { Self(_mm512_loadu_ps(from.as_ptr())) }
    }
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm512_set1_ps(value)) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm512_add_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn multiply(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm512_mul_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm512_fmadd_ps(self.0, factor.0, addend.0)) }
    }
    #[inline(always)]
    unsafe fn greater(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { Self(_mm512_max_ps(self.0, other.0)) }
    }
    #[inline(always)]
    unsafe fn greater_magnitude(self, bits: Self) -> Self {
        // SAFETY: as above.
        unsafe {
            let magnitude = _mm512_and_si512(_mm512_castps_si512(self.0), _mm512_set1_epi32(0x7fff_ffff));
            Self(_mm512_castsi512_ps(_mm512_max_epu32(magnitude, _mm512_castps_si512(bits.0))))
        }
    }
    #[inline(always)]
    unsafe fn count_above(self, limit: Self, or_equal: bool) -> u32 {
        // SAFETY: as above.
        let mask = unsafe {
            if or_equal {
                _mm512_cmp_ps_mask::<_CMP_GE_OQ>(self.0, limit.0)
            } else {
                _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, limit.0)
            }
        };
        mask.count_ones()
    }
    #[inline(always)]
    unsafe fn scale(self, rounded: Self, offset: i32) -> Self {
        // SAFETY: as above.
        unsafe {
            let biased = _mm512_sub_epi32(_mm512_castps_si512(rounded.0), _mm512_set1_epi32(offset));
            let exponent = _mm512_slli_epi32::<23>(_mm512_max_epi32(biased, _mm512_setzero_si512()));
            Self(_mm512_mul_ps(self.0, _mm512_castsi512_ps(exponent)))
        }
    }
    #[inline(always)]
    unsafe fn to_array(self, out: &mut [f32]) {
        let out = &mut out[..16];
        // SAFETY: room for sixteen floats is there.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), self.0) }
    }
    #[inline(always)]
    unsafe fn zero_sum() -> Self::Sum {
        // SAFETY: as above.
        unsafe { [_mm512_setzero_pd(); 2] }
    }
    #[inline(always)]
    unsafe fn add_to(self, [low, high]: Self::Sum) -> Self::Sum {
        // SAFETY: as above.
        unsafe {
            let upper = _mm512_extractf32x8_ps::<1>(self.0);
            [
                _mm512_add_pd(low, _mm512_cvtps_pd(_mm512_castps512_ps256(self.0))),
                _mm512_add_pd(high, _mm512_cvtps_pd(upper)),
            ]
        }
    }
    #[inline(always)]
    unsafe fn total([low, high]: Self::Sum) -> f64 {
        let mut lanes = [0.0; 8];
        // SAFETY: as above; room for eight doubles is there.
        unsafe { _mm512_storeu_pd(lanes.as_mut_ptr(), _mm512_add_pd(low, high)) };
        lanes.iter().sum()
    }
}
