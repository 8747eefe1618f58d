use super::*;
use proptest::prelude::*;

/// Heavy-tailed logits: a bell curve of the given width with one in sixteen values stretched.
fn logits(count: usize, width: f32, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..count)
        .map(|_| {
            let bits = next();
            let sum: u64 = (0..6).map(|i| bits >> (10 * i) & 1023).sum();
            let bell = (sum as f32 - 3069.0) / 724.0;
            bell * width * if next() & 15 == 0 { 3.0 } else { 1.0 }
        })
        .collect()
}

/// Each exponential errs by less than 2^-23 of itself: half an ulp each of the reduction's two steps (|t| < 0.35), the
/// polynomial's sum and the last step; a pair's sum by 2^-24 more. So does the whole sum, and log-sum-exp by as much.
const NLL_TOLERANCE: f64 = 1.5 / (1 << 23) as f64;

/// The weighted sum errs by that, and by 2^-24 each for difference, product and pair, of the mean |difference|; the two
/// log-sum-exps as above.
fn kl_tolerance(model: &[f32], reference: &[f32]) -> f64 {
    let most = model.iter().zip(reference).map(|(x, r)| f64::from((r - x).abs())).fold(0.0, f64::max);
    2.0 * NLL_TOLERANCE * (1.0 + most)
}

fn assert_close(found: &RowScore, expected: &RowScore, kl_tolerance: f64, what: &str) {
    let nll_tolerance = NLL_TOLERANCE + 1e-15 * expected.nll.abs().max(1.0);
    assert!((found.nll - expected.nll).abs() <= nll_tolerance, "{what}: nll {} for {}", found.nll, expected.nll);
    assert!((found.reference_nll - expected.reference_nll).abs() <= nll_tolerance, "{what}: reference's nll");
    assert!((found.kl - expected.kl).abs() <= kl_tolerance, "{what}: kl {} for {}", found.kl, expected.kl);
    assert_eq!(
        (found.argmax, found.rank, found.reference_argmax),
        (expected.argmax, expected.rank, expected.reference_argmax),
        "{what}"
    );
}

/// The loops that other processors run, where they can be run.
fn score_row_portable(model: &[f32], reference: Option<&[f32]>, target: usize) -> RowScore {
    one_pass::score_row_plain(model, reference, target)
        .unwrap_or_else(|| score_row_reference(model, reference, target).unwrap())
}

/// Every backend against the reference, with and without a reference model.
fn judge(model: &[f32], reference: &[f32], target: usize, what: &str) {
    for backend in Backend::available() {
        let what = format!("{what}, {}, target {target}", backend.name());
        let expected = score_row_reference(model, Some(reference), target).unwrap();
        let found = score_row(backend, model, Some(reference), target).unwrap();
        assert_close(&found, &expected, kl_tolerance(model, reference), &what);
        let alone = score_row(backend, model, None, target).unwrap();
        let of_model = RowScore { kl: 0.0, reference_nll: 0.0, reference_argmax: 0, ..found };
        // Where only the reference is beyond the limit, the model beside it is judged in double precision too.
        if reference.iter().all(|value| value.abs() <= LIMIT) {
            assert_eq!(alone, of_model, "{what}: alone");
        } else {
            assert_close(&alone, &of_model, 0.0, &what);
        }
    }
    let expected = score_row_reference(model, Some(reference), target).unwrap();
    let found = score_row_portable(model, Some(reference), target);
    assert_close(&found, &expected, kl_tolerance(model, reference), &format!("{what}, plain lanes"));
}

#[test]
fn every_backend_agrees_with_the_reference_at_awkward_sizes() {
    let sizes = [1, 2, 3, 15, 16, 17, 31, 33, 127, 1000, 1023, 1024, 1025, 1039, 2047, 2048, 2049, 4096, 5003];
    for (case, size) in sizes.into_iter().enumerate() {
        let seed = case as u64;
        let model = logits(size, 3.0, seed);
        let noise = logits(size, 0.05, seed + 100);
        let near: Vec<f32> = model.iter().zip(&noise).map(|(x, d)| x + d).collect();
        let far = logits(size, 5.0, seed + 200);
        for target in [0, size / 2, size - 1] {
            judge(&model, &near, target, &format!("{size} near"));
            judge(&model, &far, target, &format!("{size} far"));
        }
    }
}

#[test]
fn a_misaligned_row_scores_as_an_aligned_one() {
    let (model, reference) = (logits(3001, 4.0, 1), logits(3001, 4.0, 2));
    for backend in Backend::available() {
        let expected = score_row(backend, &model, Some(&reference), 2999).unwrap();
        for shift in 1..8 {
            let (mut moved, mut other) = (vec![0.0; shift], vec![0.0; shift + 3]);
            moved.extend_from_slice(&model);
            other.extend_from_slice(&reference);
            let found = score_row(backend, &moved[shift..], Some(&other[shift + 3..]), 2999).unwrap();
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn logits_of_any_size_neither_overflow_nor_vanish() {
    let base = logits(2500, 2.0, 3);
    for shift in [-65_000.0, -3000.0, -800.0, -90.0, 90.0, 800.0, 3000.0, 65_000.0, 1e30, -1e30] {
        let model: Vec<f32> = base.iter().map(|x| x + shift).collect();
        judge(&model, &base, 1234, &format!("shift {shift}"));
        judge(&base, &model, 1234, &format!("reference's shift {shift}"));
    }
    // A later block that towers over the former ones, and former ones that tower over it.
    for heights in [[0.0, 200.0, 5000.0], [5000.0, 200.0, 0.0], [-5000.0, 0.0, -60_000.0], [0.0, 60.0, 120.0]] {
        let model: Vec<f32> = base.iter().enumerate().map(|(i, x)| x + heights[i / 1024]).collect();
        judge(&model, &base, 100, "towers");
        judge(&base, &model, 2400, "reference's towers");
        judge(&model, &model, 2400, "both tower");
    }
    judge(&[f32::MAX, -f32::MAX, 0.0], &[-f32::MAX, f32::MAX, f32::MIN_POSITIVE], 2, "extremes");
    judge(&[1e-42, 0.0, -0.0, -1e-45], &[0.0; 4], 3, "subnormals");
}

#[test]
fn known_values_are_exact() {
    for backend in Backend::available() {
        let uniform = vec![0.25; 4096];
        let score = score_row(backend, &uniform, Some(&uniform), 7).unwrap();
        assert!((score.nll - 4096_f64.ln()).abs() < NLL_TOLERANCE);
        assert_eq!((score.argmax, score.rank, score.kl), (0, 7, 0.0));
        // p = (3/4, 1/4) and q = (1/2, 1/2): D = ln 2 + 3/4 ln 3/4 + 1/4 ln 1/4.
        let expected = 2_f64.ln() + 0.75 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln();
        let score = score_row(backend, &[1.0, 1.0], Some(&[3_f32.ln(), 0.0]), 1).unwrap();
        assert!((score.kl - expected).abs() < 4.0 * NLL_TOLERANCE);
        assert!((score.reference_nll - 4_f64.ln()).abs() < 2.0 * NLL_TOLERANCE);
        assert_eq!((score.argmax, score.rank, score.reference_argmax), (0, 1, 0));
    }
}

#[test]
fn the_divergence_of_a_model_from_itself_is_exactly_zero() {
    for backend in Backend::available() {
        for (seed, size) in [100, 1024, 4096, 50_257].into_iter().enumerate() {
            let model = logits(size, 6.0, seed as u64);
            assert_eq!(score_row(backend, &model, Some(&model), 0).unwrap().kl.to_bits(), 0);
        }
    }
}

#[test]
fn equal_logits_rank_by_token() {
    for backend in Backend::available() {
        let mut model = vec![-1.0; 3000];
        for token in [5, 1500, 2999] {
            model[token] = 2.0;
        }
        let rank = |target| score_row(backend, &model, None, target).unwrap().rank;
        assert_eq!([5, 1500, 2999, 0, 6].map(rank), [0, 1, 2, 3, 8]);
    }
}

#[test]
fn a_logit_that_is_no_number_is_named_with_its_row() {
    let context = Context::with_threads(2).unwrap();
    for backend in Backend::available() {
        for (value, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
            for token in [0, 15, 1023, 1024, 1999] {
                let clean = logits(3 * 2000, 2.0, 9);
                let mut bad = clean.clone();
                bad[2000 + token] = value;
                let score = |model, reference| {
                    score_rows_with(
                        backend,
                        &context,
                        Logits { model, reference, vocabulary: 2000, targets: &[0, 1, 2] },
                    )
                };
                let fault = score(&bad, None).unwrap_err();
                assert_eq!(fault.status, Status::NotFinite);
                assert_eq!(fault.what, format!("the model's logit of token {token} in row 1 is {name}"));
                let fault = score(&clean, Some(&bad[..])).unwrap_err();
                assert_eq!(fault.what, format!("the reference's logit of token {token} in row 1 is {name}"));
            }
        }
    }
}

#[test]
fn scores_do_not_depend_on_threads() {
    let (model, reference) = (logits(64 * 1111, 4.0, 5), logits(64 * 1111, 4.0, 6));
    let targets: Vec<i32> = (0..64).map(|row| row * 17).collect();
    let logits = Logits { model: &model, reference: Some(&reference), vocabulary: 1111, targets: &targets };
    let scores = |threads| score_rows(&Context::with_threads(threads).unwrap(), logits).unwrap();
    let one = scores(1);
    assert_eq!(one.len(), 64);
    for threads in [2, 3, 8] {
        assert_eq!(scores(threads), one);
    }
}

#[test]
fn lengths_that_disagree_are_refused() {
    let context = Context::with_threads(1).unwrap();
    let status = |model: &[f32], reference: Option<&[f32]>, vocabulary, targets: &[i32]| {
        score_rows(&context, Logits { model, reference, vocabulary, targets }).unwrap_err().status
    };
    assert_eq!(status(&[0.0; 7], None, 4, &[0, 1]), Status::BadArgument);
    assert_eq!(status(&[0.0; 8], Some(&[0.0; 4]), 4, &[0, 1]), Status::BadArgument);
    assert_eq!(status(&[], None, 0, &[]), Status::BadArgument);
    assert_eq!(status(&[0.0; 8], None, 4, &[0, 4]), Status::BadArgument);
    assert_eq!(status(&[0.0; 8], None, 4, &[-1, 0]), Status::BadArgument);
    assert_eq!(score_rows(&context, Logits { model: &[], reference: None, vocabulary: 4, targets: &[] }).unwrap(), []);
}

proptest! {
    #[test]
    fn any_rows_agree_with_the_reference(
        pairs in prop::collection::vec((-60.0_f32..60.0, -60.0_f32..60.0), 1..2200),
        place in any::<prop::sample::Index>(),
    ) {
        let (model, reference): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        judge(&model, &reference, place.index(model.len()), "any");
    }
}
