//! Groups of integers: rules by hand, backends against the plain one, bounds, searches and bad input.

use proptest::prelude::*;

use super::quantized_block_tests::noise;
use super::*;
use crate::blocks::round_floats::FloatType;
use crate::cpu::Backend;
use crate::error::Status;

const RULES: [ScaleRule; 5] = [
    ScaleRule::Restricted,
    ScaleRule::HalfStep,
    ScaleRule::SignedExtreme,
    ScaleRule::IntegerZero,
    ScaleRule::FloatMinimum,
];

fn options(bits: u32, columns: usize, group_size: usize, rule: ScaleRule) -> GroupOptions<'static> {
    GroupOptions { bits, columns, group_size, rule, is_searched: false, scale_type: FloatType::F32, importance: None }
}

fn quantized(options: &GroupOptions<'_>, weights: &[f32]) -> IntegerGroups {
    quantize_groups(Backend::Scalar, options, weights).unwrap()
}

fn decoded(groups: &IntegerGroups) -> Vec<f32> {
    let mut out = vec![0.0; groups.codes.len()];
    groups.dequantize(&mut out).unwrap();
    out
}

fn error(weights: &[f32], found: &[f32], count: impl Fn(usize) -> f64) -> f64 {
    weights.iter().zip(found).enumerate().map(|(i, (a, b))| count(i) * f64::from(a - b).powi(2)).sum()
}

#[test]
fn each_rule_gives_its_scale_zero_and_codes() {
    let weights = [-1.0, 3.0, 0.0, 1.4];
    for (rule, scale, zero, codes) in [
        (ScaleRule::Restricted, 3.0 / 7.0, 8.0, [6, 15, 8, 11]),
        (ScaleRule::HalfStep, 0.4, 8.0, [6, 15, 8, 12]),
        // −1 lies 2.67 steps above the zero, as the scale is negative.
        (ScaleRule::SignedExtreme, -0.375, 8.0, [11, 0, 8, 4]),
        (ScaleRule::IntegerZero, 4.0 / 15.0, 4.0, [0, 15, 4, 9]),
        (ScaleRule::FloatMinimum, 4.0 / 15.0, 3.75, [0, 15, 4, 9]),
    ] {
        let found = quantized(&options(4, 4, 4, rule), &weights);
        assert!((found.scales[0] - scale).abs() < 1e-6, "{rule:?} {}", found.scales[0]);
        assert!((found.zeros[0] - zero).abs() < 1e-5, "{rule:?} {}", found.zeros[0]);
        assert_eq!(found.codes, codes, "{rule:?}");
    }
    // A range that does not hold 0 is stretched, or not.
    let positive = [2.0, 3.0, 5.0, 4.0];
    let stretched = quantized(&options(2, 4, 4, ScaleRule::IntegerZero), &positive);
    assert_eq!((stretched.zeros[0], &stretched.codes[..]), (0.0, &[1, 2, 3, 2][..]));
    assert_eq!(decoded(&quantized(&options(2, 4, 4, ScaleRule::FloatMinimum), &positive)), positive);
}

#[test]
fn the_errors_of_normal_weights_are_the_published_ones() {
    // Σ(ŵ−w)²/Σw² in percent of normal weights, groups of 32; a sample of 2^17 leaves about one part in a hundred.
    let weights = {
        let mut state = 5_u64;
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f64 + 0.5) / (1 << 24) as f64
        };
        let mut pair = || ((-2.0 * uniform().ln()).sqrt(), std::f64::consts::TAU * uniform());
        (0..1 << 17).map(|_| pair()).map(|(r, angle)| (r * angle.cos()) as f32).collect::<Vec<_>>()
    };
    let total = error(&weights, &vec![0.0; weights.len()], |_| 1.0);
    for (bits, percent) in [(2, [43.2, 22.2, 13.1, 16.5, 15.4]), (3, [5.12, 4.11, 3.03, 2.99, 2.81])]
        .into_iter()
        .chain([(4, [0.937, 0.897, 0.737, 0.652, 0.611])])
    {
        for (rule, percent) in RULES.into_iter().zip(percent) {
            let found = decoded(&quantized(&options(bits, 1024, 32, rule), &weights));
            let found = 100.0 * error(&weights, &found, |_| 1.0) / total;
            assert!((found / percent - 1.0).abs() < 0.015, "{bits} bits {rule:?}: {found} {percent}");
        }
    }
    for (bits, percent) in [(2, 11.2), (3, 2.68), (4, 0.677)] {
        let options = GroupOptions { is_searched: true, ..options(bits, 1024, 32, ScaleRule::SignedExtreme) };
        let found = 100.0 * error(&weights, &decoded(&quantized(&options, &weights)), |_| 1.0) / total;
        assert!(found < percent, "{bits} bits searched: {found} {percent}");
    }
}

#[test]
fn every_backend_and_any_cut_gives_the_same_codes() {
    for rule in RULES {
        for (bits, group_size) in [(2, 16), (3, 31), (4, 64), (5, 200), (8, 1000)] {
            let columns = 200;
            let mut weights = noise(6 * columns, u64::from(bits));
            weights[..40].fill(0.0);
            weights[40..80].fill(-0.3);
            let importance: Vec<f32> = (0..columns).map(|i| 0.1 + (i % 7) as f32).collect();
            let options = GroupOptions {
                is_searched: true,
                scale_type: FloatType::F16,
                importance: Some(&importance),
                ..options(bits, columns, group_size, rule)
            };
            let whole = quantized(&options, &weights);
            assert_eq!(whole.scales.len(), 6 * columns.div_ceil(group_size));
            for backend in Backend::available() {
                assert!(quantize_groups(backend, &options, &weights).unwrap() == whole, "{rule:?} {backend:?}");
                let (head, tail) = weights.split_at(2 * columns);
                let head = quantize_groups(backend, &options, head).unwrap();
                let tail = quantize_groups(backend, &options, tail).unwrap();
                assert!([head.codes, tail.codes].concat() == whole.codes);
                assert!([head.scales, tail.scales].concat() == whole.scales);
            }
        }
    }
}

#[test]
fn zero_and_constant_groups_are_kept() {
    for rule in RULES {
        for bits in 2..=8 {
            for is_searched in [false, true] {
                let options = GroupOptions { is_searched, ..options(bits, 32, 16, rule) };
                assert!(decoded(&quantized(&options, &[0.0; 32])).iter().all(|weight| *weight == 0.0));
                for size in [1.5_f32, -0.02, 1e-30, -1e30] {
                    let found = decoded(&quantized(&options, &[size; 32]));
                    // Half a step, and none where the extreme is a code.
                    let half = (1 << (bits - 1)) as f32;
                    let bound = if rule == ScaleRule::HalfStep { 0.5 / (half - 0.5) } else { 0.0 } + 1e-6;
                    assert!(
                        found.iter().all(|weight| (weight - size).abs() <= bound * size.abs()),
                        "{rule:?} {bits} {size} {found:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn scales_are_rounded_before_codes_are_chosen() {
    for (scale_type, digits) in [(FloatType::F16, 13), (FloatType::Bf16, 16)] {
        for rule in RULES {
            let weights = noise(1024, 9);
            let options = GroupOptions { scale_type, is_searched: true, ..options(4, 128, 32, rule) };
            let found = quantized(&options, &weights);
            assert!(found.scales.iter().all(|scale| scale.to_bits() & ((1 << digits) - 1) == 0), "{rule:?}");
            let decoded = decoded(&found);
            for (index, (weight, found_weight)) in weights.iter().zip(&decoded).enumerate() {
                let (scale, zero) = (found.scales[index / 32], found.zeros[index / 32]);
                let nearest = (0..16).map(|code| (scale * (code as f32 - zero) - weight).abs());
                let nearest = nearest.fold(f32::INFINITY, f32::min);
                assert!((weight - found_weight).abs() <= nearest * 1.0001 + 1e-9 || rule == ScaleRule::Restricted);
            }
        }
    }
    // Too small for a normal half, and too large for any.
    let options = GroupOptions { scale_type: FloatType::F16, ..options(4, 16, 16, ScaleRule::SignedExtreme) };
    let found = quantized(&options, &[1e-8; 16]);
    assert!(decoded(&found).iter().all(|weight| weight.abs() < 1e-7 && weight.is_finite()));
    let error = quantize_groups(Backend::best(), &options, &[1e6; 16]).unwrap_err();
    assert_eq!(error.status, Status::Unrepresentable);
}

#[test]
fn a_permutation_is_undone() {
    let groups = IntegerGroups {
        bits: 2,
        rows: 2,
        columns: 3,
        group_size: 2,
        codes: vec![0, 1, 2, 3, 2, 1],
        scales: vec![1.0, 10.0, 100.0, 1000.0],
        zeros: vec![0.0, 0.0, 1.0, 1.0],
        permutation: Some(vec![2, 0, 1]),
    };
    assert_eq!(decoded(&groups), [1.0, 20.0, 0.0, 100.0, 0.0, 200.0]);
    assert_eq!(groups.dequantize(&mut [0.0; 5]).unwrap_err().status, Status::BadArgument);
}

#[test]
fn refuses_bad_numbers_and_says_where() {
    let weights = noise(64, 1);
    let good = options(4, 32, 16, ScaleRule::HalfStep);
    let status = |options: &GroupOptions<'_>, weights: &[f32]| {
        quantize_groups(Backend::best(), options, weights).unwrap_err().status
    };
    assert_eq!(status(&GroupOptions { bits: 1, ..good }, &weights), Status::BadArgument);
    assert_eq!(status(&GroupOptions { bits: 9, ..good }, &weights), Status::BadArgument);
    assert_eq!(status(&GroupOptions { group_size: 0, ..good }, &weights), Status::BadArgument);
    assert_eq!(status(&GroupOptions { columns: 0, ..good }, &weights), Status::BadArgument);
    assert_eq!(status(&good, &weights[1..]), Status::BadArgument);
    assert_eq!(status(&GroupOptions { importance: Some(&[1.0; 31]), ..good }, &weights), Status::BadArgument);
    assert_eq!(status(&GroupOptions { importance: Some(&[-1.0; 32]), ..good }, &weights), Status::NotFinite);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut weights = weights.clone();
        weights[45] = bad;
        let error = quantize_groups(Backend::best(), &good, &weights).unwrap_err();
        assert_eq!((error.status, error.what), (Status::NotFinite, format!("weight 13 of row 1 is {bad}")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_search_never_errs_more_and_codes_never_leave_their_range(
        seed in any::<u64>(), bits in 2_u32..=8, group_size in 1_usize..70, rule in 0_usize..5,
    ) {
        let (columns, rule) = (96, RULES[rule]);
        let weights = noise(3 * columns, seed);
        let importance: Vec<f32> = (0..columns).map(|i| ((i * 7) % 5) as f32 + 0.01).collect();
        let base = GroupOptions { importance: Some(&importance), ..options(bits, columns, group_size, rule) };
        let plain = quantized(&base, &weights);
        let searched = quantized(&GroupOptions { is_searched: true, ..base }, &weights);
        let count = |i: usize| f64::from(importance[i % columns]);
        let (plain_error, error) = (error(&weights, &decoded(&plain), count), error(&weights, &decoded(&searched), count));
        // The search sums in single precision.
        prop_assert!(error <= plain_error * 1.0001 + 1e-12, "{error} {plain_error}");
        for groups in [&plain, &searched] {
            prop_assert!(groups.codes.iter().all(|code| u32::from(*code) < 1 << bits));
            if rule == ScaleRule::Restricted {
                prop_assert!(groups.codes.iter().all(|code| *code > 0));
            }
        }
    }

    #[test]
    fn weights_move_by_half_a_step_at_most_and_keep_their_codes_the_second_time(
        seed in any::<u64>(), bits in 2_u32..=8, group_size in 2_usize..70, rule in 0_usize..5,
    ) {
        let rule = RULES[rule];
        let options = options(bits, 96, group_size, rule);
        let weights = noise(3 * 96, seed);
        let once = quantized(&options, &weights);
        let found = decoded(&once);
        for (index, (weight, found)) in weights.iter().zip(&found).enumerate() {
            let group = index / 96 * once.groups() + index % 96 / group_size;
            let step = once.scales[group].abs();
            // Symmetric grids have one code less above zero: there the far end may be clipped by a step. A zero that is
            // rounded to a code moves both ends by up to half a step.
            let bound = match rule {
                ScaleRule::SignedExtreme | ScaleRule::IntegerZero => 1.0,
                _ => 0.5,
            };
            prop_assert!((weight - found).abs() <= bound * step * 1.0001, "{rule:?} {weight} {found} {step}");
        }
        // Rules whose extreme weight is a code find the same grid again.
        if matches!(rule, ScaleRule::Restricted | ScaleRule::SignedExtreme) {
            prop_assert!(quantized(&options, &found).codes == once.codes, "{rule:?}");
        }
    }
}
