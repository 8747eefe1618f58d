//! `cargo bench --bench blocks [-- TYPE …]`: dequantization of every block format by every backend, in memory, beside a plain copy.

use std::time::Instant;

use lathe_kernels::blocks::{GgmlType, dequantize, dequantize_reference};
use lathe_kernels::cpu::Backend;

/// 64 Mi weights: 256 MiB of output, far more than the second-level cache.
const WEIGHTS: usize = 64 << 20;
/// The pieces that the streaming calls decode at a time.
const PIECE: usize = 64 << 10;
const ROUNDS: usize = 9;

fn main() {
    let noise: Vec<u8> = (0..WEIGHTS as u64 * 4).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as u8).collect();
    let mut out = vec![0.0_f32; WEIGHTS];
    let copied: Vec<f32> = vec![1.0; WEIGHTS];
    let rate = best(|| out.copy_from_slice(&copied));
    println!("copy of f32          {:7.2} G weights/s", rate);
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    for ggml_type in GgmlType::ALL {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == ggml_type.name()) {
            continue;
        }
        let bytes = WEIGHTS / ggml_type.block_elements() as usize * ggml_type.block_bytes() as usize;
        let piece = PIECE / ggml_type.block_elements() as usize * ggml_type.block_bytes() as usize;
        let mut expected = vec![0.0_f32; PIECE];
        dequantize_reference(ggml_type, &noise[..piece], &mut expected);
        for backend in Backend::available() {
            let mut cached = vec![0.0_f32; PIECE];
            dequantize(backend, ggml_type, &noise[..piece], &mut cached);
            let is_same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
            assert!(cached.iter().zip(&expected).all(is_same), "{} {}", ggml_type.name(), backend.name());
            let memory = best(|| dequantize(backend, ggml_type, &noise[..bytes], &mut out));
            let in_cache = best(|| {
                for piece in noise[..bytes].chunks_exact(piece) {
                    dequantize(backend, ggml_type, piece, &mut cached);
                }
            });
            println!(
                "{:7} {:7} {memory:7.2} G weights/s to memory, {in_cache:6.2} to the cache, {:6.2} GB/s of blocks",
                ggml_type.name(),
                backend.name(),
                memory * bytes as f64 / WEIGHTS as f64,
            );
        }
    }
}

/// Best rate of several rounds, in 1e9 weights a second of this thread's own time: others may be at work too.
fn best(mut run: impl FnMut()) -> f64 {
    let mut seconds = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Clock::start();
        run();
        seconds = seconds.min(start.seconds());
    }
    WEIGHTS as f64 / seconds / 1e9
}

/// This thread's time on a processor where the system tells it, else the wall's.
struct Clock(Option<u64>, Instant);

impl Clock {
    fn start() -> Self {
        Self(on_processor(), Instant::now())
    }

    fn seconds(&self) -> f64 {
        match (self.0, on_processor()) {
            (Some(start), Some(end)) => (end - start) as f64 / 1e9,
            _ => self.1.elapsed().as_secs_f64(),
        }
    }
}

/// Nanoseconds.
fn on_processor() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}
