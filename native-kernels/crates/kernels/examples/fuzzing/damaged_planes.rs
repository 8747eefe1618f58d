//! Split-plane blobs with one codec, damaged, with checksums that fit so that the decoders see them.

use lathe_kernels::checksum::Xxh3Stream;
use lathe_kernels::cpu::Backend;
use lathe_kernels::files::{ByteRange, InputFile, OutputFile, Target};
use lathe_kernels::lossless::split_plane::{Codec, CoderChoice, Plane, Split, decode_on, encode};
use lathe_kernels::{Context, Status};

use super::{Folder, Random, most_allocated};

/// Bytes around the decoded elements that must stay as they are.
const GUARD: usize = 64;

/// One case: a plane of this codec is encoded, damaged and decoded on every backend and at several thread counts.
pub fn check_damaged_plane(codec: Codec, random: &mut Random, folder: &Folder) -> Result<(), String> {
    let length = 1 + random.length(300_000);
    let (mut blob, mut plane) = coded_plane(codec, random, folder, length)?;
    for _ in 0..random.below(4) {
        damage_book(random, &mut plane);
    }
    for _ in 0..=random.below(3) {
        match random.below(12) {
            0 => blob = (0..random.length(4000)).map(|_| random.next() as u8).collect(),
            1 => plane.elements = random.length(400_000) as u64,
            2 => damage_head(random, &mut blob),
            _ => random.damage(&mut blob),
        }
    }
    plane.bytes = if random.one_in(12) { random.length(blob.len() + 100) as u64 } else { blob.len() as u64 };
    plane.offset = if random.one_in(20) { random.next() >> random.below(64) } else { 0 };
    let mut xxh3 = Xxh3Stream::default();
    xxh3.update(&blob[..blob.len().min(plane.bytes as usize)]);
    plane.xxh3 = xxh3.hex();
    decode_everywhere(folder, &blob, &plane)
}

/// A plane of bytes that `codec` codes, and its blob; a random book in place of the right one where it isn't worth it.
fn coded_plane(codec: Codec, random: &mut Random, folder: &Folder, length: usize) -> Result<(Vec<u8>, Plane), String> {
    let source = folder.store("source", &random.symbols(length));
    let context = Context::with_threads(1).map_err(|error| error.to_string())?;
    let _ = std::fs::remove_file(folder.path("blob"));
    let output = OutputFile::open(&folder.path("blob")).map_err(|error| error.to_string())?;
    let choice = CoderChoice::Only(codec);
    let tensor = encode(&context, &[source], Split::Bytes, choice, &output, 0, 0, None);
    let mut tensor = tensor.map_err(|error| error.to_string())?;
    let mut plane = tensor.planes.remove(0);
    if plane.codec != codec {
        plane.codec = codec;
        plane.book = random_book(codec, random);
    }
    Ok((folder.read("blob"), plane))
}

fn random_book(codec: Codec, random: &mut Random) -> Vec<(u8, u16)> {
    let entries = 1 + random.below(if codec == Codec::Pal4 { 18 } else { 60 });
    let first = random.below(256);
    let mut left = 4096_u16;
    let mut book: Vec<(u8, u16)> = (0..entries)
        .map(|i| {
            let value = match codec {
                Codec::Rans12x32 => 1 + random.below(usize::from(left) / 2) as u16,
                Codec::Huff12 => 1 + random.below(12) as u16,
                _ => 0,
            };
            left = left.saturating_sub(value);
            ((first + i) as u8, value)
        })
        .collect();
    if codec == Codec::Rans12x32 {
        book[0].1 += left;
    }
    book.sort_unstable();
    book
}

fn damage_book(random: &mut Random, plane: &mut Plane) {
    if random.one_in(3) {
        plane.book = random_book(plane.codec, random);
    }
    let count = plane.book.len();
    if count == 0 {
        return;
    }
    let (at, other) = (random.below(count), random.below(count));
    match random.below(8) {
        0 => plane.book[at].1 = random.next() as u16,
        1 => plane.book[at].0 = random.next() as u8,
        2 => drop(plane.book.remove(at)),
        3 => plane.book.swap(at, other),
        4 => {
            // Values change places: the sum stays.
            let value = plane.book[at].1;
            plane.book[at].1 = plane.book[other].1;
            plane.book[other].1 = value;
        }
        5 if at != other && plane.book[at].1 > 1 => {
            plane.book[at].1 -= 1;
            plane.book[other].1 = plane.book[other].1.saturating_add(1);
        }
        _ => {}
    }
}

/// Another number in one of the first tables.
fn damage_head(random: &mut Random, blob: &mut [u8]) {
    let words = blob.len() / 4;
    let at = 4 * random.below(words.clamp(1, 12));
    if let Some(word) = blob.get_mut(at..at + 4) {
        let value = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let changes = [
            value ^ (1 << random.below(32)),
            value.wrapping_add(4),
            value.wrapping_sub(4),
            0,
            u32::MAX,
            random.next() as u32,
        ];
        word.copy_from_slice(&changes[random.below(changes.len())].to_le_bytes());
    }
}

/// What came out: elements, or nothing.
type Answer = Option<Vec<u8>>;

fn decode_everywhere(folder: &Folder, blob: &[u8], plane: &Plane) -> Result<(), String> {
    folder.store("blob", blob);
    let mut first: Option<Answer> = None;
    for backend in Backend::available() {
        for threads in [1, 3] {
            let answer = decode_once(folder, blob.len(), plane, backend, threads)?;
            if first.get_or_insert_with(|| answer.clone()) != &answer {
                return Err(format!("{} with {threads} threads decodes differently", backend.name()));
            }
        }
    }
    Ok(())
}

fn decode_once(
    folder: &Folder,
    blob: usize,
    plane: &Plane,
    backend: Backend,
    threads: usize,
) -> Result<Answer, String> {
    let elements = plane.elements as usize;
    folder.store("back", &vec![0xa5; elements + 2 * GUARD]);
    let range = ByteRange { path: folder.path("back"), offset: GUARD as u64, bytes: plane.elements };
    let context = Context::with_threads(threads).map_err(|error| error.to_string())?;
    let input = InputFile::open(&folder.path("blob")).map_err(|error| error.to_string())?;
    let target = Target::write(&[range]).map_err(|error| error.to_string())?;
    let planes = std::slice::from_ref(plane);
    let (result, most) =
        most_allocated(|| decode_on(&context, backend, &input, 0, planes, Split::Bytes, plane.elements, &target));
    if most > (8 << 20) + 8 * (blob + elements) {
        return Err(format!("{most} bytes of memory for {blob} stored bytes of {elements} elements"));
    }
    let mut back = folder.read("back");
    let outside = back[..GUARD].iter().chain(&back[back.len() - GUARD..]);
    if back.len() != elements + 2 * GUARD || outside.into_iter().any(|byte| *byte != 0xa5) {
        return Err("bytes outside the target were written".to_owned());
    }
    match result {
        Ok(()) => Ok(Some(back.split_off(GUARD))),
        Err(error) if [Status::Malformed, Status::ChecksumMismatch].contains(&error.status) => Ok(None),
        Err(error) => Err(format!("an unexpected error: {error}")),
    }
}
