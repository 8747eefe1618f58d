//! Rates of the vocabulary kernel on rows in memory: `cargo bench --bench vocabulary [-- mebibytes vocabulary threads]`.
//!
//! The scores are verified before they are timed; one warm-up, then seven runs. One JSON object a line. `GB/s` counts
//! the logits read, for `copy` the bytes read alone (it writes as many), for `read` a plain sum of all words.

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
    let bench = Bench { threads, vocabulary, bytes: 4 * model.len() };

    let mut copy = vec![0.0_f32; model.len()];
    let part = model.len().div_ceil(threads * 8);
    bench.time("copy", "memory", 1, || {
        context.pool.install(|| {
            copy.par_chunks_mut(part).zip(model.par_chunks(part)).for_each(|(to, from)| to.copy_from_slice(from));
        });
    });
    drop(copy);
    let mut sum = 0_u64;
    bench.time("read", "memory", 1, || {
        let sum_of = |part: &[f32]| part.iter().map(|value| u64::from(value.to_bits())).sum::<u64>();
        sum = sum.wrapping_add(context.pool.install(|| model.par_chunks(part).map(sum_of).sum::<u64>()));
    });
    assert_ne!(sum, 0);
    for backend in Backend::available() {
        for reference in [None, Some(&reference[..])] {
            let logits = Logits { model: &model, reference, vocabulary, targets: &targets };
            let scores = score_rows_with(backend, &context, logits).expect("scores");
            for row in [0, rows / 2, rows - 1] {
                let of_row = |all: &'_ [f32]| all[row * vocabulary..][..vocabulary].to_vec();
                let expected =
                    score_row_reference(&of_row(&model), reference.map(of_row).as_deref(), targets[row] as usize)
                        .expect("a score");
                assert!((scores[row].nll - expected.nll).abs() < 1e-6, "{}: a wrong score", backend.name());
                assert!((scores[row].kl - expected.kl).abs() < 1e-6, "{}: a wrong divergence", backend.name());
            }
            let (what, streams) = if reference.is_some() { ("nll and kl", 2) } else { ("nll", 1) };
            bench.time(what, backend.name(), streams, || {
                score_rows_with(backend, &context, logits).expect("scores");
            });
        }
    }
}

struct Bench {
    threads: usize,
    vocabulary: usize,
    bytes: usize,
}

impl Bench {
    fn time(&self, what: &str, backend: &str, streams: usize, mut run: impl FnMut()) {
        run();
        let read = (streams * self.bytes) as f64;
        let mut rates: Vec<f64> = (0..RUNS)
            .map(|_| {
                let start = Instant::now();
                run();
                read / start.elapsed().as_secs_f64() / 1e9
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        println!(
            "{{\"family\":\"vocabulary\",\"what\":\"{what}\",\"backend\":\"{backend}\",\"threads\":{},\
             \"vocabulary\":{},\"bytes\":{read},\"best_gb_s\":{:.2},\"median_gb_s\":{:.2}}}",
            self.threads,
            self.vocabulary,
            rates[RUNS - 1],
            rates[RUNS / 2]
        );
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
