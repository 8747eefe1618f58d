//! Looking 4-bit codes up in a table of 16 levels: a permutation of a register where there is one.

#![allow(clippy::needless_range_loop, reason = "an index walks through several arrays at once")]

use super::block_layouts::IQ4_LEVELS;

/// The levels as they are multiplied.
const LEVELS: [f32; 16] = {
    let mut levels = [0.0; 16];
    let mut code = 0;
    while code < 16 {
        levels[code] = IQ4_LEVELS[code] as f32;
        code += 1;
    }
    levels
};

/// A way to look 32 codes up.
pub trait Lookup: Copy {
    /// `out[j]` and `out[j + 16]` are `d` times the levels of the low and the high nibble of byte `j`.
    fn decode(self, d: f32, codes: &[u8; 16], out: &mut [f32; 32]);
}

/// Plain loads.
#[derive(Clone, Copy)]
pub struct Plain;

impl Lookup for Plain {
    #[inline(always)]
    fn decode(self, d: f32, codes: &[u8; 16], out: &mut [f32; 32]) {
        for j in 0..16 {
            out[j] = d * LEVELS[usize::from(codes[j] & 15)];
            out[j + 16] = d * LEVELS[usize::from(codes[j] >> 4)];
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{IQ4_LEVELS, LEVELS, Lookup};

    /// A shuffle of bytes, then a widening. Exists only where the processor has AVX2.
    #[derive(Clone, Copy)]
    pub struct Avx2(());

    impl Avx2 {
        /// # Safety
        ///
        /// The processor must have AVX2.
        #[inline(always)]
        pub unsafe fn new() -> Self {
            Self(())
        }
    }

    impl Lookup for Avx2 {
        #[inline(always)]
        fn decode(self, d: f32, codes: &[u8; 16], out: &mut [f32; 32]) {
            // SAFETY: the processor has AVX2, as `new` demands; 16 levels and 16 codes are read and 32 weights written,
            // without any demand on alignment.
            unsafe {
                let (levels, mask) = (_mm_loadu_si128(IQ4_LEVELS.as_ptr().cast()), _mm_set1_epi8(15));
                let (d, codes) = (_mm256_set1_ps(d), _mm_loadu_si128(codes.as_ptr().cast()));
                let low = _mm_shuffle_epi8(levels, _mm_and_si128(codes, mask));
                let high = _mm_shuffle_epi8(levels, _mm_and_si128(_mm_srli_epi16::<4>(codes), mask));
                let eighths = [low, _mm_unpackhi_epi64(low, low), high, _mm_unpackhi_epi64(high, high)];
                for (eighth, out) in eighths.into_iter().zip(out.as_chunks_mut::<8>().0) {
                    let weights = _mm256_mul_ps(d, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eighth)));
                    _mm256_storeu_ps(out.as_mut_ptr(), weights);
                }
            }
        }
    }

    /// A permutation of 16 floats. Exists only where the processor has AVX-512.
    #[derive(Clone, Copy)]
    pub struct Avx512(());

    impl Avx512 {
        /// # Safety
        ///
        /// The processor must have AVX-512 F.
        #[inline(always)]
        pub unsafe fn new() -> Self {
            Self(())
        }
    }

    impl Lookup for Avx512 {
        #[inline(always)]
        fn decode(self, d: f32, codes: &[u8; 16], out: &mut [f32; 32]) {
            // SAFETY: the processor has AVX-512, as `new` demands; 16 levels and 16 codes are read and 32 weights
            // written, without any demand on alignment. The permutation uses the low four bits of an index only.
            unsafe {
                let scaled = _mm512_mul_ps(_mm512_set1_ps(d), _mm512_loadu_ps(LEVELS.as_ptr()));
                let codes = _mm512_cvtepu8_epi32(_mm_loadu_si128(codes.as_ptr().cast()));
                _mm512_storeu_ps(out.as_mut_ptr(), _mm512_permutexvar_ps(codes, scaled));
                let high = _mm512_permutexvar_ps(_mm512_srli_epi32::<4>(codes), scaled);
                _mm512_storeu_ps(out.as_mut_ptr().add(16), high);
            }
        }
    }
}
