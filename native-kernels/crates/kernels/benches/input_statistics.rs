//! Rates of the Gram matrix: `cargo bench --bench input_statistics [-- threads]`.
//!
//! The result is compared with plain sums before anything is timed; one warm-up, then seven runs. One JSON object a line.
//! `gflop_s` counts two operations for each pair of columns on and below the diagonal, column sums not counted.

use std::time::Instant;

use lathe_kernels::Context;
use lathe_kernels::cpu::Backend;
use lathe_kernels::input_statistics::InputStatistics;

const RUNS: usize = 7;

fn main() {
    let threads = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let context = Context::with_threads(threads).expect("a pool");
    for (columns, rows) in [(256, 16_384), (576, 8192), (704, 8192), (1536, 4096), (4096, 2048)] {
        let mut state = 1_u32;
        let numbers: Vec<f32> = (0..rows * columns)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect();
        for backend in Backend::available() {
            let mut rates: Vec<f64> = Vec::new();
            for run in 0..=RUNS {
                let mut statistics = InputStatistics::new(columns, true).expect("memory");
                let start = Instant::now();
                statistics.feed_with(backend, &context, &numbers).expect("numbers");
                let seconds = start.elapsed().as_secs_f64();
                let squares: f64 = numbers.iter().step_by(columns).map(|x| f64::from(*x).powi(2)).sum();
                assert!((statistics.columns_so_far().squares[0] - squares).abs() < 1e-6 * squares);
                if run > 0 {
                    rates.push((rows * columns * (columns + 1)) as f64 / seconds / 1e9);
                }
            }
            rates.sort_by(f64::total_cmp);
            println!(
                "{{\"family\":\"input_statistics\",\"columns\":{columns},\"rows\":{rows},\"backend\":\"{}\",\
                 \"threads\":{threads},\"best_gflop_s\":{:.1},\"median_gflop_s\":{:.1}}}",
                backend.name(),
                rates[RUNS - 1],
                rates[RUNS / 2]
            );
        }
    }
}
