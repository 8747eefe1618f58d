//! Stored units that contradict themselves: refused with the field's name, or decoded to other weights, never a crash.

use proptest::prelude::*;

use super::super::reference;
use super::unit::*;
use crate::error::Status;

/// Four blocks.
fn good() -> (Stored, Vec<u8>) {
    let words = Random(3).weights(32_000);
    (encode_words(&words).0, words)
}

fn expect_malformed(stored: &Stored, needle: &str) {
    let error = stored.decode().unwrap_err();
    assert_eq!(error.status, Status::Malformed, "{error}");
    assert!(error.what.contains(needle), "{error}");
}

#[test]
fn names_the_field_at_fault() {
    let (good, words) = good();
    assert!(good.decode().unwrap() == words);
    let with = |change: &dyn Fn(&mut Stored)| {
        let mut bad = good.clone();
        change(&mut bad);
        bad
    };
    let positions = good.positions();
    assert_eq!(positions.len(), 5);
    expect_malformed(&with(&|bad| bad.stream.clear()), "\"encoded_exponent\" has 0 bytes");
    expect_malformed(&with(&|bad| bad.stream.truncate(8192)), "\"output_positions\" has 20 bytes");
    expect_malformed(&with(&|bad| bad.stream.truncate(bad.stream.len() - 1)), "\"encoded_exponent\" has");
    expect_malformed(&with(&|bad| bad.stream.push(0)), "\"encoded_exponent\" has");
    expect_malformed(&with(&|bad| bad.gaps.truncate(1279)), "\"gaps\" has 1279 bytes");
    expect_malformed(&with(&|bad| bad.gaps.clear()), "\"gaps\" has 0 bytes");
    expect_malformed(&with(&|bad| bad.luts.truncate(256)), "\"luts\" has 256 bytes");
    expect_malformed(&with(&|bad| bad.luts.truncate(700)), "\"luts\" has 700 bytes");
    expect_malformed(&with(&|bad| bad.luts.resize(19 * 256, 120)), "\"luts\" has 4864 bytes");
    expect_malformed(&with(&|bad| bad.luts.clear()), "\"luts\" has 0 bytes");
    expect_malformed(&with(&|bad| bad.positions.truncate(19)), "\"output_positions\" has 19 bytes");
    expect_malformed(&with(&|bad| bad.positions.extend_from_slice(&[0; 4])), "\"output_positions\" has 24 bytes");
    // Right in form only where nothing starts in the last block.
    expect_malformed(&with(&|bad| bad.set_positions(&positions[..4])), "\"output_positions\" ends with");
    let elements = 32_000;
    for (entries, needle) in [
        ([1, positions[1], positions[2], positions[3], elements], "begins with 1"),
        ([0, positions[2], positions[1], positions[3], elements], "falls from"),
        ([0, positions[1], positions[1], positions[3], elements], "output_positions"),
        ([0, positions[1] + 1, positions[2], positions[3], elements], "gives block 0"),
        ([0, positions[1] - 1, positions[2], positions[3], elements], "gives block 0"),
        ([0, positions[1], positions[2], positions[3], elements - 1], "ends with 31999"),
        ([0, positions[1], positions[2], elements + 1, elements], "falls from"),
        ([0, u32::MAX, u32::MAX, u32::MAX, u32::MAX], "gives block 0 4294967295 elements"),
    ] {
        expect_malformed(&with(&|bad| bad.set_positions(&entries)), needle);
    }
    for (element_count, needle) in [(31_999, "ends with 32000"), (32_001, "ends with 32000"), (0, "0 elements")] {
        expect_malformed(&with(&|bad| bad.sign_mantissa.resize(element_count, 0)), needle);
    }
}

#[test]
fn refuses_tables_that_loop_or_lead_outside() {
    let (good, _) = good();
    let rows = good.luts.len() / 256 - 1;
    let with = |at: usize, value: u8| {
        let mut bad = good.clone();
        bad.luts[at] = value;
        bad
    };
    expect_malformed(&with(0, 240), "points to row 16");
    expect_malformed(&with(0, (256 - rows) as u8), "points to row");
    expect_malformed(&with(0, 7), "leads to exponent 7, which has length 0");
    let used = usize::from(good.luts[0]);
    expect_malformed(&with(256 * rows + used, 0), "length 0");
    expect_malformed(&with(256 * rows + used, 33), "33 bits");
    expect_malformed(&with(256 * rows + 230, 255), "255 bits");
    expect_malformed(&with(256 * rows + used, 17), "luts");
    // One exponent, and entries of length 0 for the other bit: the official kernel would hang in the padding.
    let (mut one, _) = encode_words(&words_of(&[127; 10]));
    one.luts[..128].fill(0);
    expect_malformed(&one, "leads to exponent 0");
    // A pointer that leads to its own row: no code word of the stream may use it.
    let mut circle = good.clone();
    circle.luts[..256].fill(255);
    circle.luts[256..512].fill(255);
    expect_malformed(&circle, "does not decode");
}

#[test]
fn refuses_a_gap_that_the_stream_does_not_have() {
    let (stored, _) = encode_words(&words_of(&runs(&[(121, 160), (120, 13), (122, 5)])));
    assert_eq!(stored.luts[256 + 121], 1);
    let mut bad = stored.clone();
    // Started there, the block has fewer code words.
    bad.gaps[0] |= 0xf8;
    expect_malformed(&bad, "gives block 0 178 elements, but fewer");
    let mut bad = stored;
    bad.gaps[0] |= 0x07;
    bad.gaps[1] |= 0xc0;
    expect_malformed(&bad, "\"gaps\" says 31 for window 1 of block 0");
}

#[test]
fn every_flipped_bit_of_the_index_is_noticed() {
    let words = Random(5).weights(14_000);
    let (stored, _) = encode_words(&words);
    assert_eq!(stored.gaps.len(), 640);
    for bit in 0..8 * stored.gaps.len() {
        let mut bad = stored.clone();
        bad.gaps[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(bad.decode().unwrap_err().status, Status::Malformed, "bit {bit} of gaps");
    }
    for bit in 0..8 * stored.positions.len() {
        let mut bad = stored.clone();
        bad.positions[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(bad.decode().unwrap_err().status, Status::Malformed, "bit {bit} of output_positions");
    }
}

#[test]
fn a_flipped_bit_of_the_stream_is_refused_or_decodes_to_other_weights() {
    let words = Random(9).weights(700);
    let (stored, plan) = encode_words(&words);
    let bits = plan.book.total_bits(&plan.histogram) as usize;
    for bit in 0..8 * stored.stream.len() {
        let mut bad = stored.clone();
        bad.stream[bit / 8] ^= 0x80 >> (bit % 8);
        match bad.decode() {
            Ok(decoded) => assert!((decoded == words) == (bit >= bits), "bit {bit}"),
            Err(error) => assert!(error.status == Status::Malformed && bit < bits, "bit {bit}: {error}"),
        }
    }
}

/// If a damaged unit decodes, then to what its tables and stream say.
fn expect_honest(bad: &Stored) -> Result<(), TestCaseError> {
    match bad.decode() {
        Ok(words) => {
            let exponents = reference::decode(&bad.luts, &bad.stream, bad.sign_mantissa.len());
            prop_assert!(exponents_of(&words) == exponents);
        }
        Err(error) => prop_assert_eq!(error.status, Status::Malformed, "{}", error),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_units_never_crash(
        seed in any::<u64>(),
        damage in prop::collection::vec((0..5_usize, any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (mut bad, _) = encode_words(&Random(seed % 8).weights(1 + (seed % 3000) as usize));
        for (field, at, value) in damage {
            let fields =
                [&mut bad.luts, &mut bad.stream, &mut bad.positions, &mut bad.gaps, &mut bad.sign_mantissa];
            let field = &mut *fields[field];
            let at = at.index(field.len());
            field[at] = value;
        }
        expect_honest(&bad)?;
    }

    #[test]
    fn random_tables_never_crash(seed in any::<u64>(), rows in 1..5_usize) {
        let (mut bad, _) = encode_words(&Random(seed % 8).weights(2000));
        let mut random = Random(seed);
        // Few exponents, so that some streams decode; lengths that fit the first row, mostly.
        let exponents = [118, 119, 120, 121, 255];
        bad.luts = (0..256 * rows).map(|_| exponents[(random.next() % if rows > 1 { 5 } else { 4 }) as usize]).collect();
        let lengths = (0..256).map(|_| 1 + (random.next() % if seed % 4 == 0 { 20 } else { 8 }) as u8);
        bad.luts.extend(lengths);
        expect_honest(&bad)?;
        // With an index that fits, as far as there is one.
        bad.gaps.fill(0);
        bad.set_positions(&[0, 1]);
        bad.sign_mantissa.truncate(1);
        bad.stream.truncate(1);
        bad.gaps.truncate(320);
        expect_honest(&bad)?;
    }
}
