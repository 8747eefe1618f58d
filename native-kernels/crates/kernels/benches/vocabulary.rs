//! Rates of the vocabulary kernel on rows in memory: `cargo bench --bench vocabulary [-- mebibytes vocabulary threads]`.
//!
//! The scores are verified before they are timed; one warm-up, then seven runs. One JSON object a line. `GB/s` counts
//! the logits read, for `copy` the bytes read alone (it writes as many).

use std::time::Instant;

use lathe_kernels::Context;
use lathe_kernels::cpu::Backend;
use lathe_kernels::vocabulary::{Logits, score_row_reference, score_rows_with};
use rayon::prelude::*;

const RUNS: usize = 7;

fn main() {
    // Cargo passes `--bench`.
    let given: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let mebibytes = given.first().copied().unwrap_or(256);
    let vocabulary = given.get(1).copied().unwrap_or(32_000);
    let threads = given.get(2).copied().unwrap_or(1);
    let context = Context::with_threads(threads).expect("a pool");
    let rows = (mebibytes << 20) / (4 * vocabulary);
    let model = heavy_tailed(rows * vocabulary, 1);
    let noise = heavy_tailed(vocabulary + 7919, 2);
    let reference: Vec<f32> = model.iter().enumerate().map(|(i, x)| x + 0.05 * noise[i % noise.len()]).collect();
    let targets: Vec<i32> = (0..rows).map(|row| (row * 7919 % vocabulary) as i32).collect();

    let part = model.len().div_ceil(threads * 8);
    let mut copy = vec![0.0_f32; model.len()];
    let mut cases: Vec<Case<'_>> = vec![Case::new("copy", "memory", 1, || {
        context.pool.install(|| {
            copy.par_chunks_mut(part).zip(model.par_chunks(part)).for_each(|(to, from)| to.copy_from_slice(from));
        });
    })];
    for backend in Backend::available().into_iter().filter(|backend| *backend != Backend::Scalar) {
        for reference in [None, Some(&reference[..])] {
            let logits = Logits { model: &model, reference, vocabulary, targets: &targets };
            verify(backend, &context, logits);
            let (what, streams) = if reference.is_some() { ("nll and kl", 2) } else { ("nll", 1) };
            let context = &context;
            cases.push(Case::new(what, backend.name(), streams, move || {
                score_rows_with(backend, context, logits).expect("scores");
            }));
        }
    }
    // In turn, so that a busy moment of the machine hits all alike; the first round warms up.
    for round in 0..=RUNS {
        for case in &mut cases {
            let start = Instant::now();
            (case.run)();
            if round > 0 {
                case.rates.push((case.streams * 4 * model.len()) as f64 / start.elapsed().as_secs_f64() / 1e9);
            }
        }
    }
    for case in &mut cases {
        case.rates.sort_by(f64::total_cmp);
        println!(
            "{{\"family\":\"vocabulary\",\"what\":\"{}\",\"backend\":\"{}\",\"threads\":{threads},\
             \"vocabulary\":{vocabulary},\"bytes\":{},\"best_gb_s\":{:.2},\"median_gb_s\":{:.2}}}",
            case.what,
            case.backend,
            case.streams * 4 * model.len(),
            case.rates[RUNS - 1],
            case.rates[RUNS / 2]
        );
    }
}

/// One thing that is timed.
struct Case<'a> {
    what: &'static str,
    backend: &'static str,
    streams: usize,
    run: Box<dyn FnMut() + 'a>,
    rates: Vec<f64>,
}

impl<'a> Case<'a> {
    fn new(what: &'static str, backend: &'static str, streams: usize, run: impl FnMut() + 'a) -> Self {
        Self { what, backend, streams, run: Box::new(run), rates: Vec::new() }
    }
}

/// Some rows against the reference.
fn verify(backend: Backend, context: &Context, logits: Logits<'_>) {
    let Logits { model, reference, vocabulary, targets } = logits;
    let scores = score_rows_with(backend, context, logits).expect("scores");
    for row in [0, targets.len() / 2, targets.len() - 1] {
        let of_row = |all: &'_ [f32]| all[row * vocabulary..][..vocabulary].to_vec();
        let target = targets[row] as usize;
        let expected = score_row_reference(&of_row(model), reference.map(of_row).as_deref(), target).expect("a score");
        assert!((scores[row].nll - expected.nll).abs() < 1e-6, "{}: a wrong score", backend.name());
        assert!((scores[row].kl - expected.kl).abs() < 1e-6, "{}: a wrong divergence", backend.name());
    }
}

/// A bell curve of width 3 with a stretched sixteenth, as logits are.
fn heavy_tailed(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ mixed >> 27
    };
    (0..count)
        .map(|_| {
            let bits = next();
            let sum: u64 = (0..6).map(|i| bits >> (10 * i) & 1023).sum();
            (sum as f32 - 3069.0) / 724.0 * if bits >> 60 == 0 { 9.0 } else { 3.0 }
        })
        .collect()
}
