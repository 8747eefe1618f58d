//! Rates of the DFloat11 coder on one thread, in memory: `cargo bench --bench dfloat11 [-- mebi-weights]`.
//!
//! The output is verified before it is timed; one warm-up, then seven runs. One JSON object a line. Rates are millions
//! of weights a second (a weight is 2 bytes). `copy` is a plain copy of the same words.

use std::time::Instant;

use lathe_kernels::cpu::Backend;
use lathe_kernels::lossless::dfloat11::in_memory::{StoredUnit, decode_words, encode_words, measure_words};

const RUNS: usize = 7;
const CHUNK_ELEMENTS: usize = 1 << 18;
const GROUP_BLOCKS: usize = 16;

fn main() {
    // Cargo passes `--bench`.
    let mebi = std::env::args().skip(1).find_map(|argument| argument.parse::<usize>().ok()).unwrap_or(64);
    let words = heavy_tailed(mebi << 20, 7);
    let mut back = vec![0; words.len()];
    time("copy", "memory", words.len() / 2, || back.copy_from_slice(&words));
    for backend in Backend::available() {
        let name = backend.name();
        let plan = measure_words(backend, &words, CHUNK_ELEMENTS).expect("a plan");
        let mut unit = StoredUnit::default();
        encode_words(backend, &plan, &words, &mut unit).expect("a stored unit");
        back.fill(0);
        decode_words(backend, &unit, &mut back, GROUP_BLOCKS).expect("decoded words");
        assert!(back == words, "{name}: decoded words differ");
        time("measure", name, words.len() / 2, || {
            measure_words(backend, &words, CHUNK_ELEMENTS).expect("a plan");
        });
        time("encode", name, words.len() / 2, || {
            encode_words(backend, &plan, &words, &mut unit).expect("a stored unit");
        });
        time("decode", name, words.len() / 2, || {
            decode_words(backend, &unit, &mut back, GROUP_BLOCKS).expect("decoded words");
        });
    }
}

fn time(what: &str, backend: &str, weights: usize, mut run: impl FnMut()) {
    run();
    let mut rates: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            weights as f64 / start.elapsed().as_secs_f64() / 1e6
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!(
        "{{\"family\":\"dfloat11\",\"what\":\"{what}\",\"backend\":\"{backend}\",\"threads\":1,\"weights\":{weights},\
         \"best_mweights_s\":{:.0},\"median_mweights_s\":{:.0}}}",
        rates[RUNS - 1],
        rates[RUNS / 2]
    );
}

/// BF16 words: sums of uniform values divided by a uniform one, of four scales.
fn heavy_tailed(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    let mut words = Vec::with_capacity(2 * count);
    for index in 0..count {
        let (bits, more) = (next(), next());
        // Six 10-bit values: near a bell curve.
        let sum: u64 = (0..6).map(|i| bits >> (10 * i) & 1023).sum();
        let normal = (sum as f32 - 3069.0) / 724.0;
        let divisor = (more >> 40) as f32 / (1 << 24) as f32 + 0.05;
        let scale = [0.02, 0.005, 0.04, 0.3][index >> 16 & 3];
        let value = normal * scale * if more & 7 == 0 { 1.0 / divisor } else { 1.0 };
        words.extend_from_slice(&((value.to_bits() >> 16) as u16).to_le_bytes());
    }
    words
}
