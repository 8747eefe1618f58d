//! The sample model's eight layers as the official compressor 0.5.0 stored them: same bytes out, same weights back.
//!
//! The files are not part of the project. They are read from `$LATHE_SHARED/models`, or from a folder `shared` beside
//! the project, and the test says so and passes where there are none.

use std::path::{Path, PathBuf};

use super::super::{UnitFields, decode, encode, measure};
use super::unit::{Folder, sha256, whole};
use crate::context::Context;
use crate::files::{ByteRange, Target};

/// SHA-256 (first 16 digits) of the official `encoded_exponent`, `gaps`, `luts` and `output_positions` by layer.
const OFFICIAL: [[&str; 4]; 8] = [
    ["2eb5716abfb1eb15", "c3fc8fd16e998377", "0af9965c9fe75663", "2e8c0afdece9196b"],
    ["d32e2ea132a4e5ba", "764790b1e475d826", "0f47c6d95a8c7a41", "1249f94af2b7cea1"],
    ["3341571e9e61e876", "d99f7830b4a17818", "94421f8201fbe54d", "c29c0d7c7e024f90"],
    ["01c68b60fd35028f", "35408b0f44df93d1", "7a829643b3d6278c", "3e678e727e6082cb"],
    ["188ab7a2d8240227", "f97d15a9e7b99d9d", "d46d3a8a765f91be", "0f161fa93223fb1d"],
    ["f80d7f50c6cdef7a", "808b9cdebefb59f9", "b6155a335d1bde01", "03517c7f71fc0d3b"],
    ["5c925d11dc793801", "aaa79e7dc2526305", "dd5413abb31544f5", "e1f326a9ab570a88"],
    ["6765596e819d68dc", "f497aa04b7f9bfbd", "89ea8f0935e7e0f5", "de7c54e0fad109e0"],
];

/// Concatenation order of a unit, from the official `config.json`.
const TENSORS: [&str; 7] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
];

/// The sample models' folder, if it is there.
fn models() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared");
    let shared = std::env::var_os("LATHE_SHARED").map_or(beside, PathBuf::from);
    let models = shared.join("models");
    models.join("golden/dfloat11-docs-llama-7m").is_dir().then_some(models)
}

/// Where a tensor lies, read crudely from a safetensors header.
fn tensor(path: &Path, name: &str) -> ByteRange {
    let file = std::fs::read(path).unwrap();
    let header_bytes = u64::from_le_bytes(file[..8].try_into().unwrap());
    let header = std::str::from_utf8(&file[8..8 + header_bytes as usize]).unwrap();
    let entry = &header[header.find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("no tensor {name}"))..];
    let offsets = &entry[entry.find("\"data_offsets\":[").unwrap() + 16..];
    let numbers: Vec<u64> =
        offsets[..offsets.find(']').unwrap()].split(',').map(|number| number.trim().parse().unwrap()).collect();
    ByteRange { path: path.to_path_buf(), offset: 8 + header_bytes + numbers[0], bytes: numbers[1] - numbers[0] }
}

fn bytes(range: &ByteRange) -> Vec<u8> {
    std::fs::read(&range.path).unwrap()[range.offset as usize..(range.offset + range.bytes) as usize].to_vec()
}

#[test]
fn all_layers_equal_the_official_bytes_and_decode_to_the_source() {
    let Some(models) = models() else {
        println!("skipped: no sample models (set LATHE_SHARED)");
        return;
    };
    let source = models.join("docs-llama-7m/model.safetensors");
    for (layer, hashes) in OFFICIAL.iter().enumerate() {
        let unit = format!("model.layers.{layer}");
        let segments: Vec<ByteRange> =
            TENSORS.iter().map(|name| tensor(&source, &format!("{unit}.{name}.weight"))).collect();
        let file = models.join(format!("golden/dfloat11-docs-llama-7m/model_layers_{layer}.safetensors"));
        let official = |field: &str| tensor(&file, &format!("{unit}.{field}"));
        let official = UnitFields {
            luts: official("luts"),
            encoded_exponent: official("encoded_exponent"),
            sign_mantissa: official("sign_mantissa"),
            output_positions: official("output_positions"),
            gaps: official("gaps"),
        };
        let mut sum = 0;
        let splits: Vec<u8> = segments[..6]
            .iter()
            .flat_map(|segment| {
                sum += segment.bytes / 2;
                sum.to_le_bytes()
            })
            .collect();
        assert_eq!(bytes(&tensor(&file, &format!("{unit}.split_positions"))), splits, "layer {layer}");

        let context = Context::with_threads(2).unwrap();
        let plan = measure(&context, &segments).unwrap();
        assert!(plan.origin.is_official_bytes());
        let folder = Folder::new();
        let field = |name: &str, size: u64| whole(&folder.0.join(name), size);
        let ours = UnitFields {
            luts: field("luts", plan.luts_bytes()),
            encoded_exponent: field("stream", plan.stream_bytes),
            sign_mantissa: field("sm", plan.elements),
            output_positions: field("positions", plan.positions_bytes()),
            gaps: field("gaps", plan.gaps_bytes()),
        };
        encode(&context, &segments, &plan, &ours).unwrap();
        for (name, ours, official, hash) in [
            ("encoded_exponent", &ours.encoded_exponent, &official.encoded_exponent, Some(hashes[0])),
            ("gaps", &ours.gaps, &official.gaps, Some(hashes[1])),
            ("luts", &ours.luts, &official.luts, Some(hashes[2])),
            ("output_positions", &ours.output_positions, &official.output_positions, Some(hashes[3])),
            ("sign_mantissa", &ours.sign_mantissa, &official.sign_mantissa, None),
        ] {
            let stored = bytes(ours);
            assert!(stored == bytes(official), "layer {layer}: {name} differs");
            assert!(
                hash.is_none_or(|hash| sha256(&stored).starts_with(hash)),
                "layer {layer}: {name} {}",
                sha256(&stored)
            );
        }

        let compare = Target::compare(&segments).unwrap();
        decode(&context, &official, plan.elements, &compare).unwrap();
    }
}
