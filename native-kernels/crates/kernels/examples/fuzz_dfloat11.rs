//! DFloat11 units, damaged: decoding them is refused or gives weights, the same at any thread count, and never crashes,
//! hangs, writes outside its target or takes more memory than a small multiple of the unit.

mod fuzzing;

use fuzzing::{Folder, Random, fuzz, most_allocated};
use lathe_kernels::files::{ByteRange, Target};
use lathe_kernels::lossless::dfloat11::{UnitFields, decode, encode, measure};
use lathe_kernels::{Context, Status};

/// Bytes around the decoded weights that must stay as they are.
const GUARD: u64 = 64;

fn main() {
    fuzz("dfloat11", |random, folder| {
        let elements = 1 + random.length(90_000);
        let mut unit = stored_unit(random, folder, elements);
        for _ in 0..=random.below(4) {
            let field = random.below(5);
            match random.below(8) {
                0 => unit[0] = random_tables(random),
                1 => {
                    let other = random.below(5);
                    unit.swap(field, other);
                }
                2 => shuffle_rows(random, &mut unit[0]),
                _ => random.damage(&mut unit[field]),
            }
        }
        let elements = if random.one_in(8) { random.length(100_000) } else { unit[2].len() };
        check(folder, &unit, elements as u64)
    });
}

fn fields_of(folder: &Folder, unit: &[Vec<u8>; 5]) -> UnitFields {
    let mut at = 0;
    folder.store("unit", &unit.concat());
    let mut next = |field: &Vec<u8>| {
        let range = ByteRange { path: folder.path("unit"), offset: at, bytes: field.len() as u64 };
        at += field.len() as u64;
        range
    };
    UnitFields {
        luts: next(&unit[0]),
        encoded_exponent: next(&unit[1]),
        sign_mantissa: next(&unit[2]),
        output_positions: next(&unit[3]),
        gaps: next(&unit[4]),
    }
}

/// The five tensors of a unit that decodes.
fn stored_unit(random: &mut Random, folder: &Folder, elements: usize) -> [Vec<u8>; 5] {
    let context = Context::with_threads(1).expect("a thread");
    let (source, plan) = loop {
        let mut words = Vec::with_capacity(2 * elements);
        for symbol in random.symbols(elements) {
            // Of 120 exponents, some of which are unlike as can be.
            words.extend_from_slice(&[random.next() as u8, (symbol % 240) >> 1 | (random.next() as u8 & 0x80)]);
        }
        let source = folder.store("weights", &words);
        match measure(&context, std::slice::from_ref(&source)) {
            Ok(plan) => break (source, plan),
            // Noise needs too many table rows.
            Err(error) if error.status == Status::Unrepresentable => {}
            Err(error) => panic!("{error}"),
        }
    };
    let sizes = [plan.luts_bytes(), plan.stream_bytes, plan.elements, plan.positions_bytes(), plan.gaps_bytes()];
    let empty = sizes.map(|bytes| vec![0; bytes as usize]);
    let fields = fields_of(folder, &empty);
    encode(&context, &[source], &plan, &fields).expect("an encoded unit");
    let mut stored = folder.read("unit");
    sizes.map(|bytes| stored.drain(..bytes as usize).collect())
}

/// Rows of pointers and few exponents, and any lengths.
fn random_tables(random: &mut Random) -> Vec<u8> {
    let rows = 1 + random.below(19);
    let mut luts: Vec<u8> = (0..256 * rows)
        .map(|_| if random.one_in(4) { random.next() as u8 | 0xf0 } else { 120 + random.below(4) as u8 })
        .collect();
    let limit = 1 + random.below(33);
    luts.extend((0..256).map(|_| random.below(limit + 1) as u8));
    luts
}

fn shuffle_rows(random: &mut Random, luts: &mut [u8]) {
    let rows = luts.len() / 256;
    for row in 0..rows {
        let other = random.below(rows);
        if row != other {
            let (low, high) = (row.min(other), row.max(other));
            let (front, back) = luts.split_at_mut(256 * high);
            front[256 * low..256 * low + 256].swap_with_slice(&mut back[..256]);
        }
    }
}

fn check(folder: &Folder, unit: &[Vec<u8>; 5], elements: u64) -> Result<(), String> {
    let fields = fields_of(folder, unit);
    let mut answers = Vec::new();
    for threads in [1, 3] {
        let context = Context::with_threads(threads).map_err(|error| error.to_string())?;
        folder.store("back", &vec![0xa5; (2 * elements + 2 * GUARD) as usize]);
        let range = ByteRange { path: folder.path("back"), offset: GUARD, bytes: 2 * elements };
        let target = Target::write(&[range]).map_err(|error| error.to_string())?;
        let (result, most) = most_allocated(|| decode(&context, &fields, elements, &target));
        let unit_bytes = unit.iter().map(Vec::len).sum::<usize>() + 2 * elements as usize;
        if most > (1 << 20) + 8 * unit_bytes {
            return Err(format!("{most} bytes of memory for a unit of {unit_bytes}"));
        }
        let mut back = folder.read("back");
        let (before, after) = (&back[..GUARD as usize], &back[back.len() - GUARD as usize..]);
        if back.len() as u64 != 2 * elements + 2 * GUARD || before.iter().chain(after).any(|byte| *byte != 0xa5) {
            return Err("bytes outside the target were written".to_owned());
        }
        answers.push(match result {
            Ok(()) => Some(back.split_off(GUARD as usize)),
            Err(error) if error.status == Status::Malformed => None,
            Err(error) => return Err(format!("an unexpected error: {error}")),
        });
    }
    if answers[0] == answers[1] { Ok(()) } else { Err("one and three threads decode differently".to_owned()) }
}
