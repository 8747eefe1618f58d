//! Blocks: published bytes, every backend against the plain one, errors against ggml's searches, and bad input.

use proptest::prelude::*;

use super::ggml_searches::ggml_quantized;
use super::*;
use crate::blocks::{GgmlType, dequantize_reference};
use crate::cpu::Backend;
use crate::error::Status;

/// The formats that are made here.
pub fn block_types() -> impl Iterator<Item = GgmlType> {
    GgmlType::ALL.into_iter().filter(|ggml_type| ggml_type.block_elements() > 1)
}

pub fn options(ggml_type: GgmlType, columns: usize, importance: Option<&[f32]>) -> BlockOptions<'_> {
    BlockOptions { ggml_type, columns, importance, emphasis: Emphasis::None }
}

pub fn bytes_for(ggml_type: GgmlType, weights: usize) -> usize {
    weights / ggml_type.block_elements() as usize * ggml_type.block_bytes() as usize
}

fn quantized(options: &BlockOptions<'_>, weights: &[f32]) -> Vec<u8> {
    let mut out = vec![0; bytes_for(options.ggml_type, weights.len())];
    quantize_blocks(Backend::Scalar, options, 0, weights, &mut out).unwrap();
    out
}

fn decoded(ggml_type: GgmlType, bytes: &[u8]) -> Vec<f32> {
    let mut out = vec![0.0; bytes.len() / ggml_type.block_bytes() as usize * ggml_type.block_elements() as usize];
    dequantize_reference(ggml_type, bytes, &mut out);
    out
}

/// Deterministic, of mean 0; every 97th is an outlier.
pub fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let mut gauss = || (0..12).map(|_| uniform()).sum::<f32>() - 6.0;
    (0..count).map(|i| gauss() * if i % 97 == 5 { 0.3 } else { 0.02 }).collect()
}

fn importance_of(columns: usize, seed: u64) -> Vec<f32> {
    noise(columns, seed).iter().map(|x| (60.0 * x).clamp(-4.0, 4.0).exp()).collect()
}

fn weighted_error(weights: &[f32], found: &[f32], counts: impl Fn(usize) -> f64) -> f64 {
    weights.iter().zip(found).enumerate().map(|(i, (a, b))| counts(i) * f64::from(a - b).powi(2)).sum()
}

/// 32 weights, zeros but for these.
fn sparse(values: &[(usize, f32)]) -> Vec<f32> {
    let mut weights = vec![0.0; 32];
    values.iter().for_each(|(place, weight)| weights[*place] = *weight);
    weights
}

#[test]
fn plain_rounding_gives_the_published_bytes() {
    let q8: Vec<(usize, f32)> =
        [127.0, -127.0, 1.0, -1.0, 64.0, -64.0, 3.0, 100.0].map(|q| q * 0.0625).into_iter().enumerate().collect();
    let q4 = [(0, -2.0), (1, 1.75), (2, 0.25), (3, -0.25), (16, 0.5), (17, -0.5), (18, 1.0), (19, 0.1)];
    let mut negative = q4;
    negative[0].1 = 2.0;
    /// First bytes, a byte so many times, last bytes.
    type Expected<'a> = (&'a [u8], (u8, usize), &'a [u8]);
    let cases: [(GgmlType, Vec<f32>, Expected<'_>); 6] = [
        (GgmlType::Q8_0, sparse(&q8), (&[0, 0x2c, 0x7f, 0x81, 1, 0xff, 0x40, 0xc0, 3, 0x64], (0, 24), &[])),
        (GgmlType::Q4_0, sparse(&q4), (&[0, 0x34, 0xa0, 0x6f, 0xc9, 0x87], (0x88, 12), &[])),
        (GgmlType::Q4_0, sparse(&negative), (&[0, 0xb4, 0x60, 0xa1, 0x47, 0x89], (0x88, 12), &[])),
        (
            GgmlType::Q4_1,
            sparse(&[(0, -1.0), (1, 2.75), (3, 0.25), (16, 0.5), (31, 2.0)]),
            (&[0, 0x34, 0, 0xbc, 0x60, 0x4f, 0x44, 0x45], (0x44, 11), &[0xc4]),
        ),
        (
            GgmlType::Q5_0,
            sparse(&[(0, -4.0), (1, 3.75), (2, 0.25), (16, 1.0), (31, -2.0)]),
            (&[0, 0x34, 0xfe, 0xff, 0xff, 0x7f, 0x40, 0x0f, 1], (0, 12), &[0x80]),
        ),
        (
            GgmlType::Q5_1,
            sparse(&[(0, -1.0), (1, 6.75), (2, 0.25), (16, 1.0), (31, 3.0)]),
            (&[0, 0x34, 0, 0xbc, 2, 0, 0, 0x80, 0x80, 0x4f, 0x45], (0x44, 12), &[0x04]),
        ),
    ];
    for (ggml_type, weights, (head, (byte, count), tail)) in cases {
        let expected = [head, &vec![byte; count], tail].concat();
        assert_eq!(quantized(&options(ggml_type, 32, None), &weights), expected, "{}", ggml_type.name());
    }
}

#[test]
fn blocks_of_zeros_are_the_reference_bytes_or_decode_to_zeros() {
    let zeros = |ggml_type: GgmlType| vec![0.0; ggml_type.block_elements() as usize];
    for (ggml_type, expected) in [
        (GgmlType::Q4_0, [vec![0, 0x80], vec![0x88; 16]].concat()),
        (GgmlType::Q5_0, [vec![0, 0x80, 255, 255, 255, 255], vec![0; 16]].concat()),
        (GgmlType::Q4_1, vec![0; 20]),
        (GgmlType::Q5_1, vec![0; 24]),
        (GgmlType::Q8_0, vec![0; 34]),
    ] {
        assert_eq!(quantized(&options(ggml_type, 32, None), &zeros(ggml_type)), expected, "{}", ggml_type.name());
    }
    for ggml_type in block_types() {
        let (weights, ones) = (zeros(ggml_type), zeros(ggml_type));
        for importance in [None, Some(&ones[..])] {
            let bytes = quantized(&options(ggml_type, weights.len(), importance), &weights);
            assert!(decoded(ggml_type, &bytes).iter().all(|weight| *weight == 0.0), "{}", ggml_type.name());
        }
    }
}

/// Steps between codes across the plain range, and the greatest loss that packing 6-bit or 4-bit scales may add to half a
/// step.
fn steps_of(ggml_type: GgmlType) -> f32 {
    match ggml_type {
        GgmlType::Q8_0 => 254.0,
        GgmlType::Q6K => 62.0,
        GgmlType::Q5_0 | GgmlType::Q5_1 | GgmlType::Q5K => 30.0,
        GgmlType::Q4_0 | GgmlType::Q4_1 | GgmlType::Q4K | GgmlType::Iq4Nl | GgmlType::Iq4Xs => 14.0,
        GgmlType::Q3K => 6.0,
        _ => 3.0,
    }
}

#[test]
fn constant_blocks_and_single_outliers_keep_their_size() {
    for ggml_type in block_types() {
        let elements = ggml_type.block_elements() as usize;
        // 1e-4 / 127 is a subnormal half, as many scales of small models are; its steps are 2^-24.
        for size in [1.0, -1.0, 0.017, -3.0e-4, 1e-4, 900.0, -65504.0] {
            let constant = vec![size; elements];
            let mut outlier = vec![0.0; elements];
            outlier[elements - 7] = size;
            let ones = vec![1.0; elements];
            for (weights, importance) in
                [(&constant, None), (&constant, Some(&ones[..])), (&outlier, None), (&outlier, Some(&ones[..]))]
            {
                let bytes = quantized(&options(ggml_type, elements, importance), weights);
                let found = decoded(ggml_type, &bytes);
                // Half a step of the range, or half a step of a subnormal half times the largest product of codes.
                let bound = size.abs() * (0.5 / steps_of(ggml_type) + 2e-3) + 128.0 * 32.0 * 2.0_f32.powi(-25);
                for (weight, found) in weights.iter().zip(&found) {
                    let error = (weight - found).abs();
                    assert!(error <= bound, "{} {size}: {found} for {weight}", ggml_type.name());
                }
            }
        }
    }
}

#[test]
fn every_backend_gives_the_bytes_of_the_plain_one() {
    for ggml_type in block_types() {
        let elements = ggml_type.block_elements() as usize;
        for blocks in [1, 2, 3, 8, 15, 16, 17, 33] {
            let mut weights = noise(blocks * elements, blocks as u64);
            for (i, weight) in weights.iter_mut().enumerate() {
                match i % 4001 {
                    17 => *weight = -0.0,
                    18 => *weight = 1e-40,
                    19 => *weight *= 1e-6,
                    _ => {}
                }
            }
            weights[..elements / 2].fill(0.25);
            let importance = importance_of(blocks * elements, 3);
            for (importance, emphasis) in [
                (None, Emphasis::None),
                (Some(&importance[..]), Emphasis::None),
                (Some(&importance[..]), Emphasis::Magnitude { spread: 2.0 }),
            ] {
                let options = BlockOptions { ggml_type, columns: weights.len(), importance, emphasis };
                let expected = quantized(&options, &weights);
                for backend in Backend::available() {
                    let mut found = vec![0; expected.len()];
                    quantize_blocks(backend, &options, 0, &weights, &mut found).unwrap();
                    let first = found.iter().zip(&expected).position(|(a, b)| a != b);
                    assert_eq!(first, None, "{} {} {blocks} blocks", ggml_type.name(), backend.name());
                }
            }
        }
    }
}

#[test]
fn rows_cut_anywhere_give_the_bytes_of_the_whole() {
    for ggml_type in block_types() {
        let elements = ggml_type.block_elements() as usize;
        let columns = 3 * elements;
        let (weights, importance) = (noise(7 * columns, 5), importance_of(columns, 6));
        let options = options(ggml_type, columns, Some(&importance));
        let whole = quantized(&options, &weights);
        let mut pieces = Vec::new();
        let mut first = 0;
        for blocks in [1, 5, 4, 11] {
            let piece = &weights[first..first + blocks * elements];
            let mut out = vec![0; bytes_for(ggml_type, piece.len())];
            quantize_blocks(Backend::best(), &options, first as u64, piece, &mut out).unwrap();
            pieces.extend(out);
            first += piece.len();
        }
        assert!(pieces == whole, "{}", ggml_type.name());
    }
}

#[test]
fn the_search_errs_no_more_than_ggmls() {
    for ggml_type in block_types().filter(|ggml_type| *ggml_type != GgmlType::Q8_0) {
        let columns = 1024;
        let (weights, importance) = (noise(16 * columns, 11), importance_of(columns, 12));
        for importance in [None, Some(&importance[..])] {
            if importance.is_none() && ggml_type.block_elements() == 32 && ggml_type != GgmlType::Iq4Nl {
                continue; // Plain rounding, the same bytes.
            }
            let theirs: Vec<f32> =
                weights.chunks_exact(columns).flat_map(|row| ggml_quantized(ggml_type, row, importance)).collect();
            let counts = |i: usize| f64::from(importance.map_or(1.0, |all| all[i % columns]));
            let ours = decoded(ggml_type, &quantized(&options(ggml_type, columns, importance), &weights));
            let (ours, theirs) = (weighted_error(&weights, &ours, counts), weighted_error(&weights, &theirs, counts));
            assert!(ours < theirs, "{} {}: {ours} {theirs}", ggml_type.name(), importance.is_some());
        }
    }
}

#[test]
fn importance_moves_the_error_to_where_it_matters_less() {
    let importance: Vec<f32> = (0..256).map(|column| if column % 2 == 0 { 1.0 } else { 0.01 }).collect();
    let weights = noise(64 * 256, 21);
    let even = |i: usize| if i.is_multiple_of(2) { 1.0 } else { 0.0 };
    for ggml_type in block_types().filter(|ggml_type| *ggml_type != GgmlType::Q8_0) {
        let with = decoded(ggml_type, &quantized(&options(ggml_type, 256, Some(&importance)), &weights));
        let without = decoded(ggml_type, &quantized(&options(ggml_type, 256, None), &weights));
        let (with, without) = (weighted_error(&weights, &with, even), weighted_error(&weights, &without, even));
        assert!(with < without, "{}: {with} {without}", ggml_type.name());
    }
}

#[test]
fn emphasis_lowers_the_emphasised_error() {
    let weights = noise(64 * 256, 22);
    for ggml_type in block_types().filter(|ggml_type| ggml_type.block_elements() == 256) {
        let measure = |emphasis| {
            let options = BlockOptions { emphasis, ..options(ggml_type, 256, None) };
            let found = decoded(ggml_type, &quantized(&options, &weights));
            weighted_error(&weights, &found, |i| {
                let block = &weights[i / 256 * 256..][..256];
                let square = block.iter().map(|x| f64::from(x * x)).sum::<f64>() / 256.0;
                (square + f64::from(weights[i]).powi(2)).sqrt()
            })
        };
        let (with, without) = (measure(Emphasis::Magnitude { spread: 1.0 }), measure(Emphasis::None));
        assert!(with < without, "{}: {with} {without}", ggml_type.name());
    }
}

#[test]
fn an_importance_of_nothing_but_zeros_counts_as_none() {
    let (zeros, ones) = (vec![0.0; 256], vec![1.0; 256]);
    let weights = noise(4 * 256, 23);
    for ggml_type in block_types() {
        let with = |importance| quantized(&options(ggml_type, 256, Some(importance)), &weights);
        assert!(with(&zeros) == with(&ones), "{}", ggml_type.name());
    }
}

#[test]
fn refuses_what_no_block_can_hold_and_says_where() {
    let mut weights = noise(2048, 31);
    let mut out = vec![0; bytes_for(GgmlType::Q4K, 2048)];
    let with = |weights: &[f32], options: &BlockOptions<'_>, out: &mut [u8]| {
        quantize_blocks(Backend::best(), options, 4096, weights, out).unwrap_err()
    };
    let q4k = options(GgmlType::Q4K, 1024, None);
    for (bad, status) in [
        (f32::NAN, Status::NotFinite),
        (f32::INFINITY, Status::NotFinite),
        (f32::NEG_INFINITY, Status::NotFinite),
        (65_505.0, Status::Unrepresentable),
    ] {
        weights[1234] = bad;
        let error = with(&weights, &q4k, &mut out);
        assert_eq!(error.status, status);
        assert!(error.what.starts_with(&format!("weight 5330 is {bad}")), "{}", error.what);
    }
    let error = with(&weights[..1000], &q4k, &mut out);
    assert_eq!(error.status, Status::BadArgument);
    let error = with(&weights[..1024], &q4k, &mut out);
    assert_eq!(error.status, Status::BadArgument);
    let short = vec![1.0; 1023];
    let with_nan = vec![f32::NAN; 1024];
    let negative = vec![-1.0; 1024];
    for (options, status) in [
        (options(GgmlType::Q4K, 1000, None), Status::BadArgument),
        (options(GgmlType::Q8_0, 33, None), Status::BadArgument),
        (options(GgmlType::Q8_0, 0, None), Status::BadArgument),
        (options(GgmlType::F16, 32, None), Status::BadArgument),
        (options(GgmlType::Q4K, 1024, Some(&short)), Status::BadArgument),
        (options(GgmlType::Q4K, 1024, Some(&with_nan)), Status::NotFinite),
        (options(GgmlType::Q4K, 1024, Some(&negative)), Status::NotFinite),
    ] {
        assert_eq!(options.check_blocks().unwrap_err().status, status);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Plain rounding finds its grid again. A search may end on another one: at two bits, with outliers, its loss was seen to
    /// reach 1.2 times the first one's.
    #[test]
    fn quantizing_again_adds_errors_of_the_first_times_size_at_most(seed in any::<u64>(), kind in 0_usize..12, scale in -12_i32..3) {
        let ggml_type = block_types().nth(kind).unwrap();
        let weights: Vec<f32> = noise(512, seed).iter().map(|x| x * 2.0_f32.powi(scale)).collect();
        let ones = vec![1.0; 512];
        for importance in [None, Some(&ones[..])] {
            let options = options(ggml_type, 512, importance);
            let once = decoded(ggml_type, &quantized(&options, &weights));
            let twice = decoded(ggml_type, &quantized(&options, &once));
            let first = weighted_error(&weights, &once, |_| 1.0);
            let second = weighted_error(&once, &twice, |_| 1.0);
            // Subnormal scales have steps of 2^-24: half of one, times the greatest codes, is lost at every turn.
            let least = 512.0 * (2.0_f64.powi(-25) * 127.0).powi(2);
            let is_plain = ggml_type == GgmlType::Q8_0 || importance.is_none() && kind < 5;
            let share = if is_plain { 1e-5 } else { 2.0 };
            prop_assert!(second <= share * first + least, "{}: {second} after {first}", ggml_type.name());
        }
    }

    #[test]
    fn errors_stay_within_half_a_step(seed in any::<u64>(), scale in -6_i32..6) {
        for ggml_type in [GgmlType::Q8_0, GgmlType::Q4_0, GgmlType::Q4_1, GgmlType::Q5_0, GgmlType::Q5_1] {
            let weights: Vec<f32> = noise(512, seed).iter().map(|x| x * 2.0_f32.powi(scale)).collect();
            let found = decoded(ggml_type, &quantized(&options(ggml_type, 512, None), &weights));
            for (block, found) in weights.chunks_exact(32).zip(found.chunks_exact(32)) {
                let largest = block.iter().fold(0.0_f32, |a, b| a.max(b.abs()));
                let low = block.iter().copied().fold(f32::INFINITY, f32::min);
                let high = block.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                // Q4_0 and Q5_0 clip the far end to a whole step.
                let step = match ggml_type {
                    GgmlType::Q8_0 => largest / 127.0 / 2.0,
                    GgmlType::Q4_0 => largest / 8.0,
                    GgmlType::Q5_0 => largest / 16.0,
                    GgmlType::Q4_1 => (high - low) / 15.0 / 2.0,
                    _ => (high - low) / 31.0 / 2.0,
                };
                // Halves round d by 2^-11, times codes up to the range, twice the largest; a minimum by as much of itself.
                let bound = step + 3.0 * largest * 2.0_f32.powi(-11) + 127.0 * 2.0_f32.powi(-25);
                for (weight, found) in block.iter().zip(found) {
                    prop_assert!((weight - found).abs() <= bound, "{} {weight} {found}", ggml_type.name());
                }
            }
        }
    }
}
