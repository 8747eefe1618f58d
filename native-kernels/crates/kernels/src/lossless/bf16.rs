//! BF16 words `s eeeeeeee mmmmmmm` as an exponent byte and a sign+mantissa byte.
//!
//! ```text
//! word  bit 15: sign | bits 14..7: exponent | bits 6..0: mantissa
//! sm    bit  7: sign                        | bits 6..0: mantissa
//! ```

use crate::cpu::Backend;

/// The exponent field of a BF16 word.
#[inline(always)]
pub fn exponent(word: u16) -> u8 {
    (word >> 7) as u8
}

/// The sign+mantissa byte of a BF16 word.
#[inline(always)]
pub fn sign_mantissa(word: u16) -> u8 {
    ((word >> 8) & 0x80) as u8 | (word & 0x7f) as u8
}

/// The BF16 word of an exponent and a sign+mantissa byte. Exact for every bit pattern, NaN payloads included.
#[inline(always)]
pub fn word(exponent: u8, sign_mantissa: u8) -> u16 {
    (u16::from(sign_mantissa & 0x80) << 8) | (u16::from(exponent) << 7) | u16::from(sign_mantissa & 0x7f)
}

/// Splits little-endian BF16 words into exponent bytes and sign+mantissa bytes, all of `words.len() / 2` long.
pub fn split(backend: Backend, words: &[u8], exponents: &mut [u8], sign_mantissas: &mut [u8]) {
    assert!(words.len() == exponents.len() * 2 && exponents.len() == sign_mantissas.len());
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => unsafe { split_avx512(words, exponents, sign_mantissas) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Backend::Avx2 => unsafe { split_avx2(words, exponents, sign_mantissas) },
        _ => split_body(words, exponents, sign_mantissas),
    }
}

/// Joins exponent bytes and sign+mantissa bytes into little-endian BF16 words.
pub fn merge(backend: Backend, exponents: &[u8], sign_mantissas: &[u8], words: &mut [u8]) {
    assert!(words.len() == exponents.len() * 2 && exponents.len() == sign_mantissas.len());
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => unsafe { merge_avx512(exponents, sign_mantissas, words) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Backend::Avx2 => unsafe { merge_avx2(exponents, sign_mantissas, words) },
        _ => merge_body(exponents, sign_mantissas, words),
    }
}

#[inline(always)]
fn split_body(words: &[u8], exponents: &mut [u8], sign_mantissas: &mut [u8]) {
    for ((pair, e), sm) in words.as_chunks::<2>().0.iter().zip(exponents).zip(sign_mantissas) {
        let w = u16::from_le_bytes(*pair);
        *e = exponent(w);
        *sm = sign_mantissa(w);
    }
}

#[inline(always)]
fn merge_body(exponents: &[u8], sign_mantissas: &[u8], words: &mut [u8]) {
    for ((pair, e), sm) in words.as_chunks_mut::<2>().0.iter_mut().zip(exponents).zip(sign_mantissas) {
        *pair = word(*e, *sm).to_le_bytes();
    }
}

// The loops above vectorise by themselves; compiling them once per instruction set is all that is needed.
macro_rules! per_instruction_set {
    ($features:literal, $split:ident, $merge:ident) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        fn $split(words: &[u8], exponents: &mut [u8], sign_mantissas: &mut [u8]) {
            split_body(words, exponents, sign_mantissas);
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        fn $merge(exponents: &[u8], sign_mantissas: &[u8], words: &mut [u8]) {
            merge_body(exponents, sign_mantissas, words);
        }
    };
}
per_instruction_set!("avx2,bmi2", split_avx2, merge_avx2);
per_instruction_set!("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi", split_avx512, merge_avx512);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_the_published_words() {
        for (w, e, sm) in [
            (0x3f80, 127, 0x00),
            (0xbf80, 127, 0x80),
            (0x8000, 0, 0x80),
            (0x0001, 0, 0x01),
            (0x7fc1, 255, 0x41),
            (0xffff, 255, 0xff),
            (0x7f80, 255, 0x00),
        ] {
            assert_eq!((exponent(w), sign_mantissa(w), word(e, sm)), (e, sm, w));
        }
    }

    #[test]
    fn every_word_comes_back_on_every_backend() {
        let words: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        for backend in Backend::available() {
            for length in [0, 1, 31, 32, 33, 63, 64, 65, 127, 1000, 65536] {
                let words = &words[words.len() - 2 * length..];
                let (mut e, mut sm, mut back) = (vec![0; length], vec![0; length], vec![0; 2 * length]);
                split(backend, words, &mut e, &mut sm);
                merge(backend, &e, &sm, &mut back);
                assert_eq!(back, words, "{backend:?} {length}");
                assert!((0..length).all(|i| e[i] == exponent(u16::from_le_bytes([words[2 * i], words[2 * i + 1]]))));
            }
        }
    }
}
