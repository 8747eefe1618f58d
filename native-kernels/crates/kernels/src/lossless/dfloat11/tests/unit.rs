//! Builders: units in files, stored and read back.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::code_book::CodeBook;
use super::super::decode::decode_with;
use super::super::plan::{CHUNK_ELEMENTS, UnitPlan, measure_with};
use super::super::{UnitFields, encode};
use crate::checksum::Sha256Stream;
use crate::context::Context;
use crate::error::Result;
use crate::files::{ByteRange, Target};
use crate::lossless::bf16;

/// A folder that goes with its owner.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lathe-dfloat11-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A file with these bytes, as a range.
    pub fn file(&self, name: &str, bytes: &[u8]) -> ByteRange {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        whole(&path, bytes.len() as u64)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn whole(path: &Path, bytes: u64) -> ByteRange {
    ByteRange { path: path.to_path_buf(), offset: 0, bytes }
}

/// The five stored tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub luts: Vec<u8>,
    pub stream: Vec<u8>,
    pub sign_mantissa: Vec<u8>,
    pub positions: Vec<u8>,
    pub gaps: Vec<u8>,
}

impl Stored {
    pub fn positions(&self) -> Vec<u32> {
        self.positions.as_chunks::<4>().0.iter().map(|entry| u32::from_le_bytes(*entry)).collect()
    }

    pub fn set_positions(&mut self, entries: &[u32]) {
        self.positions = entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    }

    /// Gap of each window.
    pub fn gaps(&self) -> Vec<u8> {
        (0..self.gaps.len() * 8 / 5)
            .map(|window| {
                (0..5).fold(0, |gap, i| gap << 1 | self.gaps[(5 * window + i) / 8] >> (7 - (5 * window + i) % 8) & 1)
            })
            .collect()
    }

    /// Decodes into words with the given threads and group size.
    pub fn decode_by(&self, threads: usize, group_blocks: u64) -> Result<Vec<u8>> {
        let folder = Folder::new();
        let fields = UnitFields {
            luts: folder.file("luts", &self.luts),
            encoded_exponent: folder.file("stream", &self.stream),
            sign_mantissa: folder.file("sm", &self.sign_mantissa),
            output_positions: folder.file("positions", &self.positions),
            gaps: folder.file("gaps", &self.gaps),
        };
        let elements = self.sign_mantissa.len() as u64;
        let target = Target::write(&[whole(&folder.0.join("words"), 2 * elements)]).unwrap();
        let context = Context::with_threads(threads).unwrap();
        decode_with(&context, &fields, elements, &target, group_blocks)?;
        assert_eq!(context.control.done_bytes(), 2 * elements);
        Ok(std::fs::read(folder.0.join("words")).unwrap())
    }

    pub fn decode(&self) -> Result<Vec<u8>> {
        self.decode_by(1, 16)
    }
}

/// How to encode.
pub struct Options {
    pub threads: usize,
    pub chunk_elements: u64,
    pub book: Option<CodeBook>,
    /// Where the source is cut into segments, in bytes.
    pub cuts: Vec<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 1, chunk_elements: CHUNK_ELEMENTS, book: None, cuts: Vec::new() }
    }
}

/// Measures and encodes words through files.
pub fn encode_by(words: &[u8], options: Options) -> Result<(Stored, UnitPlan)> {
    let folder = Folder::new();
    let mut segments = Vec::new();
    let mut start = 0;
    for (index, cut) in options.cuts.iter().copied().chain([words.len()]).enumerate() {
        // Each segment lies between other bytes of its file.
        let mut bytes = vec![0xaa; 5 + index];
        bytes.extend_from_slice(&words[start..cut]);
        bytes.extend_from_slice(&[0x55; 7]);
        let mut range = folder.file(&format!("source-{index}"), &bytes);
        range.offset = 5 + index as u64;
        range.bytes = (cut - start) as u64;
        segments.push(range);
        start = cut;
    }
    let context = Context::with_threads(options.threads)?;
    let plan = measure_with(&context, &segments, options.chunk_elements, options.book)?;
    // All fields in one file, at odd places.
    let output = folder.0.join("unit");
    let mut offset = 3;
    let mut field = |bytes: u64| {
        let range = ByteRange { path: output.clone(), offset, bytes };
        offset += bytes + 1;
        range
    };
    let fields = UnitFields {
        luts: field(plan.luts_bytes()),
        encoded_exponent: field(plan.stream_bytes),
        sign_mantissa: field(plan.elements),
        output_positions: field(plan.positions_bytes()),
        gaps: field(plan.gaps_bytes()),
    };
    encode(&context, &segments, &plan, &fields)?;
    assert_eq!(context.control.done_bytes(), 2 * words.len() as u64, "measuring and encoding count once each");
    let file = std::fs::read(&output).unwrap();
    let part = |range: &ByteRange| file[range.offset as usize..(range.offset + range.bytes) as usize].to_vec();
    let stored = Stored {
        luts: part(&fields.luts),
        stream: part(&fields.encoded_exponent),
        sign_mantissa: part(&fields.sign_mantissa),
        positions: part(&fields.output_positions),
        gaps: part(&fields.gaps),
    };
    let sizes = [&stored.luts, &stored.stream, &stored.sign_mantissa, &stored.positions, &stored.gaps];
    assert_eq!(sizes.iter().map(|field| field.len() as u64).sum::<u64>(), plan.stored_bytes());
    Ok((stored, plan))
}

pub fn encode_words(words: &[u8]) -> (Stored, UnitPlan) {
    encode_by(words, Options::default()).unwrap()
}

/// Words with these exponents, signs and mantissas from the position.
pub fn words_of(exponents: &[u8]) -> Vec<u8> {
    let word = |(index, exponent): (usize, &u8)| bf16::word(*exponent, (index * 37) as u8).to_le_bytes();
    exponents.iter().enumerate().flat_map(word).collect()
}

pub fn exponents_of(words: &[u8]) -> Vec<u8> {
    words.as_chunks::<2>().0.iter().map(|pair| bf16::exponent(u16::from_le_bytes(*pair))).collect()
}

pub fn histogram_of(exponents: &[u8]) -> [u64; 256] {
    let mut histogram = [0; 256];
    exponents.iter().for_each(|exponent| histogram[usize::from(*exponent)] += 1);
    histogram
}

/// Each (exponent, count) repeated in the given order.
pub fn runs(counts: &[(u8, usize)]) -> Vec<u8> {
    counts.iter().flat_map(|(exponent, count)| std::iter::repeat_n(*exponent, *count)).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    let mut hash = Sha256Stream::default();
    hash.update(bytes);
    hash.hex()
}

/// A 64-bit generator (SplitMix64): seeded, the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// 0 to 1, without 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A standard normal value (sum of twelve uniform ones: tails to 6).
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.fraction()).sum::<f64>() - 6.0
    }

    /// BF16 words of heavy-tailed weights: normal values divided by a uniform one, of several scales.
    pub fn weights(&mut self, count: usize) -> Vec<u8> {
        let word = |_| {
            let scale = [0.02, 0.005, 0.04, 0.3][(self.next() % 4) as usize];
            let value = self.normal() * scale / (self.fraction() + 0.02);
            ((value as f32).to_bits() >> 16) as u16
        };
        (0..count).map(word).flat_map(u16::to_le_bytes).collect()
    }
}
