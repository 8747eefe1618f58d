//! How fast split planes are coded: 64 Mi heavy-tailed BF16 weights of several scales, through files in memory's cache.
//!
//! Prints one JSON object a line. Each figure is taken after the decoded bytes were compared with the original, one
//! warm-up run and seven timed ones.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lathe_kernels::checksum::{Sha256Stream, update_both};
use lathe_kernels::context::Context;
use lathe_kernels::cpu::Backend;
use lathe_kernels::files::{ByteRange, InputFile, OutputFile, Target};
use lathe_kernels::lossless::split_plane::{
    Codec, CoderChoice, EncodedTensor, Split, decode, encode, measure, time_item_coding,
};

const RUNS: usize = 7;

fn weights(count: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes = Vec::with_capacity(2 * count);
    for i in 0..count {
        // Sums of uniform numbers are nearly normal; one in a thousand is drawn from a wider tail.
        let word = next();
        let sum: i32 = (0..4).map(|k| ((word >> (16 * k)) & 0xffff) as i32 - 0x8000).sum();
        let scale = [0.02_f32, 0.011, 0.035][(i >> 20) % 3];
        let tail = if next().is_multiple_of(1000) { 8.0 } else { 1.0 };
        let value = sum as f32 / 37_837.0 * scale * tail;
        bytes.extend_from_slice(&((value.to_bits() >> 16) as u16).to_le_bytes());
    }
    bytes
}

fn report(what: &str, codec: &str, threads: usize, weights: usize, mut run: impl FnMut()) {
    run();
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let rate = |seconds: f64| weights as f64 / seconds / 1e6;
    println!(
        "{{\"family\":\"split-plane\",\"what\":\"{what}\",\"codec\":\"{codec}\",\"backend\":\"{}\",\"threads\":{threads},\"weights\":{weights},\"best_mweights_s\":{:.0},\"median_mweights_s\":{:.0}}}",
        Backend::best().name(),
        rate(seconds[0]),
        rate(seconds[RUNS / 2]),
    );
}

fn coded(context: &Context, source: &[ByteRange], choice: CoderChoice, file: &Path) -> EncodedTensor {
    let output = OutputFile::open(file).expect("an output file");
    encode(context, source, Split::Bf16, choice, &output, 0, 0, None).expect("an encoded tensor")
}

fn main() {
    let count = 64 << 20;
    let bytes = weights(count);
    let folder: PathBuf = std::env::temp_dir().join(format!("lathe-bench-split-plane-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let source_path = folder.join("source");
    std::fs::write(&source_path, &bytes).expect("the source");
    let source = [ByteRange { path: source_path, offset: 0, bytes: bytes.len() as u64 }];

    let mut copy = vec![0_u8; bytes.len()];
    report("memory copy", "none", 1, count, || black_box(&mut copy).copy_from_slice(black_box(&bytes)));
    report("sha-256", "none", 1, count, || {
        let mut sha = Sha256Stream::default();
        sha.update(&bytes);
        black_box(sha.hex());
    });
    report("sha-256 into two streams", "none", 1, count, || {
        let (mut a, mut b) = (Sha256Stream::default(), Sha256Stream::default());
        b.update(b"x");
        update_both(&mut a, &mut b, &bytes);
        black_box((a.hex(), b.hex()));
    });
    drop(copy);

    for backend in Backend::available() {
        for codec in [Codec::Rans12x32, Codec::Huff12, Codec::Pal4] {
            let times = time_item_coding(backend, codec, &bytes[..16 << 20], RUNS).expect("coded items");
            for (what, seconds) in [("encode in memory", &times.encode), ("decode in memory", &times.decode)] {
                let rate = |seconds: f64| (8 << 20) as f64 / seconds / 1e6;
                println!(
                    "{{\"family\":\"split-plane\",\"what\":\"{what}\",\"codec\":\"{}\",\"backend\":\"{}\",\"threads\":1,\"weights\":{},\"best_mweights_s\":{:.0},\"median_mweights_s\":{:.0}}}",
                    codec.name(),
                    backend.name(),
                    8 << 20,
                    rate(seconds[0]),
                    rate(seconds[seconds.len() / 2]),
                );
            }
        }
    }

    let file = folder.join("coded");
    for threads in [1, 2] {
        let context = Context::with_threads(threads).expect("threads");
        for codec in [Codec::Rans12x32, Codec::Huff12, Codec::Pal4] {
            let choice = CoderChoice::Only(codec);
            let tensor = coded(&context, &source, choice, &file);
            let input = InputFile::open(&file).expect("the coded file");
            let compare = Target::compare(&source).expect("the source");
            let length = bytes.len() as u64;
            decode(&context, &input, 0, &tensor.planes, Split::Bf16, length, &compare, None).expect("the same bytes");
            report("encode with sha-256", codec.name(), threads, count, || {
                black_box(coded(&context, &source, choice, &file));
            });
            if codec == Codec::Rans12x32 {
                report("encode with sha-256 of tensor and file", codec.name(), threads, count, || {
                    let output = OutputFile::open(&file).expect("an output file");
                    let mut whole = Sha256Stream::default();
                    whole.update(b"header");
                    encode(&context, &source, Split::Bf16, choice, &output, 0, 0, Some(&mut whole)).expect("a tensor");
                    black_box(whole.hex());
                });
            }
            let discard = Target::Discard(length);
            report("decode", codec.name(), threads, count, || {
                decode(&context, &input, 0, &tensor.planes, Split::Bf16, length, &discard, None)
                    .expect("a decoded tensor");
            });
            let out = [ByteRange { path: folder.join("restored"), offset: 0, bytes: length }];
            let write = Target::write(&out).expect("an output file");
            report("decode and write", codec.name(), threads, count, || {
                decode(&context, &input, 0, &tensor.planes, Split::Bf16, length, &write, None)
                    .expect("a decoded tensor");
            });
        }
        report("measure", "none", threads, count, || {
            black_box(measure(&context, &source, Split::Bf16).expect("histograms"));
        });
    }
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}
