//! The coders against the published vectors, the plain reference, and lies.

use proptest::prelude::*;

use super::book;
use super::plane_writer::{BlobWriter, Piece, PlaneCoder};
use super::split_decode::decode_with;
use super::split_encode::{Settings, encode_with};
use super::split_reference as reference;
use super::*;
use crate::checksum::{Sha256Stream, Xxh3Stream};
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{Result, Status};
use crate::files::{ByteRange, InputFile, OutputFile, Target};
use std::path::PathBuf;

const A: [u8; 16] = [121, 120, 121, 122, 119, 121, 120, 118, 121, 122, 120, 121, 119, 122, 120, 121];
const BOOK_A: [BookEntry; 5] = [(118, 256), (119, 512), (120, 1024), (121, 1536), (122, 768)];

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("lathe-split-plane-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sha256(bytes: &[u8]) -> String {
    let mut sha = Sha256Stream::default();
    sha.update(bytes);
    sha.hex()
}

fn xxh3(bytes: &[u8]) -> String {
    let mut xxh3 = Xxh3Stream::default();
    xxh3.update(bytes);
    xxh3.hex()
}

/// The blob that the streaming writer makes of a plane.
fn blob_of(folder: &Folder, backend: Backend, codec: Codec, book: &[BookEntry], symbols: &[u8]) -> Vec<u8> {
    let path = folder.path("blob");
    let _ = std::fs::remove_file(&path);
    let output = OutputFile::open(&path).unwrap();
    let coder = PlaneCoder::new(backend, codec, book);
    let mut writer = BlobWriter::new(&output, 0, &coder, symbols.len() as u64, 0);
    for item in symbols.chunks(ITEM_ELEMENTS) {
        let mut piece = Piece::default();
        piece.symbols = item.to_vec();
        coder.encode(&mut piece).unwrap();
        writer.put(&coder, &piece).unwrap();
    }
    let blob = writer.finish(&coder, u64::MAX, 0).unwrap().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!((blob.bytes, blob.xxh3), (bytes.len() as u64, xxh3(&bytes)));
    bytes
}

/// Decodes a blob as a plane of bytes.
fn decoded(
    folder: &Folder,
    backend: Backend,
    codec: Codec,
    book: &[BookEntry],
    blob: &[u8],
    elements: u64,
) -> Result<Vec<u8>> {
    let path = folder.path("stored");
    std::fs::write(&path, blob).unwrap();
    let plane = Plane {
        kind: PlaneKind::Bytes,
        codec,
        offset: 0,
        bytes: blob.len() as u64,
        elements,
        first: 0,
        xxh3: xxh3(blob),
        book: book.to_vec(),
    };
    let out = folder.path("decoded");
    let _ = std::fs::remove_file(&out);
    let target = Target::write(&[ByteRange { path: out.clone(), offset: 0, bytes: elements }]).unwrap();
    let context = Context::with_threads(1).unwrap();
    let input = InputFile::open(&path).unwrap();
    decode_with(&context, backend, PART_ELEMENTS, &input, 0, &[plane], Split::Bytes, elements, &target, None)?;
    Ok(std::fs::read(&out).unwrap())
}

fn generator(seed: u32) -> impl FnMut() -> u32 {
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u32
    }
}

/// Planes of many shapes: exponents, flat, skewed, few symbols.
fn plane(shape: u32, length: usize) -> Vec<u8> {
    let mut next = generator(shape + 1);
    (0..length)
        .map(|i| match shape {
            0 => 127 - next().leading_zeros().min(40) as u8,
            1 => next() as u8,
            2 => u8::from(i == length / 2),
            3 => (next() & 1) as u8 * 200,
            4 => (i % 256) as u8,
            5 => 3 * (next() % 16) as u8,
            6 => (next() % 65) as u8 + (next() % 3) as u8,
            7 => (next().leading_zeros() * 8 + next() % 8) as u8,
            _ => 255 - u8::from(next().is_multiple_of(4096)),
        })
        .collect()
}

fn histogram_of(symbols: &[u8]) -> Histogram {
    let mut histogram = [0; 256];
    count_bytes(symbols, &mut histogram);
    histogram
}

#[test]
fn writes_the_published_vectors_on_every_backend() {
    let folder = Folder::new("vectors");
    let v2: Vec<u8> = A.iter().copied().cycle().take(6400).collect();
    let mut state = 12345_u32;
    let mut step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state
    };
    let limits: [(u8, u32); 20] = [
        (120, 19000),
        (121, 35000),
        (119, 44000),
        (122, 52000),
        (118, 56500),
        (117, 59000),
        (123, 61500),
        (116, 63000),
        (115, 64000),
        (124, 64600),
        (114, 65000),
        (113, 65250),
        (125, 65400),
        (112, 65450),
        (111, 65490),
        (110, 65515),
        (109, 65525),
        (108, 65531),
        (0, 65534),
        (126, 65536),
    ];
    let v3: Vec<u8> = (0..40_000)
        .map(|_| {
            let u = step() >> 16;
            step();
            limits.iter().find(|(_, limit)| u < *limit).unwrap().0
        })
        .collect();
    let book_g: [BookEntry; 20] = [
        (0, 1),
        (108, 1),
        (109, 1),
        (110, 1),
        (111, 2),
        (112, 3),
        (113, 15),
        (114, 25),
        (115, 62),
        (116, 93),
        (117, 156),
        (118, 281),
        (119, 562),
        (120, 1190),
        (121, 1000),
        (122, 500),
        (123, 156),
        (124, 37),
        (125, 9),
        (126, 1),
    ];
    for backend in Backend::available() {
        let blob = blob_of(&folder, backend, Codec::Rans12x32, &BOOK_A, &A);
        assert_eq!(blob.len(), 8 + 128);
        let states: Vec<u32> = blob[8..].as_chunks::<4>().0.iter().map(|state| u32::from_le_bytes(*state)).collect();
        let first = [
            0x15900, 0x20300, 0x15900, 0x2af00, 0x40100, 0x15900, 0x20300, 0x80000, 0x15900, 0x2af00, 0x20300, 0x15900,
            0x40100, 0x2af00, 0x20300, 0x15900,
        ];
        assert_eq!((&states[..16], &states[16..]), (&first[..], &[0x8000; 16][..]));
        let blob = blob_of(&folder, backend, Codec::Rans12x32, &BOOK_A, &v2);
        assert_eq!(blob.len() - 8, 1792);
        assert_eq!(sha256(&blob[8..]), "6152c3e493e6112ebb8f1bb5487fa383d05840566aa0559cf154e8cd61dcbee9");
        let blob = blob_of(&folder, backend, Codec::Rans12x32, &book_g, &v3);
        assert_eq!(blob.len(), 14_064);
        assert_eq!(sha256(&blob), "74183447479a939a79039706dbc56666172a349af7bf692e10ac6f4a18681c30");
        assert_eq!(decoded(&folder, backend, Codec::Rans12x32, &book_g, &blob, 40_000).unwrap(), v3);
    }
}

#[test]
fn every_codec_and_backend_writes_what_the_reference_writes() {
    let folder = Folder::new("reference");
    for shape in 0..9 {
        for length in
            [1, 2, 31, 32, 33, 127, 128, 129, 4096, 4097, 8191, 65535, 65536, 65537, 131_071, 131_075, 200_003]
        {
            let symbols = plane(shape, length);
            let histogram = histogram_of(&symbols);
            let books = [
                (Codec::Rans12x32, book::frequencies(&histogram)),
                (Codec::Huff12, book::code_lengths(&histogram)),
                (Codec::Pal4, book::palette(&histogram)),
            ];
            for (codec, book) in books {
                let plain = match codec {
                    Codec::Rans12x32 => reference::rans_encode(&symbols, &book),
                    Codec::Huff12 => reference::huff12_encode(&symbols, &book),
                    _ => reference::pal4_encode(&symbols, &book),
                };
                if codec == Codec::Rans12x32 {
                    assert!(reference::rans_decode(&plain, &book, length) == symbols);
                }
                for backend in Backend::available() {
                    let blob = blob_of(&folder, backend, codec, &book, &symbols);
                    assert!(blob == plain, "{codec:?} {backend:?} shape {shape} length {length}");
                    let back = decoded(&folder, backend, codec, &book, &blob, length as u64).unwrap();
                    assert!(back == symbols, "{codec:?} {backend:?} shape {shape} length {length}");
                }
            }
        }
    }
}

/// A tensor coded into a file, and what is needed to decode it.
struct Coded {
    file: PathBuf,
    tensor: EncodedTensor,
    bytes: u64,
    split: Split,
}

const DATA_START: u64 = 192;

fn settings(part_elements: u64, held_bytes: u64) -> Settings {
    Settings { backend: Backend::best(), part_elements, held_bytes }
}

fn coded(
    folder: &Folder,
    settings: &Settings,
    threads: usize,
    split: Split,
    choice: CoderChoice,
    bytes: &[u8],
) -> Coded {
    let source = folder.path("source");
    std::fs::write(&source, bytes).unwrap();
    let file = folder.path(&format!("coded-{threads}"));
    let _ = std::fs::remove_file(&file);
    let output = OutputFile::open(&file).unwrap();
    let context = Context::with_threads(threads).unwrap();
    let half = bytes.len() as u64 / 3;
    let ranges = [
        ByteRange { path: source.clone(), offset: 0, bytes: half },
        ByteRange { path: source, offset: half, bytes: bytes.len() as u64 - half },
    ];
    let mut also = Sha256Stream::default();
    also.update(b"before");
    let tensor =
        encode_with(&context, settings, &ranges, split, choice, &output, DATA_START, 64, Some(&mut also)).unwrap();
    assert_eq!(context.control.done_bytes(), bytes.len() as u64);
    assert_eq!(tensor.sha256, sha256(bytes));
    let mut whole = b"before".to_vec();
    whole.extend_from_slice(bytes);
    assert_eq!(also.hex(), sha256(&whole));
    Coded { file, tensor, bytes: bytes.len() as u64, split }
}

fn decode_all(folder: &Folder, coded: &Coded, part_elements: u64, backend: Backend, threads: usize) -> Result<Vec<u8>> {
    let out = folder.path("restored");
    let _ = std::fs::remove_file(&out);
    std::fs::write(&out, b"").unwrap();
    let target = Target::write(&[ByteRange { path: out.clone(), offset: 0, bytes: coded.bytes }]).unwrap();
    let context = Context::with_threads(threads).unwrap();
    let input = InputFile::open(&coded.file).unwrap();
    let mut hash = Sha256Stream::default();
    decode_with(
        &context,
        backend,
        part_elements,
        &input,
        DATA_START,
        &coded.tensor.planes,
        coded.split,
        coded.bytes,
        &target,
        Some(&mut hash),
    )?;
    assert_eq!(context.control.done_bytes(), coded.bytes);
    let bytes = std::fs::read(&out).unwrap();
    assert_eq!(hash.hex(), sha256(&bytes));
    Ok(bytes)
}

/// Little-endian elements of a split: heavy-tailed weights of several scales with NaN and infinite words among them.
fn weights(split: Split, length: usize, seed: u32) -> Vec<u8> {
    let mut next = generator(seed);
    let mut bytes = Vec::new();
    for i in 0..length {
        let sum: i64 = (0..4).map(|_| i64::from(next() >> 8) - (1 << 23)).sum();
        let heavy = 1.0 + 1.0 / f64::from(next() >> 16 | 1);
        let value = (sum as f64 / f64::from(1 << 30) * heavy) as f32;
        let bits = match i % 1009 {
            7 => 0x7f80_0000,
            8 => 0xffc1_2345,
            9 => 0,
            10 => 0x8000_0001,
            _ => value.to_bits(),
        };
        match split {
            Split::Bf16 => bytes.extend_from_slice(&((bits >> 16) as u16).to_le_bytes()),
            Split::F16 => bytes.extend_from_slice(&((bits >> 14) as u16).to_le_bytes()),
            Split::F32 => bytes.extend_from_slice(&bits.to_le_bytes()),
            Split::Bytes => bytes.push((bits >> 24) as u8),
        }
    }
    bytes
}

#[test]
fn every_split_and_length_comes_back_at_any_thread_count_and_backend() {
    let folder = Folder::new("splits");
    for split in [Split::Bf16, Split::F16, Split::F32, Split::Bytes] {
        for length in [0, 1, 31, 32, 33, 1009, 65535, 65536, 65537, 131_072, 300_007] {
            let bytes = weights(split, length, 5);
            let plain = coded(&folder, &settings(PART_ELEMENTS, 1 << 30), 1, split, CoderChoice::Smallest, &bytes);
            let stored = std::fs::read(&plain.file).unwrap();
            assert!(plain.tensor.planes.iter().all(|plane| plane.offset % 64 == 0));
            assert!(stored.len() as u64 == DATA_START + plain.tensor.end || length == 0);
            for (threads, held) in [(1, 0), (2, 0), (2, 1 << 30), (3, 0)] {
                let other =
                    coded(&folder, &settings(PART_ELEMENTS, held), threads, split, CoderChoice::Smallest, &bytes);
                assert_eq!(other.tensor, plain.tensor, "{threads} threads");
                assert!(std::fs::read(&other.file).unwrap() == stored, "{threads} threads");
                assert!(decode_all(&folder, &other, PART_ELEMENTS, Backend::best(), threads).unwrap() == bytes);
            }
            for backend in Backend::available() {
                let settings = Settings { backend, ..settings(PART_ELEMENTS, 0) };
                let other = coded(&folder, &settings, 2, split, CoderChoice::Smallest, &bytes);
                assert_eq!(other.tensor, plain.tensor, "{backend:?}");
                assert!(decode_all(&folder, &plain, PART_ELEMENTS, backend, 2).unwrap() == bytes, "{backend:?}");
            }
            for codec in [Codec::Raw, Codec::Rans12x32, Codec::Huff12, Codec::Pal4] {
                let other = coded(&folder, &settings(PART_ELEMENTS, 0), 2, split, CoderChoice::Only(codec), &bytes);
                let allowed = [codec, Codec::Raw, Codec::Const];
                assert!(other.tensor.planes.iter().all(|plane| allowed.contains(&plane.codec)));
                assert!(decode_all(&folder, &other, PART_ELEMENTS, Backend::best(), 2).unwrap() == bytes);
            }
        }
    }
}

#[test]
fn weights_shrink_as_predicted() {
    let folder = Folder::new("predicted");
    for (split, most) in [(Split::Bf16, 0.70), (Split::F16, 0.95), (Split::F32, 0.86)] {
        let bytes = weights(split, 400_000, 9);
        let one = coded(&folder, &settings(PART_ELEMENTS, 0), 1, split, CoderChoice::Smallest, &bytes);
        assert!((one.tensor.end - 64) as f64 <= bytes.len() as f64 * most, "{split:?}: {} bytes", one.tensor.end);
        let source = [ByteRange { path: folder.path("source"), offset: 0, bytes: bytes.len() as u64 }];
        let histograms = measure(&Context::with_threads(2).unwrap(), &source, split).unwrap();
        let (predicted, stored) = (predicted_bytes(&histograms) as f64, (one.tensor.end - 64) as f64);
        assert!((predicted / stored - 1.0).abs() < 0.001, "{split:?}: {predicted} predicted, {stored} stored");
    }
}

#[test]
fn constant_planes_take_one_byte() {
    let folder = Folder::new("constant");
    let zeros = coded(&folder, &settings(PART_ELEMENTS, 0), 2, Split::F32, CoderChoice::Smallest, &[0; 4 * 70_000]);
    assert!(zeros.tensor.planes.iter().all(|plane| plane.codec == Codec::Const && plane.bytes == 1));
    assert_eq!(zeros.tensor.end, 64 + 3 * 64 + 1);
    assert!(decode_all(&folder, &zeros, PART_ELEMENTS, Backend::best(), 1).unwrap() == [0; 4 * 70_000]);
    let upcast: Vec<u8> =
        weights(Split::Bf16, 70_000, 3).as_chunks::<2>().0.iter().flat_map(|w| [0, 0, w[0], w[1]]).collect();
    let upcast = coded(&folder, &settings(PART_ELEMENTS, 0), 1, Split::F32, CoderChoice::Smallest, &upcast);
    let codecs: Vec<Codec> = upcast.tensor.planes.iter().map(|plane| plane.codec).collect();
    assert_eq!(codecs, [Codec::Rans12x32, Codec::Raw, Codec::Const, Codec::Const]);
}

#[test]
fn long_planes_are_cut_into_parts() {
    let folder = Folder::new("parts");
    let part = ITEM_ELEMENTS as u64;
    for choice in [CoderChoice::Smallest, CoderChoice::Only(Codec::Huff12), CoderChoice::Only(Codec::Pal4)] {
        for split in [Split::Bf16, Split::F32, Split::Bytes] {
            let bytes = weights(split, 2 * ITEM_ELEMENTS + 77, 4);
            let one = coded(&folder, &settings(part, 0), 1, split, choice, &bytes);
            let firsts: Vec<(u64, u64)> = one.tensor.planes[..3].iter().map(|p| (p.first, p.elements)).collect();
            assert_eq!(firsts, [(0, part), (part, part), (2 * part, 77)]);
            let two = coded(&folder, &settings(part, 1 << 30), 2, split, choice, &bytes);
            assert_eq!(one.tensor, two.tensor);
            assert!(decode_all(&folder, &two, part, Backend::best(), 2).unwrap() == bytes);
            let error = decode_all(&folder, &two, PART_ELEMENTS, Backend::best(), 2).unwrap_err();
            assert_eq!(error.status, Status::Malformed);
        }
    }
}

#[test]
fn a_source_that_changes_between_the_passes_is_refused_or_shows_in_the_hash() {
    let folder = Folder::new("changed");
    let source = plane(0, 200_000);
    for backend in Backend::available() {
        for codec in [Codec::Rans12x32, Codec::Huff12] {
            let histogram = histogram_of(&source[..100_000]);
            let book = match codec {
                Codec::Rans12x32 => book::frequencies(&histogram),
                _ => book::code_lengths(&histogram),
            };
            for at in [0, 5, 131_000, 199_999] {
                let mut changed = source[..at].to_vec();
                changed.push(1);
                let coder = PlaneCoder::new(backend, codec, &book);
                let mut piece = Piece::default();
                piece.symbols = changed[changed.len().saturating_sub(131_072)..].to_vec();
                assert_eq!(
                    coder.encode(&mut piece).unwrap_err().status,
                    Status::SourceChanged,
                    "{backend:?} {codec:?} {at}"
                );
            }
        }
    }
    drop(folder);
}

#[test]
fn damaged_files_are_noticed_and_lying_descriptions_refused() {
    let folder = Folder::new("hostile");
    let mut next = generator(77);
    for (split, choice) in [
        (Split::Bf16, CoderChoice::Smallest),
        (Split::Bf16, CoderChoice::Only(Codec::Huff12)),
        (Split::F16, CoderChoice::Only(Codec::Pal4)),
        (Split::F32, CoderChoice::Smallest),
    ] {
        let bytes = weights(split, 70_003, 8);
        let good = coded(&folder, &settings(PART_ELEMENTS, 0), 1, split, choice, &bytes);
        let stored = std::fs::read(&good.file).unwrap();
        for round in 0..150 {
            let mut bad = stored.clone();
            let plane = good.tensor.planes[next() as usize % good.tensor.planes.len()].clone();
            let start = (DATA_START + plane.offset) as usize;
            // Half of the flips in the first bytes: tables and states.
            let range = if round % 2 == 0 { (plane.bytes as usize).min(700) } else { plane.bytes as usize };
            bad[start + next() as usize % range] ^= 1 << (next() % 8);
            std::fs::write(&good.file, &bad).unwrap();
            let error = decode_all(&folder, &good, PART_ELEMENTS, Backend::best(), 2).unwrap_err();
            assert_eq!(error.status, Status::ChecksumMismatch, "{error}");
            // The same with a checksum that fits: whatever comes of it, it comes in good order.
            let mut lying = Coded { tensor: good.tensor.clone(), file: good.file.clone(), ..good };
            for plane in &mut lying.tensor.planes {
                let start = (DATA_START + plane.offset) as usize;
                plane.xxh3 = xxh3(&bad[start..start + plane.bytes as usize]);
            }
            for backend in Backend::available() {
                let out = Target::Discard(lying.bytes);
                let context = Context::with_threads(1).unwrap();
                let input = InputFile::open(&lying.file).unwrap();
                let planes = &lying.tensor.planes;
                let result = decode_with(
                    &context,
                    backend,
                    PART_ELEMENTS,
                    &input,
                    DATA_START,
                    planes,
                    split,
                    lying.bytes,
                    &out,
                    None,
                );
                assert!(result.is_ok() || result.unwrap_err().status == Status::Malformed);
            }
        }
        for _ in 0..60 {
            std::fs::write(&good.file, &stored[..next() as usize % stored.len()]).unwrap();
            assert_eq!(
                decode_all(&folder, &good, PART_ELEMENTS, Backend::best(), 2).unwrap_err().status,
                Status::Malformed
            );
        }
        std::fs::write(&good.file, &stored).unwrap();
        for _ in 0..300 {
            let mut lying = Coded { tensor: good.tensor.clone(), file: good.file.clone(), ..good };
            let index = next() as usize % lying.tensor.planes.len();
            let strange = [0, 1, 63, 64, 65_536, 1 << 31, 1 << 40, u64::MAX, u64::MAX - 63][next() as usize % 9];
            let plane = &mut lying.tensor.planes[index];
            let before = plane.clone();
            match next() % 8 {
                0 => plane.offset = strange,
                1 => plane.bytes = strange,
                2 => plane.elements = strange,
                3 => plane.first = strange,
                4 => plane.kind = PlaneKind::ALL[next() as usize % 8],
                5 => plane.codec = Codec::ALL[next() as usize % 5],
                6 => plane.book = plane.book.iter().skip(1).copied().collect(),
                _ => {
                    let length = plane.book.len().max(1);
                    if let Some(entry) = plane.book.get_mut(next() as usize % length) {
                        entry.1 = [0, 1, 13, 4096, 65535][next() as usize % 5];
                        entry.0 = entry.0.wrapping_add((next() % 3) as u8);
                    }
                }
            }
            if *plane == before {
                continue;
            }
            // Another symbol with the same code: only the SHA-256 of the tensor can tell.
            let is_renamed = plane.book.len() == before.book.len() && plane.book != before.book;
            match decode_all(&folder, &lying, PART_ELEMENTS, Backend::best(), 1) {
                Err(error) => assert!(
                    matches!(error.status, Status::Malformed | Status::ChecksumMismatch),
                    "{error}: {:?}",
                    lying.tensor.planes[index]
                ),
                Ok(_) => assert!(is_renamed, "{:?}", lying.tensor.planes[index]),
            }
        }
    }
}

#[test]
fn stops_when_cancelled() {
    let folder = Folder::new("cancelled");
    let bytes = weights(Split::Bf16, 300_000, 2);
    let good = coded(&folder, &settings(PART_ELEMENTS, 0), 1, Split::Bf16, CoderChoice::Smallest, &bytes);
    let context = Context::with_threads(2).unwrap();
    context.control.cancel();
    let input = InputFile::open(&good.file).unwrap();
    let target = Target::Discard(good.bytes);
    let planes = &good.tensor.planes;
    let error = decode(&context, &input, DATA_START, planes, Split::Bf16, good.bytes, &target, None).unwrap_err();
    assert_eq!(error.status, Status::Cancelled);
    let output = OutputFile::open(&folder.path("other")).unwrap();
    let source = [ByteRange { path: folder.path("source"), offset: 0, bytes: good.bytes }];
    let error = encode(&context, &source, Split::Bf16, CoderChoice::Smallest, &output, 0, 0, None).unwrap_err();
    assert_eq!(error.status, Status::Cancelled);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_bytes_come_back(
        bytes in proptest::collection::vec(any::<u8>(), 0..5000),
        narrow in any::<bool>(),
        split in 0..4_usize,
        codec in 0..6_usize,
    ) {
        let folder = Folder::new("any");
        let split = [Split::Bf16, Split::F16, Split::F32, Split::Bytes][split];
        let size = split.element_bytes() as usize;
        let mut bytes = bytes;
        bytes.truncate(bytes.len() / size * size);
        if narrow {
            bytes.iter_mut().for_each(|byte| *byte = byte.leading_zeros() as u8 * 3);
        }
        let choice = Codec::ALL.get(codec).map_or(CoderChoice::Smallest, |codec| CoderChoice::Only(*codec));
        let one = coded(&folder, &settings(PART_ELEMENTS, 0), 1, split, choice, &bytes);
        prop_assert!(decode_all(&folder, &one, PART_ELEMENTS, Backend::best(), 1).unwrap() == bytes);
    }
}
