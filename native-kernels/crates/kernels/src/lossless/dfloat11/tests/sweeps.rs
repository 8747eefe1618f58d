//! Fast paths against the plain ones, over awkward sizes, orders and histograms; the contract of the streaming calls.

use proptest::prelude::*;

use super::super::code_book::BookOrigin;
use super::super::in_memory::{self, StoredUnit};
use super::super::lookup::{INDEX_BITS, Lookup};
use super::super::{UnitFields, encode, measure, plan_from_histogram, reference};
use super::unit::*;
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::Status;
use crate::files::Target;

/// Every backend gives what the plain coder gives, and reads it back.
fn judge(words: &[u8], chunk_elements: usize) {
    for backend in Backend::available() {
        let plan = in_memory::measure_words(backend, words, chunk_elements).unwrap();
        let exponents = exponents_of(words);
        let expected = reference::encode(&plan.book, &exponents);
        let mut unit = StoredUnit::default();
        in_memory::encode_words(backend, &plan, words, &mut unit).unwrap();
        let case = format!("{backend:?}, {} elements, chunks of {chunk_elements}", exponents.len());
        assert!(unit.encoded_exponent == expected.stream, "stream: {case}");
        assert!(unit.gaps == expected.gaps, "gaps: {case}");
        let positions: Vec<u8> = expected.positions.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        assert_eq!(unit.output_positions, positions, "positions: {case}");
        assert_eq!(plan.position_entries, expected.positions.len() as u64, "entries: {case}");
        assert_eq!(reference::decode(&unit.luts, &unit.encoded_exponent, exponents.len()), exponents, "{case}");
        for group_blocks in [1, 3, 16] {
            let mut back = vec![0; words.len()];
            in_memory::decode_words(backend, &unit, &mut back, group_blocks).unwrap();
            assert!(back == words, "decoded by groups of {group_blocks}: {case}");
        }
    }
}

/// Exponents in shuffled order.
fn shuffled(mut exponents: Vec<u8>, seed: u64) -> Vec<u8> {
    let mut random = Random(seed);
    for i in (1..exponents.len()).rev() {
        exponents.swap(i, (random.next() % (i as u64 + 1)) as usize);
    }
    exponents
}

#[test]
fn every_short_length() {
    let words = Random(1).weights(600);
    for elements in 1..=600 {
        judge(&words[..2 * elements], 1 << 18);
    }
    for elements in [1, 2, 3, 255, 256, 257, 599] {
        for chunk_elements in [1, 2, 3, 7, 255, 256, 257] {
            judge(&words[..2 * elements], chunk_elements);
        }
    }
}

#[test]
fn lengths_around_block_ends() {
    let words = Random(2).weights(30_000);
    let exponents = exponents_of(&words);
    let plan = in_memory::measure_words(Backend::Scalar, &words, 1 << 18).unwrap();
    let mut bits = 0_u64;
    let bits_after: Vec<u64> = exponents
        .iter()
        .map(|exponent| {
            bits += u64::from(plan.book.length(*exponent));
            bits
        })
        .collect();
    // The code of a prefix is not that of the whole, but near it.
    for block in 1..=2 {
        let near = bits_after.partition_point(|bits| *bits < 32_768 * block);
        for elements in near - 60..near + 60 {
            judge(&words[..2 * elements], 4099);
        }
    }
    // Two bits each for three exponents and the end mark's pair: ends meet borders often.
    let even = shuffled(runs(&[(120, 6000), (121, 6000), (122, 6000)]), 4);
    for elements in (17_990..18_000).chain([1, 31, 32, 33, 12_287, 12_288]) {
        judge(&words_of(&even[..elements]), 1000);
    }
}

#[test]
fn constant_tensors() {
    for exponent in [0, 1, 127, 239] {
        for elements in [1, 2, 7, 8, 9, 64, 65, 1000, 23_550] {
            let exponents = vec![exponent; elements];
            let (stored, plan) = encode_words(&words_of(&exponents));
            assert_eq!(plan.book.length(exponent), 1);
            assert_eq!(plan.origin, BookOrigin::SafeFill);
            assert!(stored.decode().unwrap() == words_of(&exponents), "{elements} x {exponent}");
            judge(&words_of(&exponents), 100);
        }
        let exponents = vec![exponent; 100_000];
        let (stored, plan) = encode_words(&words_of(&exponents));
        assert_eq!((plan.origin, plan.blocks), (BookOrigin::MinimumLength2, 7));
        assert!(stored.decode_by(2, 2).unwrap() == words_of(&exponents));
    }
}

#[test]
fn the_longest_code_words() {
    // Fibonacci counts give one bit more for each exponent; the rarest first, so that many long ones stand together.
    let (mut a, mut b) = (1, 1);
    let mut counts = Vec::new();
    for exponent in 90..118 {
        counts.push((exponent, a));
        (a, b) = (b, a + b);
    }
    let exponents = runs(&counts);
    judge(&words_of(&exponents), 50_000);
    judge(&words_of(&shuffled(exponents, 6)), 1 << 18);
}

#[test]
fn rare_exponents_far_below_a_common_one() {
    let mut counts = vec![(130, 1_usize << 20), (131, 1 << 4)];
    counts.extend((0..3).map(|i| (60 + i, 1)));
    judge(&words_of(&shuffled(runs(&counts), 8)), 1 << 18);
    let mut flat = vec![(100, 1 << 17)];
    flat.extend((0..40).map(|i| (101 + i, 2)));
    judge(&words_of(&shuffled(runs(&flat), 8)), 1 << 18);
}

#[test]
fn an_overfull_block_makes_code_words_two_bits_long() {
    // On average long enough, but one exponent fills more than a block at a stretch.
    let mut exponents = vec![120; 60_000];
    exponents.extend(shuffled(runs(&[(121, 12_000), (122, 12_000), (123, 12_000), (124, 12_000)]), 5));
    let words = words_of(&exponents);
    for (threads, chunk_elements) in [(1, 1 << 18), (2, 1000), (3, 4096)] {
        let options = Options { threads, chunk_elements, ..Options::default() };
        let (stored, plan) = encode_by(&words, options).unwrap();
        assert_eq!((plan.origin, plan.book.length(120)), (BookOrigin::MinimumLength2, 2));
        let expected = reference::encode(&plan.book, &exponents);
        assert!(stored.stream == expected.stream && stored.gaps == expected.gaps);
        assert_eq!(stored.positions(), expected.positions);
        assert!(stored.positions().windows(2).all(|pair| pair[1] - pair[0] <= 23_550));
        assert!(stored.decode_by(threads, 1).unwrap() == words);
    }
    let estimate = plan_from_histogram(&histogram_of(&exponents), 121).unwrap();
    assert_eq!(estimate.origin, BookOrigin::Official);
    // Shuffled, every block is near the average and the official code stays.
    let mixed = encode_words(&words_of(&shuffled(exponents, 6))).1;
    assert_eq!((mixed.origin, mixed.book.length(120)), (BookOrigin::Official, 1));
}

#[test]
fn threads_chunks_groups_and_segments_change_no_byte() {
    let words = Random(12).weights(70_001);
    let (expected, plan) = encode_words(&words);
    for threads in [1, 2, 3] {
        for chunk_elements in [97, 1000, 4096, 30_011, 1 << 18] {
            // Segments may even end within a word.
            let cuts = vec![0, 2, 33_333, 33_333, 120_000];
            let options = Options { threads, chunk_elements, book: None, cuts };
            assert!(encode_by(&words, options).unwrap().0 == expected, "{threads} threads, chunks of {chunk_elements}");
        }
        for group_blocks in [1, 2, 5, 16] {
            assert!(expected.decode_by(threads, group_blocks).unwrap() == words, "groups of {group_blocks}");
        }
    }
    let estimate = plan_from_histogram(&plan.histogram, plan.last_exponent).unwrap();
    assert_eq!(estimate.stored_bytes(), plan.stored_bytes());
}

#[test]
fn table_entries_say_what_single_lookups_say() {
    let mut random = Random(21);
    for round in 0..40 {
        let luts = if round < 10 {
            encode_words(&random.weights(3000)).0.luts
        } else {
            // Anything that is accepted.
            let mut luts: Vec<u8> = (0..512)
                .map(|i| if i < 256 && random.next().is_multiple_of(9) { 255 } else { 100 + (random.next() % 5) as u8 })
                .collect();
            luts.extend((0..256).map(|_| 1 + (random.next() % 16) as u8));
            luts
        };
        let lookup = Lookup::new(&luts).unwrap();
        for (index, entry) in lookup.entries().iter().enumerate() {
            for _ in 0..4 {
                let mut bits = (index as u64) << (64 - INDEX_BITS) | random.next() >> INDEX_BITS;
                let mut ends = 0;
                let mut used = 0;
                for symbol in 0..entry.count() {
                    let (exponent, length) = lookup.exponent((bits >> 32) as u32).unwrap();
                    assert_eq!(exponent, (entry.exponents() >> (8 * symbol)) as u8);
                    bits <<= length;
                    used += length;
                    ends |= 1 << used;
                }
                assert!(used <= INDEX_BITS);
                assert_eq!((entry.bits(), entry.ends()), (used, ends));
            }
        }
    }
}

#[test]
fn refuses_what_the_format_cannot_hold() {
    for (exponents, needle) in [(vec![], "0 elements"), (vec![120, 240], "1 of 2 weights"), (vec![255; 3], "3 of 3")] {
        let error = encode_by(&words_of(&exponents), Options::default()).unwrap_err();
        assert_eq!(error.status, Status::Unrepresentable);
        assert!(error.what.contains(needle), "{error}");
    }
    let error = encode_by(&[1, 2, 3], Options::default()).unwrap_err();
    assert_eq!(error.status, Status::BadArgument);
    let mut histogram = [0; 256];
    histogram[120] = 1 << 31;
    assert_eq!(plan_from_histogram(&histogram, 120).unwrap_err().status, Status::Unrepresentable);
    histogram[120] = u64::MAX;
    histogram[121] = u64::MAX;
    assert_eq!(plan_from_histogram(&histogram, 120).unwrap_err().status, Status::Unrepresentable);
}

#[test]
fn stops_when_cancelled_and_notices_another_source() {
    let words = Random(30).weights(5000);
    let folder = Folder::new();
    let source = [folder.file("source", &words)];
    let context = Context::with_threads(2).unwrap();
    let plan = measure(&context, &source).unwrap();
    let field = |name: &str, bytes: u64| whole(&folder.0.join(name), bytes);
    let fields = UnitFields {
        luts: field("luts", plan.luts_bytes()),
        encoded_exponent: field("stream", plan.stream_bytes),
        sign_mantissa: field("sm", plan.elements),
        output_positions: field("positions", plan.positions_bytes()),
        gaps: field("gaps", plan.gaps_bytes()),
    };
    let estimate = plan_from_histogram(&plan.histogram, plan.last_exponent).unwrap();
    assert_eq!(encode(&context, &source, &estimate, &fields).unwrap_err().status, Status::BadArgument);
    let mut wrong = fields.clone();
    wrong.gaps.bytes += 1;
    assert_eq!(encode(&context, &source, &plan, &wrong).unwrap_err().status, Status::BadArgument);
    // One weight becomes much rarer, then one that wasn't there at all.
    for changed in [[0x00, 0x00], [0x7f, 0x7f]] {
        let mut other = words.clone();
        other[2000..2002].copy_from_slice(&changed);
        let source = [folder.file("changed", &other)];
        assert_eq!(encode(&context, &source, &plan, &fields).unwrap_err().status, Status::SourceChanged);
    }
    let shorter = [folder.file("shorter", &words[..words.len() - 2])];
    assert_eq!(encode(&context, &shorter, &plan, &fields).unwrap_err().status, Status::BadArgument);
    std::fs::write(folder.0.join("cut"), &words[..100]).unwrap();
    let cut = [whole(&folder.0.join("cut"), words.len() as u64)];
    assert_eq!(encode(&context, &cut, &plan, &fields).unwrap_err().status, Status::FileCutShort);
    encode(&context, &source, &plan, &fields).unwrap();
    let decode = super::super::decode;
    let compare = Target::compare(&source).unwrap();
    decode(&context, &fields, plan.elements, &compare).unwrap();
    decode(&context, &fields, plan.elements, &Target::Discard(2 * plan.elements)).unwrap();
    let error = decode(&context, &fields, plan.elements, &Target::Discard(7)).unwrap_err();
    assert_eq!(error.status, Status::BadArgument);
    context.control.cancel();
    assert_eq!(measure(&context, &source).unwrap_err().status, Status::Cancelled);
    assert_eq!(encode(&context, &source, &plan, &fields).unwrap_err().status, Status::Cancelled);
    assert_eq!(decode(&context, &fields, plan.elements, &compare).unwrap_err().status, Status::Cancelled);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_histogram_in_any_order(
        counts in prop::collection::vec((0..240_u8, 0..10_u32), 1..12),
        chunk_elements in 1..5000_usize,
        seed in any::<u64>(),
    ) {
        // Powers of two, so that code lengths differ much.
        let counts: Vec<(u8, usize)> =
            counts.into_iter().map(|(exponent, power)| (exponent, 1 << power)).collect();
        judge(&words_of(&shuffled(runs(&counts), seed)), chunk_elements);
    }
}
