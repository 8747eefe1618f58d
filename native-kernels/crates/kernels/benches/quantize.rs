//! `cargo bench --bench quantize [-- TYPE …]`: weights a second of every block format by every backend, and the error beside
//! that of ggml's searches, plain and with importance. `-- gptq` times error feedback on a layer of 4096 x 4096 instead.

use std::time::Instant;

use lathe_kernels::Context;
use lathe_kernels::blocks::{FloatType, GgmlType, dequantize};
use lathe_kernels::cpu::Backend;
use lathe_kernels::input_statistics::InputStatistics;
use lathe_kernels::quantize::ggml_searches::ggml_quantized;
use lathe_kernels::quantize::gptq::{factor_gram, gptq_blocks, gptq_groups};
use lathe_kernels::quantize::{BlockOptions, Emphasis, GroupOptions, ScaleRule, quantize_blocks};

const ROWS: usize = 32;
const COLUMNS: usize = 4096;
const ROUNDS: usize = 3;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if wanted.iter().any(|name| name == "gptq") {
        return gptq();
    }
    let mut random = Random(7);
    let gauss: Vec<f32> = (0..ROWS * COLUMNS).map(|_| 0.02 * random.gauss()).collect();
    let heavy: Vec<f32> = gauss.iter().map(|x| x / (0.3 + random.uniform())).collect();
    let importance: Vec<f32> = (0..COLUMNS).map(|_| (1.5 * random.gauss()).exp()).collect();
    for ggml_type in GgmlType::ALL.into_iter().filter(|t| t.block_elements() > 1) {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == ggml_type.name()) {
            continue;
        }
        for with in [false, true] {
            let importance = with.then_some(&importance[..]);
            let options = BlockOptions { ggml_type, columns: COLUMNS, importance, emphasis: Emphasis::None };
            let blocks = gauss.len() / ggml_type.block_elements() as usize;
            let mut out = vec![0; blocks * ggml_type.block_bytes() as usize];
            let mut line = format!("{:6} {}", ggml_type.name(), if with { "importance" } else { "plain     " });
            let mut first = Vec::new();
            for backend in Backend::available() {
                let rate = best(|| quantize_blocks(backend, &options, 0, &gauss, &mut out).unwrap());
                line += &format!("  {} {rate:6.1} M/s", backend.name());
                if first.is_empty() {
                    first.clone_from(&out);
                }
                assert!(first == out, "{} differs", backend.name());
            }
            for (name, weights) in [("gauss", &gauss), ("heavy", &heavy)] {
                quantize_blocks(Backend::best(), &options, 0, weights, &mut out).unwrap();
                let mut found = vec![0.0; weights.len()];
                dequantize(Backend::best(), ggml_type, &out, &mut found);
                let ours = error(weights, &found, importance);
                line += &format!("  {name} error {:.4} %", 100.0 * ours);
                let has_search = matches!(ggml_type, GgmlType::Iq4Nl | GgmlType::Iq4Xs)
                    || ggml_type.block_elements() == 256
                    || with && ggml_type != GgmlType::Q8_0;
                if has_search {
                    let theirs: Vec<f32> = weights
                        .chunks_exact(COLUMNS)
                        .flat_map(|row| ggml_quantized(ggml_type, row, importance))
                        .collect();
                    line += &format!(" = {:.3} x ggml's", ours / error(weights, &theirs, importance));
                }
            }
            println!("{line}");
        }
    }
}

/// One layer on one thread: the factor and all rows, the latter onto groups of integers and onto Q4_K, searches of their
/// scales included; and, for comparison, the rate of a Gram matrix of the same width. One JSON object a line.
fn gptq() {
    let context = Context::with_threads(1).unwrap();
    let mut random = Random(9);
    let weights: Vec<f32> = (0..COLUMNS * COLUMNS).map(|_| 0.02 * random.gauss()).collect();
    let spread: Vec<f32> = (0..COLUMNS).map(|_| random.gauss()).collect();
    // Positive definite: one direction that all share, and a diagonal.
    let gram: Vec<f32> = (0..COLUMNS * COLUMNS)
        .map(|i| spread[i / COLUMNS] * spread[i % COLUMNS] + if i / COLUMNS == i % COLUMNS { 2.0 } else { 0.0 })
        .collect();
    let cube = (COLUMNS as f64).powi(3);
    let tell = |what: &str, operations: f64, run: &mut (dyn FnMut() + Send)| {
        // In the pool's one thread, whose own time is taken.
        let mut times: Vec<f64> = (0..ROUNDS).map(|_| context.pool.install(|| seconds_of(&mut *run))).collect();
        times.sort_by(f64::total_cmp);
        let (median, best) = (times[ROUNDS / 2], times[0]);
        println!(
            "{{\"family\":\"gptq\",\"what\":\"{what}\",\"columns\":{COLUMNS},\"rows\":{COLUMNS},\"threads\":1,\
             \"median_seconds\":{median:.3},\"best_seconds\":{best:.3},\"gflop_s\":{:.1}}}",
            operations / median / 1e9
        );
    };
    tell("gram", COLUMNS as f64 * (COLUMNS * (COLUMNS + 1)) as f64, &mut || {
        let mut statistics = InputStatistics::new(COLUMNS, true).unwrap();
        statistics.feed_with(Backend::best(), &context, &weights).unwrap();
    });
    tell("factor", cube / 3.0, &mut || drop(factor_gram(&context, &gram, COLUMNS, 0.01, true).unwrap()));
    let factor = factor_gram(&context, &gram, COLUMNS, 0.01, true).unwrap();
    let options = GroupOptions {
        bits: 4,
        columns: COLUMNS,
        group_size: 128,
        rule: ScaleRule::IntegerZero,
        is_searched: false,
        scale_type: FloatType::F16,
        importance: None,
    };
    tell("groups", cube, &mut || {
        gptq_groups(&context, &factor, &options, &weights, None).unwrap();
    });
    let ggml_type = GgmlType::Q4K;
    let options = BlockOptions { ggml_type, columns: COLUMNS, importance: None, emphasis: Emphasis::None };
    let blocks = weights.len() / ggml_type.block_elements() as usize;
    let mut out = vec![0; blocks * ggml_type.block_bytes() as usize];
    tell("q4_k", cube, &mut || {
        gptq_blocks(&context, &factor, &options, 0, &weights, None, &mut out).unwrap();
    });
}

/// Weighted squares of the error over those of the weights.
fn error(weights: &[f32], found: &[f32], importance: Option<&[f32]>) -> f64 {
    let (mut above, mut below) = (0.0, 0.0);
    for (i, (weight, found)) in weights.iter().zip(found).enumerate() {
        let count = f64::from(importance.map_or(1.0, |all| all[i % COLUMNS]));
        above += count * f64::from(weight - found).powi(2);
        below += count * f64::from(*weight).powi(2);
    }
    above / below
}

/// Best rate of several rounds, in 1e6 weights a second of this thread's own time: others may be at work too. The system may
/// count that time in steps of milliseconds, so a round takes a tenth of a second at least.
fn best(mut run: impl FnMut()) -> f64 {
    const ROUND_SECONDS: f64 = 0.1;
    let mut best = 0.0_f64;
    for _ in 0..ROUNDS {
        let (mut runs, mut seconds) = (0, 0.0);
        while seconds < ROUND_SECONDS {
            seconds += seconds_of(&mut run);
            runs += 1;
        }
        best = best.max((runs * ROWS * COLUMNS) as f64 / seconds / 1e6);
    }
    best
}

/// This thread's own time, where the system tells it.
fn seconds_of(run: &mut dyn FnMut()) -> f64 {
    let (start, clock) = (on_processor(), Instant::now());
    run();
    match (start, on_processor()) {
        (Some(start), Some(end)) => (end - start) as f64 / 1e9,
        _ => clock.elapsed().as_secs_f64(),
    }
}

/// Nanoseconds of this thread on a processor, where the system tells them.
fn on_processor() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 24) as f32
    }

    /// Of mean 0 and deviation 1, near enough.
    fn gauss(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}
