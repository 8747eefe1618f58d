//! Tensors in files to blocks in files.

use std::path::PathBuf;

use super::quantized_block_tests::{block_types, bytes_for, noise, options};
use super::*;
use crate::blocks::GgmlType;
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::Status;
use crate::files::{ByteRange, Target};

pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lathe-quantize-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The bytes, some way into a file.
    pub fn store(&self, name: &str, bytes: &[u8]) -> ByteRange {
        let path = self.0.join(name);
        std::fs::write(&path, [&[7; 13], bytes].concat()).unwrap();
        ByteRange { path, offset: 13, bytes: bytes.len() as u64 }
    }

    pub fn room(&self, name: &str, bytes: usize) -> ByteRange {
        let path = self.0.join(name);
        let _ = std::fs::remove_file(&path);
        ByteRange { path, offset: 5, bytes: bytes as u64 }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Weights as BF16, and what they are then.
pub fn bf16(weights: &[f32]) -> (Vec<u8>, Vec<f32>) {
    let words = weights.iter().map(|weight| (weight.to_bits() >> 16) as u16);
    let rounded = words.clone().map(|word| f32::from_bits(u32::from(word) << 16)).collect();
    (words.flat_map(u16::to_le_bytes).collect(), rounded)
}

fn source(ranges: Vec<ByteRange>, columns: usize) -> WeightSource {
    WeightSource { ranges, stored_type: GgmlType::Bf16, columns: columns as u64, order: SourceOrder::Stored }
}

fn in_memory(options: &BlockOptions<'_>, weights: &[f32]) -> Vec<u8> {
    let mut out = vec![0; bytes_for(options.ggml_type, weights.len())];
    quantize_blocks(Backend::best(), options, 0, weights, &mut out).unwrap();
    out
}

#[test]
fn files_get_the_bytes_and_figures_of_memory_at_any_thread_count() {
    let folder = Folder::new("files");
    // More than two pieces, and no whole number of them.
    let (rows, columns) = (402, 768);
    let (stored, weights) = bf16(&noise(rows * columns, 41));
    let halves = stored.split_at(stored.len() / 3 * 2);
    let ranges = vec![folder.store("a", halves.0), folder.store("b", halves.1)];
    let importance: Vec<f32> = (0..columns).map(|column| 1.0 + (column % 5) as f32).collect();
    for ggml_type in block_types() {
        let options = options(ggml_type, columns, Some(&importance));
        let expected = in_memory(&options, &weights);
        let mut all = Vec::new();
        for threads in [1, 2, 5] {
            let context = Context::with_threads(threads).unwrap();
            let range = folder.room("out", expected.len());
            let target = Target::write(std::slice::from_ref(&range)).unwrap();
            all.push(quantize_tensor(&context, &source(ranges.clone(), columns), &options, &target).unwrap());
            assert!(std::fs::read(&range.path).unwrap()[5..] == expected, "{} {threads}", ggml_type.name());
            assert_eq!(context.control.done_bytes(), stored.len() as u64);
        }
        assert_eq!((all[0], all[0]), (all[1], all[2]), "{}", ggml_type.name());
        let mut decoded = vec![0.0; weights.len()];
        crate::blocks::dequantize_reference(ggml_type, &expected, &mut decoded);
        let (mut error, mut weighted, mut most) = (0.0, 0.0, 0.0_f64);
        for (i, (weight, found)) in weights.iter().zip(&decoded).enumerate() {
            let difference = f64::from(*weight) - f64::from(*found);
            error += difference * difference;
            weighted += f64::from(importance[i % columns]) * difference * difference;
            most = most.max(difference.abs());
        }
        let is_near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b;
        assert!(is_near(all[0].squared_error, error) && is_near(all[0].weighted_error, weighted));
        assert_eq!((all[0].max_abs_error, all[0].weights), (most, weights.len() as u64));
    }
}

#[test]
fn rows_of_heads_are_paired_as_llamas_files_have_them() {
    let folder = Folder::new("pairs");
    // 2 heads of 8 rows, as the published order has it, in rows longer than a piece's share.
    let columns = 96 * 256;
    let (stored, weights) = bf16(&noise(16 * columns, 43));
    let order = [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15];
    let moved: Vec<f32> = order.iter().flat_map(|row| weights[row * columns..][..columns].to_vec()).collect();
    let options = options(GgmlType::Q6K, columns, None);
    let range = folder.room("out", bytes_for(GgmlType::Q6K, weights.len()));
    let target = Target::write(std::slice::from_ref(&range)).unwrap();
    let source = WeightSource {
        order: SourceOrder::HalvesToPairs { heads: 2 },
        ..source(vec![folder.store("weights", &stored)], columns)
    };
    quantize_tensor(&Context::with_threads(3).unwrap(), &source, &options, &target).unwrap();
    assert!(std::fs::read(&range.path).unwrap()[5..] == in_memory(&options, &moved));
}

#[test]
fn blocks_are_a_source_too() {
    let folder = Folder::new("again");
    let weights = noise(64 * 512, 44);
    let first = in_memory(&options(GgmlType::Q8_0, 512, None), &weights);
    let mut decoded = vec![0.0; weights.len()];
    crate::blocks::dequantize_reference(GgmlType::Q8_0, &first, &mut decoded);
    let options = options(GgmlType::Q4K, 512, None);
    let range = folder.room("out", bytes_for(GgmlType::Q4K, weights.len()));
    let target = Target::write(std::slice::from_ref(&range)).unwrap();
    let source = WeightSource { stored_type: GgmlType::Q8_0, ..source(vec![folder.store("q8", &first)], 512) };
    quantize_tensor(&Context::with_threads(2).unwrap(), &source, &options, &target).unwrap();
    assert!(std::fs::read(&range.path).unwrap()[5..] == in_memory(&options, &decoded));
}

#[test]
fn refuses_sizes_that_do_not_fit_and_stops_when_cancelled() {
    let folder = Folder::new("refusals");
    let (stored, _) = bf16(&noise(16 * 256, 45));
    let range = folder.store("weights", &stored);
    let context = Context::with_threads(2).unwrap();
    let bytes = bytes_for(GgmlType::Q4K, 16 * 256) as u64;
    let run = |source: &WeightSource, columns: usize, room: u64| {
        quantize_tensor(&context, source, &options(GgmlType::Q4K, columns, None), &Target::Discard(room))
            .map_err(|error| error.status)
    };
    let plain = source(vec![range.clone()], 256);
    assert!(run(&plain, 256, bytes).is_ok());
    let pairs = |heads| WeightSource { order: SourceOrder::HalvesToPairs { heads }, ..plain.clone() };
    for (source, columns, room) in [
        (&plain, 512, bytes),
        (&plain, 256, bytes + 1),
        (&source(vec![range.clone()], 300), 300, bytes),
        (&source(vec![range.clone()], 0), 256, bytes),
        (&source(vec![ByteRange { bytes: 511, ..range.clone() }], 256), 256, bytes),
        (&pairs(0), 256, bytes),
        (&pairs(5), 256, bytes),
        (&pairs(16), 256, bytes),
    ] {
        assert_eq!(run(source, columns, room), Err(Status::BadArgument), "{source:?} {columns} {room}");
    }
    let mut bad = stored.clone();
    bad[2 * 1000 + 1] = 0x7f;
    bad[2 * 1000] = 0xc0;
    let bad = source(vec![folder.store("nan", &bad)], 256);
    let error = quantize_tensor(&context, &bad, &options(GgmlType::Q4K, 256, None), &Target::Discard(bytes));
    let error = error.unwrap_err();
    assert_eq!((error.status, error.what.as_str()), (Status::NotFinite, "weight 1000 is NaN"));
    context.control.cancel();
    assert_eq!(run(&plain, 256, bytes), Err(Status::Cancelled));
}

#[test]
fn floats_are_rounded_and_their_heads_paired() {
    let folder = Folder::new("floats");
    let weights = noise(8 * 3, 7);
    let (stored, exact) = bf16(&weights);
    let mut from = source(vec![folder.store("source", &stored)], 3);
    from.order = SourceOrder::HalvesToPairs { heads: 2 };
    let paired: Vec<f32> = [0, 2, 1, 3, 4, 6, 5, 7].iter().flat_map(|row| exact[3 * row..][..3].to_vec()).collect();
    let context = Context::with_threads(2).unwrap();
    for (ggml_type, wanted) in [
        (GgmlType::F32, paired.iter().flat_map(|weight| weight.to_le_bytes()).collect::<Vec<u8>>()),
        (GgmlType::Bf16, bf16(&paired).0),
    ] {
        let room = folder.room(ggml_type.name(), wanted.len());
        let options = options(ggml_type, 3, None);
        let figures =
            quantize_tensor(&context, &from, &options, &Target::write(std::slice::from_ref(&room)).unwrap()).unwrap();
        assert_eq!(std::fs::read(room.path).unwrap()[5..], wanted);
        assert_eq!((figures.weights, figures.squared_error), (24, 0.0));
    }
}

#[test]
fn a_weight_that_a_float_cannot_hold_is_refused() {
    for (ggml_type, weight) in [(GgmlType::F16, 70000.0), (GgmlType::Bf16, f32::MAX)] {
        let mut out = [0; 2];
        let error = quantize_blocks(Backend::best(), &options(ggml_type, 1, None), 4, &[weight], &mut out).unwrap_err();
        assert_eq!(error.status, Status::Unrepresentable);
        assert!(error.what.contains("weight 4"), "{}", error.what);
    }
}
