//! The coder once more, bit by bit: the judge of the fast paths. Says what the layout is, and is slow.

use super::{BLOCK_BITS, CodeBook, FIRST_POINTER, GAP_BYTES_PER_BLOCK, WINDOW_BITS};

/// What the bit stream of a unit consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coded {
    pub stream: Vec<u8>,
    pub gaps: Vec<u8>,
    pub positions: Vec<u32>,
}

/// Codes exponents, each of which has a code word.
pub(super) fn encode(book: &CodeBook, exponents: &[u8]) -> Coded {
    let prefix_code = book.prefix_code();
    let mut bits: Vec<bool> = Vec::new();
    // Bit at which each code word starts: the elements', then the end mark's.
    let mut starts = Vec::new();
    for exponent in exponents {
        let code = prefix_code.exponents[usize::from(*exponent)];
        assert!(code.length > 0);
        starts.push(bits.len() as u64);
        bits.extend((0..code.length).rev().map(|i| code.bits >> i & 1 == 1));
    }
    if !bits.len().is_multiple_of(8) {
        starts.push(bits.len() as u64);
        let end = prefix_code.end;
        let room = 8 - bits.len() % 8;
        bits.extend((0..end.length).rev().map(|i| end.bits >> i & 1 == 1).chain(std::iter::repeat(false)).take(room));
    }
    let bytes = bits.chunks(8).map(|byte| byte.iter().fold(0, |value, bit| value << 1 | u8::from(*bit)));
    let stream: Vec<u8> = bytes.collect();
    let blocks = (bits.len() as u64).div_ceil(BLOCK_BITS);
    let first_start = |from: u64, to: u64| {
        let index = starts.partition_point(|start| *start < from);
        starts.get(index).filter(|start| **start < to).map(|start| (index, *start))
    };
    let mut gap_bits: Vec<bool> = Vec::new();
    for window in 0..blocks * 512 {
        let (from, to) = (window * WINDOW_BITS, (window + 1) * WINDOW_BITS);
        let gap = first_start(from, to).map_or(0, |(_, start)| start - from);
        gap_bits.extend((0..5).rev().map(|i| gap >> i & 1 == 1));
    }
    let gaps: Vec<u8> =
        gap_bits.chunks(8).map(|byte| byte.iter().fold(0, |value, bit| value << 1 | u8::from(*bit))).collect();
    assert_eq!(gaps.len() as u64, blocks * GAP_BYTES_PER_BLOCK);
    let mut positions: Vec<u32> = (0..blocks)
        .filter_map(|block| first_start(block * BLOCK_BITS, (block + 1) * BLOCK_BITS))
        .map(|(index, _)| index as u32)
        .collect();
    positions.push(exponents.len() as u32);
    Coded { stream, gaps, positions }
}

/// Decodes by the stored tables alone, from the first bit on, as the official kernel walks them.
pub(super) fn decode(luts: &[u8], stream: &[u8], elements: usize) -> Vec<u8> {
    let lengths = &luts[luts.len() - 256..];
    let bit_at = |bit: usize| stream.get(bit / 8).is_some_and(|byte| byte >> (7 - bit % 8) & 1 == 1);
    let byte_at = |bit: usize| (bit..bit + 8).fold(0_usize, |value, bit| value << 1 | usize::from(bit_at(bit)));
    let mut bit = 0;
    let mut exponents = Vec::new();
    for _ in 0..elements {
        let mut value = luts[byte_at(bit)];
        for depth in 1..4 {
            if value < FIRST_POINTER {
                break;
            }
            value = luts[256 * (256 - usize::from(value)) + byte_at(bit + 8 * depth)];
        }
        exponents.push(value);
        assert!(lengths[usize::from(value)] > 0, "would loop");
        bit += usize::from(lengths[usize::from(value)]);
    }
    exponents
}
