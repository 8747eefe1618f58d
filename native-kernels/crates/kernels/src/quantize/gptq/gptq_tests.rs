//! GPTQ against the textbook's loops, against rounding to nearest, by hand, and with bad input.

use super::super::quantized_block_tests::{block_types, bytes_for, noise, options};
use super::super::stream_tests::{Folder, bf16};
use super::super::{GroupOptions, ScaleRule, SourceOrder, WeightSource, quantize_blocks, quantize_groups};
use super::error_feedback::{Band, BandGrid, RowBand, round_band};
use super::*;
use crate::blocks::dequantize_reference;
use crate::blocks::round_floats::FloatType;
use crate::error::Status;
use crate::files::Target;

/// Of inputs that hang together, some much larger than others.
fn gram(columns: usize, tokens: usize, seed: u64) -> Vec<f32> {
    let shared = noise(tokens * 4, seed);
    let mut inputs = noise(tokens * columns, seed + 1);
    for (token, row) in inputs.chunks_exact_mut(columns).enumerate() {
        for (column, x) in row.iter_mut().enumerate() {
            *x = (*x + shared[token * 4 + column % 4]) * (1.0 + (column % 9) as f32);
        }
    }
    let mut out = vec![0.0; columns * columns];
    for a in 0..columns {
        for b in 0..columns {
            let sum: f64 = inputs.chunks_exact(columns).map(|row| f64::from(row[a]) * f64::from(row[b])).sum();
            out[a * columns + b] = sum as f32;
        }
    }
    out
}

fn context(threads: usize) -> Context {
    Context::with_threads(threads).unwrap()
}

fn groups_of(bits: u32, columns: usize, rule: ScaleRule) -> GroupOptions<'static> {
    GroupOptions {
        bits,
        columns,
        group_size: 32,
        rule,
        is_searched: false,
        scale_type: FloatType::F16,
        importance: None,
    }
}

fn decoded(groups: &IntegerGroups) -> Vec<f32> {
    let mut out = vec![0.0; groups.codes.len()];
    groups.dequantize(&mut out).unwrap();
    out
}

#[test]
fn the_example_by_hand_comes_out() {
    // H = [[2, 1], [1, 2]], both weights 0.4, whole numbers: rounding gives 0 and 0 and a loss of 0.96, this 0 and 1 and 0.56.
    let gram = [2.0, 1.0, 1.0, 2.0];
    let factor = factor_gram(&context(1), &gram, 2, 0.0, false).unwrap();
    let whole = |value: f32| [[value; 16]; BAND_ROWS / 16];
    for backend in Backend::available() {
        let band = RowBand {
            columns: vec![whole(0.4); 2],
            grids: vec![BandGrid { scale: whole(1.0), offset: whole(0.0), low: whole(-8.0), high: whole(7.0) }],
            grid_of: vec![0, 0],
            mask: Vec::new(),
            is_iq4: false,
        };
        let near = |loss: &Band, expected: f32| loss.iter().flatten().all(|loss| (loss - expected).abs() < 1e-6);
        let fed = round_band(backend, &factor, &band, true);
        assert_eq!((fed.levels[0], fed.levels[1]), (whole(0.0), whole(1.0)), "{backend:?}");
        let nearest = round_band(backend, &factor, &band, false);
        assert_eq!((nearest.levels[0], nearest.levels[1]), (whole(0.0), whole(0.0)), "{backend:?}");
        assert!(near(&fed.loss, 0.56) && near(&nearest.loss, 0.96), "{backend:?}");
    }
    let loss = |found: [f32; 2]| layer_error(&gram, 2, &[0.4, 0.4], &found);
    assert!((loss([0.0, 0.0]) - 0.96).abs() < 1e-6 && (loss([0.0, 1.0]) - 0.56).abs() < 1e-6);
}

/// The textbook: the upper Cholesky factor U of H⁻¹ = UᵀU, columns in order, each error moved onto the later columns.
fn textbook(gram: &[f32], columns: usize, damping: f64, weights: &[f32], grid: &IntegerGroups) -> Vec<f32> {
    let mean = (0..columns).map(|i| f64::from(gram[i * columns + i])).sum::<f64>() / columns as f64;
    let mut matrix: Vec<f64> = gram.iter().map(|number| f64::from(*number)).collect();
    (0..columns).for_each(|i| matrix[i * columns + i] += damping * mean);
    // Gauss and Jordan.
    let mut inverse = vec![0.0; columns * columns];
    (0..columns).for_each(|i| inverse[i * columns + i] = 1.0);
    for i in 0..columns {
        let pivot = matrix[i * columns + i];
        for j in 0..columns {
            matrix[i * columns + j] /= pivot;
            inverse[i * columns + j] /= pivot;
        }
        for other in (0..columns).filter(|other| *other != i) {
            let factor = matrix[other * columns + i];
            for j in 0..columns {
                matrix[other * columns + j] -= factor * matrix[i * columns + j];
                inverse[other * columns + j] -= factor * inverse[i * columns + j];
            }
        }
    }
    // H⁻¹ = UᵀU: the transposed lower factor.
    let mut upper = vec![0.0; columns * columns];
    for i in 0..columns {
        for j in i..columns {
            let done: f64 = (0..i).map(|k| upper[k * columns + i] * upper[k * columns + j]).sum();
            let rest = inverse[i * columns + j] - done;
            upper[i * columns + j] = if i == j { rest.sqrt() } else { rest / upper[i * columns + i] };
        }
    }
    let mut out = Vec::new();
    for (row, weights) in weights.chunks_exact(columns).enumerate() {
        let mut moved: Vec<f64> = weights.iter().map(|weight| f64::from(*weight)).collect();
        for i in 0..columns {
            let group = row * grid.groups() + i / grid.group_size;
            let (scale, zero) = (f64::from(grid.scales[group]), f64::from(grid.zeros[group]));
            let code = (moved[i] / scale + zero).round_ties_even().clamp(0.0, f64::from((1 << grid.bits) - 1));
            let found = scale * (code - zero);
            out.push(found as f32);
            let error = (moved[i] - found) / upper[i * columns + i];
            (i + 1..columns).for_each(|j| moved[j] -= error * upper[i * columns + j]);
        }
    }
    out
}

#[test]
fn agrees_with_the_textbook() {
    let (columns, rows) = (160, 70);
    let (gram, weights) = (gram(columns, 400, 3), noise(rows * columns, 8));
    for rule in [ScaleRule::HalfStep, ScaleRule::SignedExtreme, ScaleRule::IntegerZero, ScaleRule::FloatMinimum] {
        let options = groups_of(4, columns, rule);
        let factor = factor_gram(&context(2), &gram, columns, 0.01, false).unwrap();
        let (found, figures) = gptq_groups(&context(2), &factor, &options, &weights, None).unwrap();
        let expected = textbook(&gram, columns, 0.01, &weights, &found);
        // Where a sum in single precision falls on the other side of a border, the rest of the row differs too; and rows
        // that feedback would spoil keep their nearest codes, which the textbook does not do.
        let found = decoded(&found);
        let rows_apart = found
            .chunks_exact(columns)
            .zip(expected.chunks_exact(columns))
            .filter(|(a, b)| a.iter().zip(*b).any(|(a, b)| (a - b).abs() > 1e-5 * a.abs() + 1e-6))
            .count();
        assert!(rows_apart as u64 <= 2 + figures.nearest_rows && rows_apart < 5, "{rule:?}: {rows_apart} rows differ");
    }
}

#[test]
fn errs_less_than_rounding_onto_every_grid() {
    let (columns, rows) = (512, 80);
    let (gram, weights) = (gram(columns, 700, 5), noise(rows * columns, 9));
    for is_ordered in [false, true] {
        let factor = factor_gram(&context(2), &gram, columns, 0.01, is_ordered).unwrap();
        for bits in [2, 3, 4, 8] {
            for rule in [ScaleRule::HalfStep, ScaleRule::SignedExtreme, ScaleRule::IntegerZero, ScaleRule::FloatMinimum]
            {
                let options = groups_of(bits, columns, rule);
                let plain = decoded(&quantize_groups(Backend::best(), &options, &weights).unwrap());
                let found = decoded(&gptq_groups(&context(2), &factor, &options, &weights, None).unwrap().0);
                let (plain, found) =
                    (layer_error(&gram, columns, &weights, &plain), layer_error(&gram, columns, &weights, &found));
                assert!(found < plain, "{bits} bits {rule:?}: {found} {plain}");
            }
        }
        for ggml_type in block_types() {
            let options = options(ggml_type, columns, None);
            let mut plain = vec![0; bytes_for(ggml_type, weights.len())];
            quantize_blocks(Backend::best(), &options, 0, &weights, &mut plain).unwrap();
            let mut found = vec![0; plain.len()];
            let figures = gptq_blocks(&context(2), &factor, &options, 0, &weights, None, &mut found).unwrap();
            assert!(figures.loss < figures.nearest_loss, "{}", ggml_type.name());
            let error = |bytes: &[u8]| {
                let mut out = vec![0.0; weights.len()];
                dequantize_reference(ggml_type, bytes, &mut out);
                layer_error(&gram, columns, &weights, &out)
            };
            let (plain, found) = (error(&plain), error(&found));
            assert!(found < plain, "{}: {found} {plain}", ggml_type.name());
        }
    }
}

#[test]
fn any_thread_count_gives_the_same_codes() {
    let (columns, rows) = (256, 150);
    let (gram, weights) = (gram(columns, 300, 6), noise(rows * columns, 10));
    let run = |threads| {
        let factor = factor_gram(&context(threads), &gram, columns, 0.01, true).unwrap();
        let options = options(GgmlType::Q4K, columns, None);
        let mut out = vec![0; bytes_for(GgmlType::Q4K, weights.len())];
        gptq_blocks(&context(threads), &factor, &options, 0, &weights, None, &mut out).unwrap();
        let groups = groups_of(3, columns, ScaleRule::IntegerZero);
        (out, gptq_groups(&context(threads), &factor, &groups, &weights, None).unwrap())
    };
    let one = run(1);
    assert!(run(2) == one && run(5) == one);
}

#[test]
fn pruned_weights_stay_zero() {
    let (columns, rows) = (256, 20);
    let (gram, mut weights) = (gram(columns, 300, 7), noise(rows * columns, 11));
    let mask: Vec<u8> = (0..weights.len()).map(|i| u8::from(i % 5 < 3)).collect();
    weights.iter_mut().zip(&mask).for_each(|(weight, free)| *weight *= f32::from(*free));
    let factor = factor_gram(&context(1), &gram, columns, 0.01, true).unwrap();
    let are_zero = |found: &[f32]| found.iter().zip(&mask).all(|(weight, free)| *free == 1 || *weight == 0.0);
    for rule in [ScaleRule::Restricted, ScaleRule::HalfStep, ScaleRule::SignedExtreme, ScaleRule::IntegerZero] {
        let found = gptq_groups(&context(1), &factor, &groups_of(3, columns, rule), &weights, Some(&mask)).unwrap();
        assert!(are_zero(&decoded(&found.0)), "{rule:?}");
    }
    for ggml_type in block_types() {
        let options = options(ggml_type, columns, None);
        let mut out = vec![0; bytes_for(ggml_type, weights.len())];
        let answer = gptq_blocks(&context(1), &factor, &options, 0, &weights, Some(&mask), &mut out);
        if has_zero(ggml_type) {
            answer.unwrap();
            let mut found = vec![0.0; weights.len()];
            dequantize_reference(ggml_type, &out, &mut found);
            assert!(are_zero(&found), "{}", ggml_type.name());
        } else {
            assert_eq!(answer.unwrap_err().status, Status::BadArgument, "{}", ggml_type.name());
        }
    }
}

#[test]
fn raises_the_damping_for_too_few_tokens_and_counts_dead_columns() {
    let columns = 96;
    // 20 tokens for 96 columns: singular, and no damping asked for.
    let mut few = gram(columns, 20, 12);
    for i in 0..columns {
        (few[7 * columns + i], few[i * columns + 7]) = (0.0, 0.0);
    }
    let factor = factor_gram(&context(1), &few, columns, 0.0, false).unwrap();
    assert!(factor.damping > 0.0 && factor.dead_columns == 1, "{}", factor.damping);
    assert!(factor.feedback.iter().all(|number| number.is_finite()));
    assert!((0..columns).all(|i| factor.feedback[i * columns + 7] == 0.0));
    let nothing = factor_gram(&context(1), &vec![0.0; columns * columns], columns, 0.01, true).unwrap();
    assert_eq!(nothing.dead_columns, columns);
    // Nothing is known of the inputs: rounding to nearest.
    let weights = noise(4 * columns, 13);
    let options = groups_of(4, columns, ScaleRule::IntegerZero);
    let found = gptq_groups(&context(1), &nothing, &options, &weights, None).unwrap();
    let plain = quantize_groups(Backend::best(), &options, &weights).unwrap();
    assert_eq!((found.0.codes, found.1.nearest_rows), (plain.codes, 0));
}

#[test]
fn refuses_what_is_no_gram_matrix() {
    let status = |gram: &[f32], columns, damping| {
        factor_gram(&context(1), gram, columns, damping, false).map(|_| ()).map_err(|error| error.status)
    };
    assert_eq!(status(&[1.0, 0.0, 0.0], 2, 0.01), Err(Status::BadArgument));
    assert_eq!(status(&[], 0, 0.01), Err(Status::BadArgument));
    assert_eq!(status(&[1.0], 1, 2.0), Err(Status::BadArgument));
    assert_eq!(status(&[1.0, f32::NAN, 0.0, 1.0], 2, 0.01), Err(Status::NotFinite));
    assert_eq!(status(&[1.0, 9.0, 9.0, 1.0], 2, 0.01), Err(Status::Malformed));
    let factor = factor_gram(&context(1), &[2.0, 1.0, 1.0, 2.0], 2, 0.01, false).unwrap();
    let run = |weights: &[f32], mask: Option<&[u8]>, rule| {
        let options = groups_of(4, 2, rule);
        gptq_groups(&context(1), &factor, &options, weights, mask).map(|_| ()).map_err(|error| error.status)
    };
    assert_eq!(run(&[1.0; 3], None, ScaleRule::HalfStep), Err(Status::BadArgument));
    assert_eq!(run(&[1.0; 4], Some(&[1; 3]), ScaleRule::HalfStep), Err(Status::BadArgument));
    assert_eq!(run(&[1.0; 4], Some(&[1; 4]), ScaleRule::FloatMinimum), Err(Status::BadArgument));
    assert_eq!(run(&[1.0, f32::NAN], None, ScaleRule::HalfStep), Err(Status::NotFinite));
    let cancelled = context(1);
    cancelled.control.cancel();
    let error = factor_gram(&cancelled, &[2.0, 1.0, 1.0, 2.0], 2, 0.01, false).map(|_| ()).unwrap_err();
    assert_eq!(error.status, Status::Cancelled);
}

#[test]
fn rows_that_feedback_would_spoil_keep_their_nearest_codes_and_the_loss_is_the_layers() {
    // Few columns, coarse codes and strong coupling: feedback may run into the ends of the range.
    let (columns, rows) = (32, 400);
    let gram = gram(columns, 40, 14);
    let weights = noise(rows * columns, 15);
    let factor = factor_gram(&context(2), &gram, columns, 0.01, false).unwrap();
    let options = GroupOptions { scale_type: FloatType::F32, ..groups_of(2, columns, ScaleRule::SignedExtreme) };
    let (found, figures) = gptq_groups(&context(2), &factor, &options, &weights, None).unwrap();
    assert!(figures.nearest_rows > 0, "no row was spoilt: the test shows nothing");
    let mut damped = gram;
    let mean = (0..columns).map(|i| damped[i * columns + i]).sum::<f32>() / columns as f32;
    (0..columns).for_each(|i| damped[i * columns + i] += 0.01 * mean);
    let plain = decoded(&quantize_groups(Backend::best(), &options, &weights).unwrap());
    let nearest = layer_error(&damped, columns, &weights, &plain);
    let found = decoded(&found);
    let kept = layer_error(&damped, columns, &weights, &found);
    // Sums of a few dozen terms in single precision.
    assert!((figures.nearest_loss / nearest - 1.0).abs() < 1e-4, "{} {nearest}", figures.nearest_loss);
    assert!((figures.loss / kept - 1.0).abs() < 1e-4, "{} {kept}", figures.loss);
    for ((weights, found), plain) in
        weights.chunks_exact(columns).zip(found.chunks_exact(columns)).zip(plain.chunks_exact(columns))
    {
        let of = |other: &[f32]| layer_error(&damped, columns, weights, other);
        assert!(of(found) <= of(plain) * 1.0001);
    }
}

#[test]
fn files_get_the_blocks_of_memory_and_sizes_must_fit() {
    let folder = Folder::new("gptq");
    let (columns, rows) = (256, 530);
    let (stored, weights) = bf16(&noise(rows * columns, 16));
    let gram = gram(columns, 300, 17);
    let gram_bytes: Vec<u8> = gram.iter().flat_map(|number| number.to_le_bytes()).collect();
    let source = WeightSource {
        ranges: vec![folder.store("weights", &stored)],
        stored_type: GgmlType::Bf16,
        columns: columns as u64,
        order: SourceOrder::Stored,
    };
    let inputs = GramSource { range: folder.store("gram", &gram_bytes), damping: 0.01, is_ordered: true };
    let options = options(GgmlType::Q4K, columns, None);
    let mut expected = vec![0; bytes_for(GgmlType::Q4K, weights.len())];
    let factor = factor_gram(&context(1), &gram, columns, 0.01, true).unwrap();
    gptq_blocks(&context(1), &factor, &options, 0, &weights, None, &mut expected).unwrap();
    let mut answers = Vec::new();
    for threads in [1, 3] {
        let range = folder.room("out", expected.len());
        let target = Target::write(std::slice::from_ref(&range)).unwrap();
        let context = context(threads);
        answers.push(gptq_tensor(&context, &source, &inputs, &options, &target).unwrap());
        assert!(std::fs::read(&range.path).unwrap()[5..] == expected);
        assert_eq!(context.control.done_bytes(), 4 * weights.len() as u64);
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].feedback.loss < answers[0].feedback.nearest_loss && answers[0].damping == 0.01);
    let short = GramSource { range: folder.store("short", &gram_bytes[4..]), ..inputs.clone() };
    for (gram, room) in [(&short, expected.len()), (&inputs, expected.len() + 1)] {
        let error = gptq_tensor(&context(1), &source, gram, &options, &Target::Discard(room as u64)).unwrap_err();
        assert_eq!(error.status, Status::BadArgument);
    }
}
