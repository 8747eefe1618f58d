//! Two SHA-256 compressions side by side: each round waits four cycles for the one before, time enough for another
//! stream's. Uses the x86 SHA instructions where they are, otherwise one stream after the other.
//!
//! Source: FIPS 180-4, section 6.2; the register layout (ABEF, CDGH) is that of the instructions.

use sha2::block_api::compress256;

/// Bytes of a block.
pub(crate) const BLOCK_BYTES: usize = 64;

/// A chaining value.
pub(crate) type State = [u32; 8];

/// The initial chaining value: fractional parts of the square roots of the first eight primes.
pub(crate) const INITIAL: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// Compresses whole blocks into one state.
pub(crate) fn compress(state: &mut State, blocks: &[[u8; BLOCK_BYTES]]) {
    compress256(state, blocks);
}

/// Compresses as many blocks of `a` into the first state as of `b` into the second.
pub(crate) fn compress_both(first: &mut State, a: &[[u8; BLOCK_BYTES]], second: &mut State, b: &[[u8; BLOCK_BYTES]]) {
    assert_eq!(a.len(), b.len());
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("sha") && is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("sse4.1") {
        // SAFETY: the instructions were just found.
        unsafe { x86::compress_both([first, second], [a, b]) };
        return;
    }
    compress256(first, a);
    compress256(second, b);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{BLOCK_BYTES, State};

    #[rustfmt::skip]
    /// Fractional parts of the cube roots of the first 64 primes.
    static ROUND_CONSTANTS: [u32; 64] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ];

    /// Four rounds of one stream: words 4 `GROUP` to 4 `GROUP` + 3 of the schedule.
    #[target_feature(enable = "sha,ssse3,sse4.1")]
    #[inline]
    fn four_rounds<const GROUP: usize>(state: &mut [__m128i; 2], words: &mut [__m128i; 4], block: &[u8; BLOCK_BYTES]) {
        let slot = GROUP % 4;
        if GROUP < 4 {
            let swap = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
            // SAFETY: 16 of the block's 64 bytes, unaligned.
            let loaded = unsafe { _mm_loadu_si128(block.as_ptr().add(16 * GROUP).cast()) };
            words[slot] = _mm_shuffle_epi8(loaded, swap);
        } else {
            let (next, last) = (words[(GROUP + 1) % 4], words[(GROUP + 3) % 4]);
            let middle = _mm_alignr_epi8::<4>(last, words[(GROUP + 2) % 4]);
            words[slot] = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(words[slot], next), middle), last);
        }
        // SAFETY: four of the 64 constants, unaligned.
        let constants = unsafe { _mm_loadu_si128(ROUND_CONSTANTS.as_ptr().add(4 * GROUP).cast()) };
        let sum = _mm_add_epi32(words[slot], constants);
        state[1] = _mm_sha256rnds2_epu32(state[1], state[0], sum);
        state[0] = _mm_sha256rnds2_epu32(state[0], state[1], _mm_shuffle_epi32::<0x0e>(sum));
    }

    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn to_registers(state: &State) -> [__m128i; 2] {
        // SAFETY: both halves of the eight words, unaligned.
        let (dcba, hgfe) =
            unsafe { (_mm_loadu_si128(state.as_ptr().cast()), _mm_loadu_si128(state.as_ptr().add(4).cast())) };
        let cdab = _mm_shuffle_epi32::<0xb1>(dcba);
        let efgh = _mm_shuffle_epi32::<0x1b>(hgfe);
        [_mm_alignr_epi8::<8>(cdab, efgh), _mm_blend_epi16::<0xf0>(efgh, cdab)]
    }

    #[target_feature(enable = "sha,ssse3,sse4.1")]
    fn from_registers(registers: [__m128i; 2], state: &mut State) {
        let feba = _mm_shuffle_epi32::<0x1b>(registers[0]);
        let dchg = _mm_shuffle_epi32::<0xb1>(registers[1]);
        // SAFETY: as above.
        unsafe {
            _mm_storeu_si128(state.as_mut_ptr().cast(), _mm_blend_epi16::<0xf0>(feba, dchg));
            _mm_storeu_si128(state.as_mut_ptr().add(4).cast(), _mm_alignr_epi8::<8>(dchg, feba));
        }
    }

    #[target_feature(enable = "sha,ssse3,sse4.1")]
    pub(super) fn compress_both(states: [&mut State; 2], blocks: [&[[u8; BLOCK_BYTES]]; 2]) {
        let [first, second] = states;
        let (mut a, mut b) = (to_registers(first), to_registers(second));
        for (block_a, block_b) in blocks[0].iter().zip(blocks[1]) {
            let (before_a, before_b) = (a, b);
            let mut words_a = [_mm_setzero_si128(); 4];
            let mut words_b = [_mm_setzero_si128(); 4];
            macro_rules! groups {
                ($($group:literal)*) => {$(
                    four_rounds::<$group>(&mut a, &mut words_a, block_a);
                    four_rounds::<$group>(&mut b, &mut words_b, block_b);
                )*};
            }
            groups!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
            for half in 0..2 {
                a[half] = _mm_add_epi32(a[half], before_a[half]);
                b[half] = _mm_add_epi32(b[half], before_b[half]);
            }
        }
        from_registers(a, first);
        from_registers(b, second);
    }
}
