//! Published vectors A to L (the format page gives them letters; B, D, F, G are from the official functions).

use super::super::code_book::{BookOrigin, CodeBook};
use super::super::huffman::Code;
use super::super::{plan_from_histogram, reference};
use super::unit::*;
use crate::error::Status;
use crate::lossless::bf16;

/// A code word from its digits.
fn code(digits: &str) -> Code {
    Code { bits: u32::from_str_radix(digits, 2).unwrap(), length: digits.len() as u8 }
}

fn expect_codes(book: &CodeBook, expected: &[(u8, &str)], end: &str) {
    for (exponent, digits) in expected {
        assert_eq!(book.code(*exponent), code(digits), "exponent {exponent}");
    }
    assert_eq!(book.prefix_code().end, code(end), "end mark");
}

/// Checks a table row given as (first entry, value), each value lasting to the next.
fn expect_row(luts: &[u8], row: usize, runs: &[(usize, u8)]) {
    let value = |entry: usize| runs.iter().rev().find(|(first, _)| *first <= entry).unwrap().1;
    let expected: Vec<u8> = (0..256).map(value).collect();
    assert_eq!(luts[256 * row..256 * (row + 1)], expected, "row {row}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

fn forced(exponents: &[u8]) -> (Stored, super::super::UnitPlan) {
    let book = CodeBook::from_histogram(&histogram_of(exponents)).unwrap();
    encode_by(&words_of(exponents), Options { book: Some(book), ..Options::default() }).unwrap()
}

fn expect_round_trip(stored: &Stored, exponents: &[u8]) {
    assert!(stored.decode().unwrap() == words_of(exponents));
    assert_eq!(reference::decode(&stored.luts, &stored.stream, exponents.len()), exponents);
}

#[test]
fn vector_a_codes_sixteen_weights() {
    let exponents = [121, 120, 121, 122, 119, 121, 120, 118, 121, 122, 120, 121, 119, 122, 120, 121];
    let (stored, plan) = encode_words(&words_of(&exponents));
    expect_codes(&plan.book, &[(122, "00"), (118, "0101"), (119, "011"), (120, "10"), (121, "11")], "0100");
    assert_eq!(hex(&stored.stream), "ec 7c b9 6c b4");
    assert_eq!(stored.gaps, [0; 320]);
    assert_eq!(stored.positions(), [0, 16]);
    assert_eq!(stored.luts.len(), 512);
    expect_row(&stored.luts, 0, &[(0, 122), (80, 118), (96, 119), (128, 120), (192, 121)]);
    let lengths: Vec<(usize, u8)> =
        stored.luts[256..].iter().copied().enumerate().filter(|(_, length)| *length > 0).collect();
    assert_eq!(lengths, [(118, 4), (119, 3), (120, 2), (121, 2), (122, 2)]);
    assert_eq!((plan.origin, plan.longest_code_bits, plan.lut_rows), (BookOrigin::Official, 4, 2));
    expect_round_trip(&stored, &exponents);
}

#[test]
fn vector_b_has_gaps() {
    let exponents = [
        117, 121, 120, 117, 121, 121, 119, 122, 119, 123, 121, 119, 121, 120, 121, 119, 121, 121, 120, 121, 122, 122,
        121, 116, 121, 122, 121, 122, 120, 121, 123, 121, 116, 120, 122, 121, 120, 122, 120, 121, 122, 117, 122, 117,
        122, 121, 122, 117, 121, 120, 122, 122, 121, 121, 117, 117, 122, 122, 120,
    ];
    let (stored, plan) = encode_words(&words_of(&exponents));
    expect_codes(
        &plan.book,
        &[(120, "00"), (122, "01"), (117, "100"), (119, "1010"), (123, "10110"), (116, "101111"), (121, "11")],
        "101110",
    );
    assert_eq!(plan.book.total_bits(&plan.histogram), 147);
    assert_eq!(hex(&stored.stream), "99 3e 9a b7 59 d7 9a f7 ee 9d bb c7 13 63 1d 98 bf 22 97");
    assert_eq!(hex(&stored.gaps[..3]), "00 42 00");
    assert_eq!(stored.gaps.len(), 320);
    assert_eq!(stored.positions(), [0, 59]);
    expect_round_trip(&stored, &exponents);
}

#[test]
fn vector_c_needs_two_levels_of_tables() {
    let counts = [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233];
    let counted: Vec<(u8, usize)> = counts.iter().enumerate().map(|(i, count)| (100 + i as u8, *count)).collect();
    let exponents = runs(&counted);
    // The page's code: the one-bit code word stays, as 609 elements fit any block.
    let (stored, plan) = encode_words(&words_of(&exponents));
    expect_codes(
        &plan.book,
        &[(112, "0"), (111, "10"), (110, "110"), (105, "11111110"), (104, "111111110"), (101, "111111111110")],
        "1111111111110",
    );
    expect_codes(&plan.book, &[(100, "1111111111111")], "1111111111110");
    assert_eq!((plan.book.total_bits(&plan.histogram), stored.stream.len()), (1581, 198));
    let row_0 =
        [(0, 112), (128, 111), (192, 110), (224, 109), (240, 108), (248, 107), (252, 106), (254, 105), (255, 255)];
    expect_row(&stored.luts, 0, &row_0);
    expect_row(&stored.luts, 1, &[(0, 104), (128, 103), (192, 102), (224, 101), (248, 100)]);
    assert_eq!(hex(&stored.gaps[..10]), "00 c4 10 14 20 08 42 10 80 41");
    expect_round_trip(&stored, &exponents);
}

#[test]
fn vector_d_leaks_a_fill_value_into_the_next_row() {
    let counts = [
        (100, 129),
        (101, 1),
        (102, 257),
        (103, 1),
        (104, 9),
        (105, 5),
        (106, 257),
        (107, 33),
        (108, 5),
        (109, 129),
        (110, 129),
        (111, 9),
    ];
    let exponents = runs(&counts);
    let (stored, plan) = encode_words(&words_of(&exponents));
    let codes = [
        (108, "000000"),
        (103, "00000100"),
        (101, "000001011"),
        (105, "0000011"),
        (104, "000010"),
        (111, "000011"),
        (107, "0001"),
        (100, "001"),
        (102, "01"),
        (106, "10"),
        (109, "110"),
        (110, "111"),
    ];
    expect_codes(&plan.book, &codes, "000001010");
    let row_0 = [
        (0, 108),
        (4, 103),
        (5, 255),
        (6, 105),
        (8, 104),
        (12, 111),
        (16, 107),
        (32, 100),
        (64, 102),
        (128, 106),
        (192, 109),
        (224, 110),
    ];
    expect_row(&stored.luts, 0, &row_0);
    expect_row(&stored.luts, 1, &[(0, 110), (128, 101)]);
    assert!(plan.origin.is_official_bytes());
    expect_round_trip(&stored, &exponents);
}

#[test]
fn vector_e_has_one_exponent() {
    let exponents = [127; 10];
    let (stored, plan) = encode_words(&words_of(&exponents));
    expect_codes(&plan.book, &[(127, "1")], "0");
    assert_eq!((hex(&stored.stream).as_str(), stored.positions()), ("ff c0", vec![0, 10]));
    expect_row(&stored.luts, 0, &[(0, 127)]);
    assert_eq!((stored.luts[256 + 127], plan.origin), (1, BookOrigin::SafeFill));
    expect_round_trip(&stored, &exponents);
    let many = [127; 23_551];
    let (stored, plan) = encode_words(&words_of(&many));
    expect_codes(&plan.book, &[(127, "10")], "0");
    assert_eq!((plan.origin, plan.blocks), (BookOrigin::MinimumLength2, 2));
    assert_eq!(stored.positions(), [0, 16_384, 23_551]);
    expect_round_trip(&stored, &many);
    let as_many_as_fit = encode_words(&words_of(&[127; 23_550])).1;
    assert_eq!((as_many_as_fit.origin, as_many_as_fit.blocks), (BookOrigin::SafeFill, 1));
}

fn vector_f(most: usize) -> Vec<u8> {
    let mut counts = vec![(112, most)];
    counts.extend((0..11).map(|i| (111 - i as u8, 2048 >> i)));
    counts.push((100, 1));
    runs(&counts)
}

#[test]
fn vector_f_has_one_position_less() {
    let exponents = vector_f(20_503);
    let (stored, plan) = forced(&exponents);
    assert_eq!((exponents.len(), plan.book.total_bits(&plan.histogram)), (24_598, 32_776));
    assert_eq!((stored.stream.len(), plan.blocks, stored.gaps.len()), (4097, 2, 640));
    assert_eq!(stored.positions(), [0, 24_598]);
    let gaps = stored.gaps();
    assert_eq!((gaps[511], gaps[512]), (2, 0));
    assert!(sha256(&stored.stream).starts_with("e65c58da3418f0e9"));
    assert!(sha256(&stored.gaps).starts_with("18758d0400bd8cc7"));
    expect_round_trip(&stored, &exponents);
    // The long form is read too.
    let mut long = stored.clone();
    long.set_positions(&[0, 24_598, 24_598]);
    expect_round_trip(&long, &exponents);
    // Without force the block would be too full for the official kernel.
    let (stored, plan) = encode_words(&words_of(&exponents));
    assert_eq!(plan.origin, BookOrigin::MinimumLength2);
    assert_eq!(plan.book.length(112), 2);
    expect_round_trip(&stored, &exponents);
}

#[test]
fn vector_g_has_the_published_checksums() {
    const LIMITS: [(u8, u32); 20] = [
        (120, 19000),
        (121, 35000),
        (119, 44000),
        (122, 52000),
        (118, 56500),
        (117, 59000),
        (123, 61500),
        (116, 63000),
        (115, 64000),
        (124, 64600),
        (114, 65000),
        (113, 65250),
        (125, 65400),
        (112, 65450),
        (111, 65490),
        (110, 65515),
        (109, 65525),
        (108, 65531),
        (0, 65534),
        (126, 65536),
    ];
    let mut state = 12345_u32;
    let mut step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state
    };
    let mut words = Vec::new();
    for _ in 0..40_000 {
        let u = step() >> 16;
        let exponent = LIMITS.iter().find(|(_, limit)| u < *limit).unwrap().0;
        words.extend_from_slice(&bf16::word(exponent, (step() >> 24) as u8).to_le_bytes());
    }
    assert_eq!(sha256(&words), "fcafd063d18d92d9dba720d0590ecd0d288795e0c46d435f27852d7e0e252850");
    let (stored, plan) = encode_words(&words);
    assert_eq!(plan.book.total_bits(&plan.histogram), 112_758);
    assert_eq!(stored.positions(), [0, 11_611, 23_230, 34_836, 40_000]);
    for (name, field, bytes, hash) in [
        (
            "encoded_exponent",
            &stored.stream,
            14_095,
            "0f42086ac039c4244eab0906755061c0eb949f5a13af0555616c1fae22cb176e",
        ),
        (
            "sign_mantissa",
            &stored.sign_mantissa,
            40_000,
            "cfc397b347f4ea9db2b730de428a7bbe600a1a5a910ec29fc56d948d90d84bff",
        ),
        ("luts", &stored.luts, 768, "fd24f628c24dd4c30e86985d3baae1f604c8f54f8b973b21943bd2c732ac1a5e"),
        ("gaps", &stored.gaps, 1280, "0bd0ac433b0f7a4b86b626f7d5eb166b7aa68857e9da62d42f60a6e32fb21473"),
        ("output_positions", &stored.positions, 20, "328540f9bd28a9d42c70eb54451dd308de0bad923f489fdbd106f0459187d045"),
    ] {
        assert_eq!((field.len(), sha256(field).as_str()), (bytes, hash), "{name}");
    }
    assert!(stored.decode().unwrap() == words);
    assert_eq!(plan_from_histogram(&plan.histogram, plan.last_exponent).unwrap().stored_bytes(), plan.stored_bytes());
}

#[test]
fn vector_h_is_limited_to_32_bits() {
    let mut histogram = [0_u64; 256];
    let (mut a, mut b) = (1, 1);
    for count in &mut histogram[80..120] {
        *count = a;
        (a, b) = (b, a + b);
    }
    let book = CodeBook::from_histogram(&histogram).unwrap();
    assert_eq!((book.longest(), book.end_mark_length(), book.length(119), book.length(92)), (32, 32, 1, 28));
    assert!((89..=91).all(|exponent| book.length(exponent) == 31));
    assert!((80..=88).all(|exponent| book.length(exponent) == 32));
    assert_eq!((book.lut_rows(), book.total_bits(&histogram)), (5, 701_408_934));
    assert_eq!(book.origin(), BookOrigin::Official);
}

#[test]
fn a_limiter_tie_above_one_is_recorded() {
    // Fibonacci counts from 2 on, with two exponents of the lowest frequency: k = 1 would already have to choose.
    let mut histogram = [0_u64; 256];
    let (mut a, mut b) = (10, 10);
    for count in &mut histogram[80..118] {
        *count = a;
        (a, b) = (b, a + b);
    }
    (histogram[81], histogram[82], histogram[83], histogram[84]) = (10, 10, 10, 10);
    let book = CodeBook::from_histogram(&histogram).unwrap();
    assert!(book.longest() <= 32);
    assert_eq!(book.origin(), BookOrigin::LimiterTie);
}

#[test]
fn vector_i_is_refused_for_its_many_rows() {
    let mut histogram = [0_u64; 256];
    histogram[10] = 40_000;
    (0..200).for_each(|i| histogram[30 + i] = 200 + (7 * i as u64) % 13);
    let error = CodeBook::from_histogram(&histogram).unwrap_err();
    assert_eq!(error.status, Status::Unrepresentable);
    assert!(error.what.contains("73 table rows"), "{error}");
}

/// Hangs `high` exponents from 240 on under the end mark, as a lenient writer may.
fn with_high_exponents(book: &CodeBook, high: &[u8]) -> CodeBook {
    let mut code = book.prefix_code().clone();
    let end = code.end;
    let index_bits = (high.len() as u32 + 1).next_power_of_two().ilog2() as u8;
    let length = 25.max(end.length + index_bits);
    let hang = |index: usize| Code { bits: (end.bits << (length - end.length)) + index as u32, length };
    high.iter().enumerate().for_each(|(index, exponent)| code.exponents[usize::from(*exponent)] = hang(index));
    code.end = hang(high.len());
    CodeBook::assemble(code, BookOrigin::SafeFill).unwrap()
}

#[test]
fn vector_j_reads_exponents_from_240_on() {
    // 20,000 values of N(0, 0.02) from SplitMix64 with seed 11, special words inserted.
    let mut random = Random(11);
    let mut words: Vec<u16> = (0..20_000).map(|_| (((random.normal() * 0.02) as f32).to_bits() >> 16) as u16).collect();
    let special = [0x7f80, 0xff80, 0x7fc1, 0xffff, 0x7f81, 0x8000, 0x0000, 0x0001, 0x807f, 0x7f7f, 0x7800];
    special.iter().enumerate().for_each(|(index, word)| words.insert(1777 * (index + 1), *word));
    let words: Vec<u8> = words.into_iter().flat_map(u16::to_le_bytes).collect();
    let exponents = exponents_of(&words);
    let mut histogram = histogram_of(&exponents);
    histogram[240..].fill(0);
    let book = with_high_exponents(&CodeBook::from_histogram(&histogram).unwrap(), &[240, 254, 255]);
    assert!([240, 254, 255].iter().all(|exponent| book.length(*exponent) == 25));
    let (stored, _) = encode_by(&words, Options { book: Some(book), ..Options::default() }).unwrap();
    assert!(stored.decode().unwrap() == words);
    assert_eq!(reference::decode(&stored.luts, &stored.stream, exponents.len()), exponents);
    let error = encode_by(&words, Options::default()).unwrap_err();
    assert_eq!(error.status, Status::Unrepresentable);
    assert!(error.what.starts_with("7 of 20011 weights"), "{error}");
}

/// An order of exponents in which the last code word straddles as the page's vectors want it: any order does, as the
/// vectors give counts and code words; the stream tells it.
#[test]
fn vector_k_has_an_end_mark_in_a_new_window() {
    let exponents = runs(&[(121, 16), (120, 13), (122, 5), (119, 2)]);
    let (stored, plan) = encode_words(&words_of(&exponents));
    expect_codes(&plan.book, &[(121, "0"), (119, "1001"), (122, "101"), (120, "11")], "1000");
    assert_eq!(plan.book.total_bits(&plan.histogram), 65);
    assert_eq!(hex(&stored.stream), "00 00 ff ff ff ed b6 cc c0");
    assert_eq!(hex(&stored.gaps[..3]), "00 40 00");
    assert_eq!((stored.gaps.len(), stored.positions()), (320, vec![0, 36]));
    expect_round_trip(&stored, &exponents);
}

#[test]
fn vector_l_has_an_end_mark_in_a_new_block() {
    let exponents = vector_f(20_496);
    let (stored, plan) = forced(&exponents);
    assert_eq!((exponents.len(), plan.book.total_bits(&plan.histogram)), (24_591, 32_769));
    assert_eq!((stored.stream.len(), plan.blocks), (4097, 2));
    assert_eq!(stored.positions(), [0, 24_591, 24_591]);
    assert_eq!(stored.gaps()[512], 1);
    expect_round_trip(&stored, &exponents);
}

#[test]
fn a_leaked_pointer_stays_in_official_tables() {
    let counts = [(102, 1), (106, 1), (107, 2), (108, 4), (104, 8), (105, 15), (103, 30), (101, 49), (100, 79)];
    let exponents = runs(&counts);
    let (stored, plan) = encode_words(&words_of(&exponents));
    assert!(plan.origin.is_official_bytes());
    assert_eq!(stored.luts[256..258], [255, 255]);
    expect_round_trip(&stored, &exponents);
}
