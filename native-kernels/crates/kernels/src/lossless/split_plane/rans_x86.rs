//! `rans12x32` with AVX-512: the 32 states of a chunk are two vectors of 16, and two chunks are worked on side by side.
//!
//! Decoding gathers from the 16 KiB slot table and spreads the next words over the lanes that want one (`vpexpandw`).
//! Encoding maps symbols to dense indices, so that the tables of up to 64 symbols fit registers (`vpermi2w`), divides by
//! an estimate from single precision that is exact after one correction, and gathers the emitted words (`vpcompressw`).

use std::arch::x86_64::*;

use super::BookEntry;
use super::rans::{Cursor, EncodeTables, LANES, SLACK_BYTES};

/// Symbols whose tables fit registers.
const REGISTER_SYMBOLS: usize = 64;

/// Marks symbols without a code in [`EncodeRegisters::dense`].
const ABSENT: u8 = 0x80;

/// The encoder's tables in the form the vector body wants.
pub(super) struct EncodeRegisters {
    /// Dense index by symbol, or [`ABSENT`]; meaningless with more than [`REGISTER_SYMBOLS`] symbols.
    dense: [u8; 256],
    /// By dense index.
    frequency: [u16; REGISTER_SYMBOLS],
    start: [u16; REGISTER_SYMBOLS],
    inverse: [f32; REGISTER_SYMBOLS],
    /// By symbol: frequency | start << 16, and the reciprocal, for gathers.
    packed: [u32; 256],
    wide_inverse: [f32; 256],
    few: bool,
}

/// 1 / f, lowered so that for every x < f 2^19 the truncated product with x in single precision is floor(x / f) or one
/// less: conversion, product and table entry each err by at most 2^-24 of the value, the entry is lowered by 2^-22, so
/// the product is never above x / f, and below it by less than 2^-21 x / f < 2^-2.
fn lowered_inverse(f: u32) -> f32 {
    ((1.0 - 1.0 / f64::from(1 << 22)) / f64::from(f)) as f32
}

impl EncodeRegisters {
    /// Tables of a checked book.
    pub(super) fn new(tables: &EncodeTables, book: &[BookEntry]) -> Self {
        let mut registers = Self {
            dense: [ABSENT; 256],
            frequency: [0; REGISTER_SYMBOLS],
            start: [0; REGISTER_SYMBOLS],
            inverse: [0.0; REGISTER_SYMBOLS],
            packed: [0; 256],
            wide_inverse: [0.0; 256],
            few: book.len() <= REGISTER_SYMBOLS,
        };
        for (index, (symbol, f)) in book.iter().enumerate() {
            let symbol = usize::from(*symbol);
            let inverse = lowered_inverse(u32::from(*f));
            if index < REGISTER_SYMBOLS {
                registers.dense[symbol] = index as u8;
                registers.frequency[index] = *f;
                registers.start[index] = tables.start[symbol] as u16;
                registers.inverse[index] = inverse;
            }
            registers.packed[symbol] = u32::from(*f) | (tables.start[symbol] << 16);
            registers.wide_inverse[symbol] = inverse;
        }
        registers
    }
}

/// Codes elements `0..count` (`count` a multiple of 32) of chunks of equal length, last row first; `at` is where each
/// chunk's words start in its buffer. Fails if a symbol has no code.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi2,lzcnt")]
pub(super) fn encode_rows<const N: usize>(
    tables: &EncodeRegisters,
    chunks: [&[u8]; N],
    count: usize,
    states: &mut [[u32; LANES]; N],
    words: &mut [&mut [u8]; N],
    at: &mut [usize; N],
) -> Result<(), ()> {
    assert!(count.is_multiple_of(LANES));
    for k in 0..N {
        // Each element emits at most one word, and each row writes up to SLACK_BYTES before its words.
        assert!(chunks[k].len() >= count && at[k] <= words[k].len() && at[k] >= 2 * count + SLACK_BYTES);
    }
    if tables.few {
        // SAFETY: the asserts above are its contract.
        unsafe { encode_body::<N, true>(tables, chunks, count, states, words, at) }
    } else {
        // SAFETY: as above.
        unsafe { encode_body::<N, false>(tables, chunks, count, states, words, at) }
    }
}

/// # Safety
/// Each chunk holds `count` elements, each word buffer at least `2 * count + SLACK_BYTES` bytes before `at`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi2,lzcnt")]
#[inline]
unsafe fn encode_body<const N: usize, const FEW: bool>(
    tables: &EncodeRegisters,
    chunks: [&[u8]; N],
    count: usize,
    states: &mut [[u32; LANES]; N],
    words: &mut [&mut [u8]; N],
    at: &mut [usize; N],
) -> Result<(), ()> {
    /// Word indices 0..32 twice: loaded at word c, they turn a vector down by c words.
    static TURNS: [u16; 64] = {
        let mut turns = [0; 64];
        let mut i = 0;
        while i < 64 {
            turns[i] = (i % 32) as u16;
            i += 1;
        }
        turns
    };
    // SAFETY: unaligned loads of whole arrays of 64 bytes or more; word stores and symbol loads stay inside their
    // buffers by the caller's contract: a row lowers `at` by at most 64 bytes and stores 64 bytes below it.
    unsafe {
        let load = |bytes: *const u8| _mm512_loadu_si512(bytes.cast());
        let dense: [__m512i; 4] = std::array::from_fn(|i| load(tables.dense.as_ptr().add(64 * i)));
        let frequency: [__m512i; 2] = std::array::from_fn(|i| load(tables.frequency.as_ptr().add(32 * i).cast()));
        let start: [__m512i; 2] = std::array::from_fn(|i| load(tables.start.as_ptr().add(32 * i).cast()));
        let inverse: [__m512; 4] = std::array::from_fn(|i| _mm512_loadu_ps(tables.inverse.as_ptr().add(16 * i)));
        let low_words = load(LOW_WORDS.as_ptr().cast());
        let total = _mm512_set1_epi32(4096);
        let mut absent = [0_u64; N];
        let mut x: [[__m512i; 2]; N] =
            std::array::from_fn(|k| std::array::from_fn(|half| load(states[k].as_ptr().add(16 * half).cast())));
        let mut to: [*mut u8; N] = std::array::from_fn(|k| words[k].as_mut_ptr().add(at[k]));
        let mut element = count;
        while element > 0 {
            element -= LANES;
            for k in 0..N {
                let symbols = _mm256_loadu_si256(chunks[k].as_ptr().add(element).cast());
                let mut f = [_mm512_setzero_si512(); 2];
                let mut c = [_mm512_setzero_si512(); 2];
                let mut inverses = [_mm512_setzero_ps(); 2];
                if FEW {
                    let symbols = _mm512_castsi256_si512(symbols);
                    let lower = _mm512_permutex2var_epi8(dense[0], symbols, dense[1]);
                    let upper = _mm512_permutex2var_epi8(dense[2], symbols, dense[3]);
                    let index =
                        _mm512_castsi512_si256(_mm512_mask_blend_epi8(_mm512_movepi8_mask(symbols), lower, upper));
                    absent[k] |= u64::from(_mm256_movepi8_mask(index) as u32);
                    let index = _mm512_cvtepu8_epi16(index);
                    let f16 = _mm512_permutex2var_epi16(frequency[0], index, frequency[1]);
                    let c16 = _mm512_permutex2var_epi16(start[0], index, start[1]);
                    let halves = |v: __m512i| {
                        [
                            _mm512_cvtepu16_epi32(_mm512_castsi512_si256(v)),
                            _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64::<1>(v)),
                        ]
                    };
                    f = halves(f16);
                    c = halves(c16);
                    let index = halves(index);
                    for half in 0..2 {
                        let lower = _mm512_permutex2var_ps(inverse[0], index[half], inverse[1]);
                        let upper = _mm512_permutex2var_ps(inverse[2], index[half], inverse[3]);
                        let is_upper = _mm512_test_epi32_mask(index[half], _mm512_set1_epi32(32));
                        inverses[half] = _mm512_mask_blend_ps(is_upper, lower, upper);
                    }
                } else {
                    let parts = [_mm256_castsi256_si128(symbols), _mm256_extracti128_si256::<1>(symbols)];
                    for half in 0..2 {
                        let index = _mm512_cvtepu8_epi32(parts[half]);
                        let packed = _mm512_i32gather_epi32::<4>(index, tables.packed.as_ptr().cast());
                        inverses[half] = _mm512_i32gather_ps::<4>(index, tables.wide_inverse.as_ptr().cast());
                        f[half] = _mm512_and_si512(packed, _mm512_set1_epi32(0xffff));
                        c[half] = _mm512_srli_epi32::<16>(packed);
                        absent[k] |= u64::from(_mm512_testn_epi32_mask(packed, packed));
                    }
                }
                let mut emits = [0_u16; 2];
                let emitted = _mm512_permutex2var_epi16(x[k][0], low_words, x[k][1]);
                for half in 0..2 {
                    let v = x[k][half];
                    let m = _mm512_cmpge_epu32_mask(v, _mm512_slli_epi32::<19>(f[half]));
                    emits[half] = m;
                    let v = _mm512_mask_srli_epi32::<16>(v, m, v);
                    // v < f 2^19 <= 2^31 now, so the signed conversions are right.
                    let quotient = _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(v), inverses[half]));
                    let missing = _mm512_sub_epi32(total, f[half]);
                    let scaled = _mm512_add_epi32(_mm512_mullo_epi32(quotient, missing), v);
                    let remainder = _mm512_sub_epi32(scaled, _mm512_slli_epi32::<12>(quotient));
                    let one_more = _mm512_cmpge_epi32_mask(remainder, f[half]);
                    let scaled = _mm512_mask_add_epi32(scaled, one_more, scaled, missing);
                    x[k][half] = _mm512_add_epi32(scaled, c[half]);
                }
                let mask = u32::from(emits[0]) | (u32::from(emits[1]) << 16);
                let emitted = _mm512_maskz_compress_epi16(mask, emitted);
                let emits = mask.count_ones() as usize;
                // The emitted words go to the top of the vector: what lies below them in memory comes later anyway.
                let turn = load(TURNS.as_ptr().add(emits).cast());
                let emitted = _mm512_permutexvar_epi16(turn, emitted);
                _mm512_storeu_si512(to[k].sub(64).cast(), emitted);
                to[k] = to[k].sub(2 * emits);
            }
        }
        for (state, x) in states.iter_mut().zip(&x) {
            _mm512_storeu_si512(state.as_mut_ptr().cast(), x[0]);
            _mm512_storeu_si512(state.as_mut_ptr().add(16).cast(), x[1]);
        }
        for k in 0..N {
            at[k] = to[k].offset_from(words[k].as_ptr()) as usize;
        }
        if absent.iter().any(|flags| *flags != 0) { Err(()) } else { Ok(()) }
    }
}

/// Picks the low words of 32 states out of two vectors.
static LOW_WORDS: [u16; 32] = {
    let mut picks = [0; 32];
    let mut i = 0;
    while i < 32 {
        picks[i] = 2 * i as u16;
        i += 1;
    }
    picks
};

/// Decodes elements `0..count` (`count` a multiple of 32) of chunks of equal length. Fails if the words of a chunk run
/// out; the cursors then mean nothing.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi2,lzcnt")]
pub(super) fn decode_rows<const N: usize>(
    table: &[u32],
    stored: &[u8],
    states: &mut [[u32; LANES]; N],
    cursors: &mut [Cursor; N],
    symbols: &mut [&mut [u8]; N],
    count: usize,
) -> Result<(), ()> {
    assert!(count.is_multiple_of(LANES) && table.len() == 4096);
    for k in 0..N {
        assert!(symbols[k].len() >= count);
        assert!(cursors[k].at <= cursors[k].end && cursors[k].end + SLACK_BYTES <= stored.len());
    }
    let slot_mask = _mm512_set1_epi32(0xfff);
    let lowest = _mm512_set1_epi32(1 << 15);
    let mut at: [usize; N] = std::array::from_fn(|k| cursors[k].at);
    let end: [usize; N] = std::array::from_fn(|k| cursors[k].end);
    // SAFETY: slots are below the table's 4096 entries; words are read from `at <= end` on, 64 bytes, and `end` has that
    // many bytes behind it; symbols are written 32 at a time up to `count`.
    unsafe {
        let mut x: [[__m512i; 2]; N] = std::array::from_fn(|k| {
            std::array::from_fn(|half| _mm512_loadu_si512(states[k].as_ptr().add(16 * half).cast()))
        });
        let mut element = 0;
        while element < count {
            for k in 0..N {
                let mut wants = [0_u16; 2];
                for half in 0..2 {
                    let v = x[k][half];
                    let slot = _mm512_and_si512(v, slot_mask);
                    let entry = _mm512_i32gather_epi32::<4>(slot, table.as_ptr().cast());
                    let f = _mm512_and_si512(_mm512_srli_epi32::<12>(entry), slot_mask);
                    let v = _mm512_add_epi32(
                        _mm512_mullo_epi32(f, _mm512_srli_epi32::<12>(v)),
                        _mm512_and_si512(entry, slot_mask),
                    );
                    wants[half] = _mm512_cmplt_epi32_mask(v, lowest);
                    x[k][half] = v;
                    let symbol = _mm512_cvtepi32_epi8(_mm512_srli_epi32::<24>(entry));
                    _mm_storeu_si128(symbols[k].as_mut_ptr().add(element + 16 * half).cast(), symbol);
                }
                let mask = u32::from(wants[0]) | (u32::from(wants[1]) << 16);
                let words = _mm512_maskz_expand_epi16(mask, _mm512_loadu_si512(stored.as_ptr().add(at[k]).cast()));
                let words = [
                    _mm512_cvtepu16_epi32(_mm512_castsi512_si256(words)),
                    _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64::<1>(words)),
                ];
                for half in 0..2 {
                    let v = x[k][half];
                    x[k][half] = _mm512_or_si512(_mm512_mask_slli_epi32::<16>(v, wants[half], v), words[half]);
                }
                at[k] += 2 * mask.count_ones() as usize;
                if at[k] > end[k] {
                    return Err(());
                }
            }
            element += LANES;
        }
        for (state, x) in states.iter_mut().zip(&x) {
            _mm512_storeu_si512(state.as_mut_ptr().cast(), x[0]);
            _mm512_storeu_si512(state.as_mut_ptr().add(16).cast(), x[1]);
        }
        cursors.iter_mut().zip(at).for_each(|(cursor, at)| cursor.at = at);
    }
    Ok(())
}
