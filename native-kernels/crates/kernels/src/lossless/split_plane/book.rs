//! Code books: near-optimal frequencies and code lengths from a histogram, and the checks a reader makes.
//!
//! Integer arithmetic only, so that every processor writes the same book for the same histogram.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::OnceLock;

use super::BookEntry;
use super::histogram::Histogram;
use crate::error::{KernelError, Result};

/// Frequencies are 12-bit probabilities: they sum to this.
pub(super) const FREQUENCY_SUM: u32 = 1 << 12;

/// Longest `huff12` code in bits.
pub(super) const MAX_CODE_BITS: u32 = 12;

/// Fraction bits of [`log2_table`].
const LOG_FRACTION_BITS: u32 = 32;

/// log2(i) for i in 1..=4096 in units of 2^-32, rounded down, by repeated squaring.
fn log2_table() -> &'static [u64; FREQUENCY_SUM as usize + 1] {
    static TABLE: OnceLock<Box<[u64; FREQUENCY_SUM as usize + 1]>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = Box::new([0; FREQUENCY_SUM as usize + 1]);
        for (value, entry) in table.iter_mut().enumerate().skip(1) {
            let whole = value.ilog2();
            // The mantissa in [1, 2) with 62 fraction bits; squaring doubles its logarithm.
            let mut mantissa = (value as u128) << (62 - whole);
            let mut log = u64::from(whole);
            for _ in 0..LOG_FRACTION_BITS {
                mantissa = (mantissa * mantissa) >> 62;
                let bit = mantissa >> 63;
                mantissa >>= bit;
                log = (log << 1) | bit as u64;
            }
            *entry = log;
        }
        table
    })
}

/// Frequencies of the symbols present, each at least 1, sum 4096, with the least possible sum of n log2(4096 / f).
///
/// The cost is convex and separable, so giving one slot at a time to the symbol that gains most is optimal; ties go to
/// the lower symbol. The histogram must have an entry.
pub(super) fn frequencies(histogram: &Histogram) -> Vec<BookEntry> {
    let log2 = log2_table();
    let gain = |symbol: u8, f: u16| {
        u128::from(histogram[usize::from(symbol)]) * u128::from(log2[usize::from(f) + 1] - log2[usize::from(f)])
    };
    let mut book: Vec<BookEntry> =
        (0..=255_u8).filter(|symbol| histogram[usize::from(*symbol)] > 0).map(|symbol| (symbol, 1)).collect();
    if let [only] = book.as_mut_slice() {
        only.1 = FREQUENCY_SUM as u16;
        return book;
    }
    let mut heap: BinaryHeap<(u128, Reverse<usize>)> =
        book.iter().enumerate().map(|(index, entry)| (gain(entry.0, entry.1), Reverse(index))).collect();
    for _ in book.len()..FREQUENCY_SUM as usize {
        if let Some(mut best) = heap.peek_mut() {
            let entry = &mut book[best.1.0];
            entry.1 += 1;
            // At 4095 of 4096 the table ends; two symbols or more never get there before the slots run out.
            best.0 = gain(entry.0, entry.1);
        }
    }
    book
}

/// The information content of a plane under a book of frequencies, in bits, rounded up.
pub(super) fn coded_bits(histogram: &Histogram, book: &[BookEntry]) -> u64 {
    let log2 = log2_table();
    let whole = u64::from(FREQUENCY_SUM.ilog2()) << LOG_FRACTION_BITS;
    let cost: u128 = book
        .iter()
        .map(|(symbol, f)| u128::from(histogram[usize::from(*symbol)]) * u128::from(whole - log2[usize::from(*f)]))
        .sum();
    u64::try_from(cost.div_ceil(1 << LOG_FRACTION_BITS)).unwrap_or(u64::MAX)
}

/// Optimal code lengths of at most 12 bits for the symbols present (two or more), by package-merge.
///
/// Source: Larmore and Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", 1990. Ties: a leaf goes
/// before a package, and leaves of equal weight by symbol.
pub(super) fn code_lengths(histogram: &Histogram) -> Vec<BookEntry> {
    let mut leaves: Vec<(u64, u8)> =
        (0..=255_u8).map(|symbol| (histogram[usize::from(symbol)], symbol)).filter(|leaf| leaf.0 > 0).collect();
    leaves.sort_unstable();
    if leaves.len() < 2 {
        return leaves.into_iter().map(|(_, symbol)| (symbol, 1)).collect();
    }
    // One list a level: weights in order, and whether each is a leaf.
    let mut levels: Vec<Vec<(u64, bool)>> = vec![leaves.iter().map(|leaf| (leaf.0, true)).collect()];
    for _ in 1..MAX_CODE_BITS {
        let packages = levels[levels.len() - 1].as_chunks::<2>().0.iter().map(|[a, b]| (a.0 + b.0, false));
        let mut list: Vec<(u64, bool)> = leaves.iter().map(|leaf| (leaf.0, true)).chain(packages).collect();
        list.sort_by_key(|(weight, is_leaf)| (*weight, !is_leaf));
        levels.push(list);
    }
    // Each leaf among the first items taken at a level is one bit longer; each package takes two items one level down.
    let mut lengths = vec![0_u16; leaves.len()];
    let mut taken = 2 * leaves.len() - 2;
    for list in levels.iter().rev() {
        let leaves_taken = list[..taken].iter().filter(|item| item.1).count();
        lengths[..leaves_taken].iter_mut().for_each(|length| *length += 1);
        taken = 2 * (taken - leaves_taken);
    }
    let mut book: Vec<BookEntry> = leaves.iter().zip(lengths).map(|((_, symbol), length)| (*symbol, length)).collect();
    book.sort_unstable();
    book
}

/// The 16 most frequent symbols ascending (ties: the lower), the first one repeated for places left.
pub(super) fn palette(histogram: &Histogram) -> Vec<BookEntry> {
    let mut present: Vec<u8> = (0..=255).filter(|symbol| histogram[usize::from(*symbol)] > 0).collect();
    present.sort_by_key(|symbol| Reverse(histogram[usize::from(*symbol)]));
    present.truncate(16);
    present.sort_unstable();
    let first = present.first().copied().unwrap_or(0);
    present.resize(16, first);
    present.into_iter().map(|symbol| (symbol, 0)).collect()
}

fn check_ascending(book: &[BookEntry]) -> Result<()> {
    if book.is_empty() || book.len() > 256 {
        return Err(KernelError::malformed(format!("a book has {} entries, 1 to 256 are possible", book.len())));
    }
    match book.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
        Some(pair) => Err(KernelError::malformed(format!("a book has symbol {} before {}", pair[0].0, pair[1].0))),
        None => Ok(()),
    }
}

/// Checks a book of frequencies.
pub(super) fn check_frequencies(book: &[BookEntry]) -> Result<()> {
    check_ascending(book)?;
    let sum: u32 = book.iter().map(|entry| u32::from(entry.1)).sum();
    if sum != FREQUENCY_SUM || book.iter().any(|entry| entry.1 == 0) {
        return Err(KernelError::malformed(format!(
            "a book's frequencies must be at least 1 and sum to {FREQUENCY_SUM}, their sum is {sum}"
        )));
    }
    Ok(())
}

/// Checks a book of code lengths: a complete prefix code, or one symbol of length 1.
pub(super) fn check_lengths(book: &[BookEntry]) -> Result<()> {
    check_ascending(book)?;
    if let Some(entry) = book.iter().find(|entry| entry.1 < 1 || u32::from(entry.1) > MAX_CODE_BITS) {
        return Err(KernelError::malformed(format!(
            "symbol {} has a code of {} bits, 1 to {MAX_CODE_BITS} are possible",
            entry.0, entry.1
        )));
    }
    let filled: u32 = book.iter().map(|entry| 1 << (MAX_CODE_BITS - u32::from(entry.1))).sum();
    if filled == 1 << MAX_CODE_BITS || (book.len() == 1 && book[0].1 == 1) {
        return Ok(());
    }
    Err(KernelError::malformed(format!("a book's codes fill {filled} of {} places", 1 << MAX_CODE_BITS)))
}

/// Checks a palette.
pub(super) fn check_palette(book: &[BookEntry]) -> Result<()> {
    if book.len() != 16 {
        return Err(KernelError::malformed(format!("a palette has {} entries, 16 are needed", book.len())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: &[(u8, u64)]) -> Histogram {
        let mut histogram = [0; 256];
        counts.iter().for_each(|(symbol, count)| histogram[usize::from(*symbol)] = *count);
        histogram
    }

    #[test]
    fn logarithms_are_right() {
        let table = log2_table();
        assert_eq!((table[1], table[2], table[4096]), (0, 1 << 32, 12 << 32));
        for (value, log) in table.iter().enumerate().skip(1) {
            let exact = (value as f64).log2();
            assert!((*log as f64 / 4_294_967_296.0 - exact).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn frequencies_fit_and_cannot_be_improved_by_moving_a_slot() {
        let skewed = histogram(&[(0, 1), (7, 1_000_000), (9, 3), (255, 40_000)]);
        let flat: Histogram = std::array::from_fn(|_| 5);
        let odd: Histogram = std::array::from_fn(|i| (i as u64 * 2_654_435_761 % 1000).pow(2));
        for histogram in [skewed, flat, odd] {
            let book = frequencies(&histogram);
            check_frequencies(&book).unwrap();
            let cost = |book: &[BookEntry]| -> f64 {
                book.iter().map(|(s, f)| histogram[usize::from(*s)] as f64 * (4096.0 / f64::from(*f)).log2()).sum()
            };
            let best = cost(&book);
            for from in 0..book.len() {
                for to in (0..book.len()).filter(|to| *to != from && book[from].1 > 1) {
                    let mut other = book.clone();
                    other[from].1 -= 1;
                    other[to].1 += 1;
                    assert!(cost(&other) >= best * (1.0 - 1e-9) - 1e-6, "a slot from {from} to {to}");
                }
            }
            assert!((coded_bits(&histogram, &book) as f64 - best).abs() < 1.0 + best * 1e-8);
        }
        assert_eq!(frequencies(&histogram(&[(3, 9)])), [(3, 4096)]);
        let extreme = frequencies(&histogram(&[(3, 1 << 31), (4, 1)]));
        assert_eq!(extreme, [(3, 4095), (4, 1)]);
    }

    #[test]
    fn code_lengths_are_complete_and_limited() {
        let mut fibonacci = vec![1_u64, 1];
        while fibonacci.len() < 40 {
            fibonacci.push(fibonacci[fibonacci.len() - 1] + fibonacci[fibonacci.len() - 2]);
        }
        let counts: Vec<(u8, u64)> = fibonacci.iter().enumerate().map(|(i, count)| (i as u8, *count)).collect();
        check_lengths(&code_lengths(&histogram(&counts))).unwrap();
        check_lengths(&code_lengths(&std::array::from_fn(|_| 1))).unwrap();
        assert_eq!(code_lengths(&histogram(&[(1, 5), (2, 2), (9, 2)])), [(1, 1), (2, 2), (9, 2)]);
        assert_eq!(code_lengths(&histogram(&[(8, 5)])), [(8, 1)]);
        assert!(check_lengths(&[(1, 2), (2, 2), (3, 2)]).is_err());
        assert!(check_lengths(&[(1, 1), (2, 1), (3, 2)]).is_err());
        assert!(check_lengths(&[(1, 13)]).is_err());
    }
}
