//! Published vectors, every backend against the reference, and tiles against plain index arithmetic.

use std::path::PathBuf;

use super::block_layouts::half;
use super::*;
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::Status;
use crate::files::{ByteRange, Target};

/// Bytes from hexadecimal digits; spaces are left out, `xx*n` is repeated.
fn hex(text: &str) -> Vec<u8> {
    let digits = |word: &str| -> Vec<u8> {
        (0..word.len()).step_by(2).map(|at| u8::from_str_radix(&word[at..at + 2], 16).unwrap()).collect()
    };
    let words = text.split_whitespace().map(|word| match word.split_once('*') {
        Some((word, count)) => digits(word).repeat(count.parse().unwrap()),
        None => digits(word),
    });
    words.flatten().collect()
}

fn decode(ggml_type: GgmlType, bytes: &[u8]) -> Vec<f32> {
    assert_eq!(bytes.len() as u64 % ggml_type.block_bytes(), 0, "{}", bytes.len());
    let mut out = vec![0.0; (bytes.len() as u64 / ggml_type.block_bytes() * ggml_type.block_elements()) as usize];
    dequantize_reference(ggml_type, bytes, &mut out);
    out
}

fn assert_weights(found: &[f32], expected: &[(usize, f32)]) {
    for (index, weight) in expected {
        assert_eq!(found[*index].to_bits(), weight.to_bits(), "weight {index}: {} {weight}", found[*index]);
    }
}

/// `q[i] = (i + i / 32) mod levels`, the codes of the K vectors.
fn code(i: usize, levels: usize) -> u8 {
    ((i + i / 32) % levels) as u8
}

#[test]
fn small_blocks_decode_to_their_vectors() {
    let found = decode(GgmlType::Q8_0, &hex("002c 7f8101ff40c00364 00*24"));
    assert_weights(
        &found,
        &[127.0, -127.0, 1.0, -1.0, 64.0, -64.0, 3.0, 100.0, 0.0]
            .map(|q| q * 0.0625)
            .into_iter()
            .enumerate()
            .collect::<Vec<_>>(),
    );
    let found = decode(GgmlType::Q4_0, &hex("0034 a06fc987 88*12"));
    assert_weights(&found, &[(0, -2.0), (1, 1.75), (2, 0.25), (3, -0.25), (16, 0.5), (17, -0.5), (18, 1.0), (19, 0.0)]);
    let found = decode(GgmlType::Q4_0, &hex("00b4 60a14789 88*12"));
    assert_weights(&found, &[(0, 2.0), (1, 1.75), (2, 0.25), (3, -0.25), (16, 0.5), (17, -0.5), (18, 1.0), (19, -0.0)]);
    let found = decode(GgmlType::Q4_1, &hex("0034 00bc 604f4445 44*11 c4"));
    assert_weights(&found, &[(0, -1.0), (1, 2.75), (2, 0.0), (3, 0.25), (16, 0.5), (31, 2.0)]);
    let found = decode(GgmlType::Q5_0, &hex("0034 feffff7f 400f0100 00*11 80"));
    assert_weights(&found, &[(0, -4.0), (1, 3.75), (2, 0.25), (3, 0.0), (16, 1.0), (31, -2.0)]);
    let found = decode(GgmlType::Q5_1, &hex("0034 00bc 02000080 804f4544 44*11 04"));
    assert_weights(&found, &[(0, -1.0), (1, 6.75), (2, 0.25), (16, 1.0), (31, 3.0), (3, 0.0)]);
    let found = decode(GgmlType::Iq4Nl, &hex("0038 f0e1d2c3b4a5968778695a4b3c2d1e0f"));
    assert_weights(&found, &[(0, -63.5), (1, -52.0), (8, 0.5), (15, 56.5), (16, 56.5), (31, -63.5)]);
}

#[test]
fn zero_blocks_decode_to_zeros() {
    for (ggml_type, bytes) in [
        (GgmlType::Q4_0, "0080 88*16"),
        (GgmlType::Q5_0, "0080 ffffffff 00*16"),
        (GgmlType::Q4_1, "00*20"),
        (GgmlType::Q8_0, "00*34"),
    ] {
        assert!(decode(ggml_type, &hex(bytes)).iter().all(|weight| *weight == 0.0), "{}", ggml_type.name());
    }
}

#[test]
fn blocks_with_scales_and_minimums_decode_to_their_vectors() {
    let head = "0038 0034 81c2c34440 81c2c3 11223ff0";
    let pairs = |levels: usize| {
        (0..128).map(move |byte| {
            let i = byte / 32 * 64 + byte % 32;
            (code(i, levels) & 15) | (code(i + 32, levels) << 4)
        })
    };
    let q4k: Vec<u8> = hex(head).into_iter().chain(pairs(16)).collect();
    assert_eq!(q4k[16..20], hex("10213243"));
    assert_eq!((&q4k[48..52], &q4k[112..116]), (&hex("32435465")[..], &hex("768798a9")[..]));
    let expected = [(0, 0.0), (1, 0.5), (31, 7.5), (32, 0.75), (33, 1.75), (128, 61.75), (160, 116.5), (255, 32.25)];
    assert_weights(&decode(GgmlType::Q4K, &q4k), &expected);

    let fifth = (0..32).map(|l| (0..8).fold(0, |byte, j| byte | (code(j * 32 + l, 32) >> 4) << j));
    let q5k: Vec<u8> = hex(head).into_iter().chain(fifth).chain(pairs(32)).collect();
    assert_eq!(
        (&q5k[16..20], &q5k[30..34], &q5k[44..48]),
        (&hex("00000000")[..], &hex("fcfeffff")[..], &hex("0f070301")[..])
    );
    let expected = [(0, 0.0), (16, 8.0), (31, 15.5), (32, 0.75), (128, 61.75), (160, 116.5), (255, 32.25)];
    assert_weights(&decode(GgmlType::Q5K, &q5k), &expected);
}

#[test]
fn q6k_decodes_to_its_vector() {
    let q = |i: usize| (7 * i % 64) as u8;
    let ql = (0..128).map(|byte| {
        let i = byte / 64 * 128 + byte % 64;
        (q(i) & 15) | ((q(i + 64) & 15) << 4)
    });
    let qh = (0..64).map(|byte| {
        let i = byte / 32 * 128 + byte % 32;
        (0..4).fold(0, |high, j| high | (q(i + 32 * j) >> 4) << (2 * j))
    });
    let tail = hex("80 01020304050607 f8 090a0b0c0d0e 7f 0030");
    let block: Vec<u8> = ql.chain(qh).chain(tail).collect();
    assert_eq!(
        (&block[..4], &block[32..36], &block[128..132]),
        (&hex("0077ee55")[..], &hex("0077ee55")[..], &hex("888888dd")[..])
    );
    let expected = [(0, 512.0), (1, 400.0), (64, -16.0), (128, 32.0), (255, 396.875)];
    assert_weights(&decode(GgmlType::Q6K, &block), &expected);
}

#[test]
fn q2k_and_q3k_unpack_their_scales() {
    // d = 1, dmin = 0, all codes 1: the weights are the scales themselves; then dmin = 1 and codes 0: the minimums.
    let scales = hex("f0e1d2c3b4a5968778695a4b3c2d1e0f");
    let block = |codes: &str, tail: &str| [scales.clone(), hex(codes), hex(tail)].concat();
    let found = decode(GgmlType::Q2K, &block("55*64", "003c 0000"));
    let minimums = decode(GgmlType::Q2K, &block("00*64", "003c 003c"));
    for i in 0..256 {
        assert_eq!((found[i], minimums[i]), ((i / 16) as f32, (i / 16) as f32 - 15.0), "{i}");
    }
    let mut q3k = hex("ff*32 55*64");
    q3k.extend(hex("506f7f8071625344686b696a 003c"));
    let expected = [-32, 31, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, -9, -10, -11, -12];
    for (i, weight) in decode(GgmlType::Q3K, &q3k).into_iter().enumerate() {
        assert_eq!(weight, expected[i / 16] as f32, "{i}");
    }
    // Without the third bit, codes are four less.
    q3k[..32].fill(0);
    assert_eq!(decode(GgmlType::Q3K, &q3k)[16], 31.0 * -3.0);
    // Codes 0, 1, 2, 3 of the four quarters.
    let found = decode(GgmlType::Q2K, &block("e4*64", "003c 0000"));
    assert_eq!([found[16], found[48], found[80], found[112]], [0.0, 3.0, 10.0, 21.0]);
}

#[test]
fn iq4_xs_decodes_to_its_vector() {
    let qs = (0..128).map(|byte| {
        let i = byte / 16 * 32 + byte % 16;
        code(i, 16) | code(i + 16, 16) << 4
    });
    let block: Vec<u8> = hex("0038 6c62 f0f11018").into_iter().chain(qs).collect();
    assert_eq!((&block[8..12], &block[24..28]), (&hex("00112233")[..], &hex("11223344")[..]));
    let expected =
        [(0, 2032.0), (31, -1808.0), (32, -1612.0), (64, -41.5), (96, 32.5), (128, -0.0), (160, 542.5), (255, 165.0)];
    assert_weights(&decode(GgmlType::Iq4Xs, &block), &expected);
}

#[test]
fn every_half_has_its_value() {
    for word in 0..=u16::MAX {
        let (field, mantissa) = (i32::from((word >> 10) & 31), f64::from(word & 1023) / 1024.0);
        let sign = if word >> 15 == 0 { 1.0 } else { -1.0 };
        let expected = match field {
            31 if mantissa == 0.0 => sign * f64::INFINITY,
            31 => f64::NAN,
            0 => sign * mantissa * 2_f64.powi(-14),
            _ => sign * (1.0 + mantissa) * 2_f64.powi(field - 15),
        };
        let found = f64::from(half(word.to_le_bytes()));
        assert!(found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan()), "{word:04x}: {found}");
    }
}

/// Bytes that look random; every sixteenth block has a scale of zeros or ones, so infinities and NaN come up too.
fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes: Vec<u8> = (0..count).map(|_| (next() >> 40) as u8).collect();
    for chunk in bytes.chunks_mut(256).step_by(16) {
        let fill = [0x00, 0xff, 0x7c][(next() % 3) as usize];
        let middle = chunk.len() / 2;
        chunk[..middle].fill(fill);
    }
    bytes
}

#[test]
fn every_backend_gives_the_bits_of_the_reference() {
    for ggml_type in GgmlType::ALL {
        let (elements, size) = (ggml_type.block_elements() as usize, ggml_type.block_bytes() as usize);
        for blocks in [0, 1, 2, 3, 5, 7, 8, 9, 31, 64, 257, 1009] {
            // Blocks begin at any byte.
            for shift in [0, 1, 3] {
                let bytes = &noise(blocks * size + shift, 977 + blocks as u64)[shift..];
                let mut expected = vec![0.0; blocks * elements];
                dequantize_reference(ggml_type, bytes, &mut expected);
                for backend in Backend::available() {
                    let mut found = vec![1.0_f32; expected.len()];
                    dequantize(backend, ggml_type, bytes, &mut found);
                    let differs = |(a, b): (&f32, &f32)| a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan());
                    let first = found.iter().zip(&expected).position(differs);
                    assert_eq!(first, None, "{} {} {blocks} blocks", ggml_type.name(), backend.name());
                }
            }
        }
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lathe-blocks-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A file with this tensor's blocks, some bytes in.
    fn store(&self, bytes: &[u8]) -> ByteRange {
        let path = self.0.join("blocks");
        std::fs::write(&path, [&[7; 13], bytes].concat()).unwrap();
        ByteRange { path, offset: 13, bytes: bytes.len() as u64 }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where weight `column` of row `row` goes.
fn place(order: RowOrder, rows: u64, columns: u64, row: u64, column: u64) -> u64 {
    match order {
        RowOrder::Stored => row * columns + column,
        RowOrder::Transposed => column * rows + row,
        RowOrder::EvenThenOdd { heads } => {
            let size = rows / heads;
            (row / size * size + row % 2 * (size / 2) + row % size / 2) * columns + column
        }
    }
}

/// Finite blocks: random codes under scales of ordinary size.
fn finite_blocks(ggml_type: GgmlType, blocks: usize) -> Vec<u8> {
    let size = ggml_type.block_bytes() as usize;
    let mut bytes: Vec<u8> =
        (0..blocks * size).map(|i| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[6]).collect();
    for block in bytes.chunks_exact_mut(size) {
        match ggml_type {
            GgmlType::F32 => block[3] = 0x3d,
            GgmlType::F16 | GgmlType::Bf16 => block[1] = 0x2d,
            GgmlType::Q6K => block[209] = 0x2d,
            GgmlType::Q3K => block[109] = 0x2d,
            GgmlType::Q2K => (block[81], block[83]) = (0x2d, 0x2c),
            GgmlType::Q4_1 | GgmlType::Q5_1 | GgmlType::Q4K | GgmlType::Q5K => (block[1], block[3]) = (0x2d, 0x2c),
            _ => block[1] = 0x2d,
        }
    }
    bytes
}

#[test]
fn tiles_put_every_weight_in_its_place() {
    let folder = Folder::new("places");
    let shapes: [(GgmlType, u64, u64); 6] = [
        (GgmlType::F32, 48, 1),
        (GgmlType::Bf16, 72, 7),
        (GgmlType::Q8_0, 96, 1056),
        (GgmlType::Q4_0, 4, 96 * 1024),
        (GgmlType::Q6K, 1440, 256),
        (GgmlType::F16, 1030, 1030),
    ];
    for (ggml_type, rows, columns) in shapes {
        let blocks = rows * columns / ggml_type.block_elements();
        let bytes = finite_blocks(ggml_type, blocks as usize);
        let source = folder.store(&bytes);
        let stored = decode(ggml_type, &bytes);
        for order in [
            RowOrder::Stored,
            RowOrder::Transposed,
            RowOrder::EvenThenOdd { heads: 1 },
            RowOrder::EvenThenOdd { heads: 2 },
            RowOrder::EvenThenOdd { heads: rows / 2 },
        ] {
            if matches!(order, RowOrder::EvenThenOdd { heads } if !(rows / heads).is_multiple_of(2) || rows % heads != 0)
            {
                continue;
            }
            let mut expected = vec![0.0_f32; stored.len()];
            for row in 0..rows {
                for column in 0..columns {
                    expected[place(order, rows, columns, row, column) as usize] =
                        stored[(row * columns + column) as usize] + 0.5;
                }
            }
            let tensor = GgmlTensor { source: source.clone(), ggml_type, columns, order, add: 0.5 };
            let mut figures = Vec::new();
            for threads in [1, 3] {
                let context = Context::with_threads(threads).unwrap();
                let mut found = vec![0.0_f32; expected.len()];
                dequantize_to_memory(&context, &tensor, &mut found).unwrap();
                let first = found.iter().zip(&expected).position(|(a, b)| a != b);
                assert_eq!(
                    first.map(|i| (i, found[i], expected[i])),
                    None,
                    "{} {rows} x {columns} {order:?}",
                    ggml_type.name()
                );
                assert_eq!(context.control.done_bytes(), bytes.len() as u64);
                let range = ByteRange { path: folder.0.join("weights"), offset: 5, bytes: 4 * expected.len() as u64 };
                let _ = std::fs::remove_file(&range.path);
                let target = Target::write(std::slice::from_ref(&range)).unwrap();
                figures.push(convert(&context, &tensor, FloatType::F32, &target).unwrap());
                let written = std::fs::read(&range.path).unwrap();
                let words = written[5..].as_chunks::<4>().0.iter().map(|word| f32::from_le_bytes(*word));
                assert!(words.eq(expected.iter().copied()), "{} {rows} x {columns} {order:?}", ggml_type.name());
                let target = Target::compare(std::slice::from_ref(&range)).unwrap();
                convert(&context, &tensor, FloatType::F32, &target).unwrap();
                let compared = compare(&context, &tensor, FloatType::F32, &range).unwrap();
                assert_eq!((compared.max_abs_error, compared.squares), (0.0, figures[0].squares));
                let moved = GgmlTensor { add: 0.25, ..tensor.clone() };
                let compared = compare(&context, &moved, FloatType::F32, &range).unwrap();
                assert!((0.249..0.251).contains(&compared.max_abs_error), "{}", compared.max_abs_error);
            }
            assert_eq!(figures[0], figures[1]);
            let max = expected.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!((figures[0].max, figures[0].max_abs_error), (f64::from(max), 0.0));
        }
    }
}

#[test]
fn refuses_weights_that_are_no_numbers_and_sizes_that_do_not_fit() {
    let folder = Folder::new("refusals");
    let context = Context::with_threads(2).unwrap();
    let mut bytes = finite_blocks(GgmlType::Q8_0, 4);
    bytes[34 + 1] = 0x7c; // The second block's scale: an infinity.
    bytes[34] = 0;
    bytes[34 + 2] = 1;
    let tensor = |bytes: &[u8], columns, order| GgmlTensor {
        source: folder.store(bytes),
        ggml_type: GgmlType::Q8_0,
        columns,
        order,
        add: 0.0,
    };
    let mut out = [0.0; 128];
    let error = dequantize_to_memory(&context, &tensor(&bytes, 64, RowOrder::Stored), &mut out).unwrap_err();
    assert_eq!((error.status, error.what.as_str()), (Status::NotFinite, "weight 32 is inf"));
    let figures = convert(&context, &tensor(&bytes, 64, RowOrder::Stored), FloatType::F32, &Target::Discard(512));
    assert!(figures.unwrap().infinities > 0);

    let bytes = finite_blocks(GgmlType::Q8_0, 4);
    for (bytes, columns, order, room) in [
        (&bytes[..135], 64, RowOrder::Stored, 128),
        (&bytes[..], 64, RowOrder::Stored, 127),
        (&bytes[..], 48, RowOrder::Transposed, 128),
        (&bytes[..], 96, RowOrder::Transposed, 128),
        (&bytes[..], 0, RowOrder::Transposed, 128),
        (&bytes[..], 64, RowOrder::EvenThenOdd { heads: 2 }, 128),
        (&bytes[..], 64, RowOrder::EvenThenOdd { heads: 0 }, 128),
    ] {
        let error = dequantize_to_memory(&context, &tensor(bytes, columns, order), &mut out[..room]).unwrap_err();
        assert_eq!(error.status, Status::BadArgument, "{order:?} {columns}");
        let target = Target::Discard(room as u64 * 4);
        let error = convert(&context, &tensor(bytes, columns, order), FloatType::F32, &target).unwrap_err();
        assert_eq!(error.status, Status::BadArgument, "{order:?} {columns}");
    }
    let cancelled = Context::with_threads(2).unwrap();
    cancelled.control.cancel();
    let error = dequantize_to_memory(&cancelled, &tensor(&bytes, 64, RowOrder::Stored), &mut out).unwrap_err();
    assert_eq!(error.status, Status::Cancelled);
    let empty = tensor(&[], 0, RowOrder::Transposed);
    dequantize_to_memory(&context, &empty, &mut []).unwrap();
}
