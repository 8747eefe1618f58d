//! The Huffman code of a histogram, merged in the order that makes it the official one, and the 32-bit limit.
//!
//! Source: arXiv:2504.11651, "Method"; the order of merges is that of dahuffman 0.4.2, which the official compressor
//! calls. The code is not canonical.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::MAX_CODE_BITS;

/// A prefix code word: the low `length` bits of `bits`, most significant first. Length 0: the symbol has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Code {
    pub bits: u32,
    pub length: u8,
}

/// A code word for each exponent that occurs, and one for the end mark, which fills the stream's last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PrefixCode {
    pub exponents: [Code; 256],
    pub end: Code,
    /// The limiter had to choose among symbols of equal frequency above 1, where the official choice is unspecified.
    pub tie: bool,
}

enum Node {
    Leaf(Option<u8>),
    Inner(usize, usize),
}

/// The code of a histogram (at least one count above 0), limited to 32 bits.
///
/// Where the longest code word, the end mark's included, is above 32 bits, the `k` least frequent exponents are counted
/// once each, for `k` = 2, 3, … until it isn't. Among exponents of equal frequency the lowest are taken.
pub(super) fn prefix_code(histogram: &[u64; 256]) -> PrefixCode {
    let mut by_frequency: Vec<(u64, usize)> =
        histogram.iter().enumerate().filter(|(_, count)| **count > 0).map(|(symbol, count)| (*count, symbol)).collect();
    by_frequency.sort_unstable();
    let mut tie = false;
    let mut limited = *histogram;
    let mut k = 1;
    loop {
        if let Some((exponents, end)) = merge(&limited) {
            return PrefixCode { exponents, end, tie };
        }
        // Ends: with every count at 1 the tree is at most 9 deep.
        k += 1;
        limited = *histogram;
        by_frequency.iter().take(k).for_each(|(_, symbol)| limited[*symbol] = 1);
        tie |= k < by_frequency.len() && by_frequency[k - 1].0 == by_frequency[k].0 && by_frequency[k].0 > 1;
    }
}

/// Merges the two smallest until one is left; the smaller gets a leading 0. `None` if a code word is above 32 bits.
///
/// Order: frequency, then the representative, which is the symbol of a leaf (the end mark below all) and, for a merged
/// node, that of its 0-branch.
fn merge(histogram: &[u64; 256]) -> Option<([Code; 256], Code)> {
    const END_MARK: i32 = -1;
    let mut nodes = vec![Node::Leaf(None)];
    let mut heap = BinaryHeap::from([Reverse((1_u64, END_MARK, 0_usize))]);
    for (symbol, count) in histogram.iter().enumerate().filter(|(_, count)| **count > 0) {
        heap.push(Reverse((*count, symbol as i32, nodes.len())));
        nodes.push(Node::Leaf(Some(symbol as u8)));
    }
    let root = loop {
        let Reverse((frequency, representative, zero)) = heap.pop()?;
        let Some(Reverse((other_frequency, _, one))) = heap.pop() else { break zero };
        heap.push(Reverse((frequency + other_frequency, representative, nodes.len())));
        nodes.push(Node::Inner(zero, one));
    };
    let mut exponents = [Code::default(); 256];
    let mut end = Code::default();
    let mut open = vec![(root, Code::default())];
    while let Some((node, code)) = open.pop() {
        match nodes[node] {
            Node::Leaf(Some(symbol)) => exponents[usize::from(symbol)] = code,
            Node::Leaf(None) => end = code,
            Node::Inner(zero, one) => {
                let length = code.length + 1;
                if length > MAX_CODE_BITS {
                    return None;
                }
                open.push((zero, Code { bits: code.bits << 1, length }));
                open.push((one, Code { bits: code.bits << 1 | 1, length }));
            }
        }
    }
    Some((exponents, end))
}
