//! [`Floats`] for AVX2 with FMA, and for AVX-512.
//!
//! Loads and stores are within slices whose lengths are checked; that the processor has the instructions is the caller's
//! promise.

use std::arch::x86_64::*;

use super::float_lanes::Floats;

/// The methods that are one instruction.
macro_rules! instructions {
    ($lanes:literal, $load:ident, $store:ident, $splat:ident, $add:ident, $subtract:ident, $multiply:ident,
     $divide:ident, $multiply_add:ident, $greater:ident, $smaller:ident) => {
        const LANES: usize = $lanes;

        #[inline(always)]
        unsafe fn load(from: &[f32]) -> Self {
            let from = &from[..$lanes];
            // SAFETY: so many floats are there; the instructions are the caller's promise, here and below.
            unsafe { Self($load(from.as_ptr())) }
        }
        #[inline(always)]
        unsafe fn store(self, to: &mut [f32]) {
            let to = &mut to[..$lanes];
            // SAFETY: so many floats have room.
            unsafe { $store(to.as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller's promise.
            unsafe { Self($splat(value)) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { Self($add(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn subtract(self, other: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { Self($subtract(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn multiply(self, other: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { Self($multiply(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn divide(self, other: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { Self($divide(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn multiply_add(self, factor: Self, addend: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { Self($multiply_add(self.0, factor.0, addend.0)) }
        }
        #[inline(always)]
        unsafe fn greater(self, other: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { Self($greater(self.0, other.0)) }
        }
        #[inline(always)]
        unsafe fn smaller(self, other: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { Self($smaller(self.0, other.0)) }
        }
    };
}

/// Eight floats.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

impl Floats for Avx2 {
    instructions!(
        8,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_div_ps,
        _mm256_fmadd_ps,
        _mm256_max_ps,
        _mm256_min_ps
    );

    #[inline(always)]
    unsafe fn round(self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0)) }
    }
    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(self.0), _mm256_set1_epi32(127));
            Self(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased)))
        }
    }
    #[inline(always)]
    unsafe fn where_below(self, value: Self, limit: Self, other: Self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self(_mm256_blendv_ps(other.0, self.0, _mm256_cmp_ps::<_CMP_LT_OQ>(value.0, limit.0))) }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let mut lanes = [0.0; 8];
        // SAFETY: the caller's promise.
        unsafe { self.store(&mut lanes) };
        lanes.iter().sum()
    }
    #[inline(always)]
    unsafe fn greatest(self) -> f32 {
        let mut lanes = [0.0; 8];
        // SAFETY: the caller's promise.
        unsafe { self.store(&mut lanes) };
        lanes.iter().fold(f32::NEG_INFINITY, |most, &lane| if most > lane { most } else { lane })
    }
}

/// Sixteen floats.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

impl Floats for Avx512 {
    instructions!(
        16,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_div_ps,
        _mm512_fmadd_ps,
        _mm512_max_ps,
        _mm512_min_ps
    );

    #[inline(always)]
    unsafe fn round(self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0)) }
    }
    #[inline(always)]
    unsafe fn power_of_two(self) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let biased = _mm512_add_epi32(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(127));
            Self(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(biased)))
        }
    }
    #[inline(always)]
    unsafe fn where_below(self, value: Self, limit: Self, other: Self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(value.0, limit.0), other.0, self.0)) }
    }
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the caller's promise.
        unsafe { _mm512_reduce_add_ps(self.0) }
    }
    #[inline(always)]
    unsafe fn greatest(self) -> f32 {
        let mut lanes = [0.0; 16];
        // SAFETY: the caller's promise.
        unsafe { self.store(&mut lanes) };
        lanes.iter().fold(f32::NEG_INFINITY, |most, &lane| if most > lane { most } else { lane })
    }
}
