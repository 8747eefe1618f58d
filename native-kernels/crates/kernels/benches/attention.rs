//! Rates of the attention kernel: `cargo bench --bench attention [-- threads]`.
//!
//! Results are compared with the judge before anything is timed; one warm-up, then nine runs. One JSON object a line.
//! `gflop_s` counts two operations for each product of a score and of a value that a query sees.

use std::time::Instant;

use lathe_kernels::Context;
use lathe_kernels::attention::{Attention, Rows, attend_reference, attend_with};
use lathe_kernels::cpu::Backend;

const RUNS: usize = 9;

struct Shape {
    what: &'static str,
    windows: usize,
    length: usize,
    heads: usize,
    key_heads: usize,
    head_size: usize,
}

const SHAPES: [Shape; 5] = [
    Shape { what: "docs-llama-7m", windows: 2, length: 256, heads: 8, key_heads: 4, head_size: 32 },
    Shape { what: "SmolLM2-135M", windows: 2, length: 256, heads: 9, key_heads: 3, head_size: 64 },
    Shape { what: "SmolLM2-135M", windows: 1, length: 1024, heads: 9, key_heads: 3, head_size: 64 },
    Shape { what: "Llama 8B", windows: 1, length: 2048, heads: 32, key_heads: 8, head_size: 128 },
    Shape { what: "long window", windows: 1, length: 8192, heads: 8, key_heads: 2, head_size: 128 },
];

fn main() {
    let threads = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let context = Context::with_threads(threads).expect("a pool");
    for shape in &SHAPES {
        let rows = shape.windows * shape.length;
        let (query_width, key_width) = (shape.heads * shape.head_size, shape.key_heads * shape.head_size);
        let (query, key, value) =
            (noise(rows * query_width, 1), noise(rows * key_width, 2), noise(rows * key_width, 3));
        let angles: Vec<f32> = (0..shape.length * shape.head_size / 2).map(|at| at as f32 * 0.37).collect();
        let cosines: Vec<f32> = angles.iter().map(|angle| angle.cos()).collect();
        let sines: Vec<f32> = angles.iter().map(|angle| angle.sin()).collect();
        let attention = Attention {
            query: Rows { data: &query, stride: query_width },
            key: Rows { data: &key, stride: key_width },
            value: Rows { data: &value, stride: key_width },
            windows: shape.windows,
            length: shape.length,
            heads: shape.heads,
            key_heads: shape.key_heads,
            head_size: shape.head_size,
            scale: 1.0 / (shape.head_size as f32).sqrt(),
            soft_cap: None,
            window: None,
            cosines: &cosines,
            sines: &sines,
            rotary_dimensions: shape.head_size,
        };
        let seen = shape.windows * shape.length * (shape.length + 1) / 2;
        let operations = (4 * seen * query_width) as f64;
        for backend in Backend::available() {
            let mut out = vec![0.0; rows * query_width];
            attend_with(backend, &context, &attention, &mut out).expect("sound lengths");
            if shape.length <= 256 {
                verify(&attention, &out);
            }
            let mut rates: Vec<f64> = (0..RUNS)
                .map(|_| {
                    let start = Instant::now();
                    attend_with(backend, &context, &attention, &mut out).expect("sound lengths");
                    operations / start.elapsed().as_secs_f64() / 1e9
                })
                .collect();
            rates.sort_by(f64::total_cmp);
            println!(
                "{{\"family\":\"attention\",\"what\":\"{}\",\"length\":{},\"backend\":\"{}\",\"threads\":{threads},\
                 \"best_gflop_s\":{:.1},\"median_gflop_s\":{:.1}}}",
                shape.what,
                shape.length,
                backend.name(),
                rates[RUNS - 1],
                rates[RUNS / 2]
            );
        }
    }
}

fn verify(attention: &Attention<'_>, found: &[f32]) {
    let mut expected = vec![0.0; found.len()];
    attend_reference(attention, &mut expected);
    let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "off by {worst}");
}

fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}
