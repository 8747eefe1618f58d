//! Checksums as the formats want them: lower-case hex of SHA-256 and of XXH3-64.

use xxhash_rust::xxh3::Xxh3Default;

use crate::sha256_pair::{BLOCK_BYTES, INITIAL, State, compress, compress_both};

/// A running SHA-256.
#[derive(Clone)]
pub struct Sha256Stream {
    state: State,
    /// The first `bytes % 64` bytes wait for the rest of their block.
    waiting: [u8; BLOCK_BYTES],
    bytes: u64,
}

impl Default for Sha256Stream {
    fn default() -> Self {
        Self { state: INITIAL, waiting: [0; BLOCK_BYTES], bytes: 0 }
    }
}

impl Sha256Stream {
    /// Appends bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let bytes = self.complete_waiting(bytes);
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        compress(&mut self.state, blocks);
        self.finish_blocks(blocks.len(), rest);
    }

    /// 64 lower-case hex digits.
    pub fn hex(&self) -> String {
        let mut end = self.clone();
        let mut padding = [0_u8; 2 * BLOCK_BYTES];
        padding[0] = 0x80;
        // One block if the mark and the length still fit this one, otherwise two.
        let waiting = end.waiting_bytes();
        let length = if waiting < BLOCK_BYTES - 8 { BLOCK_BYTES - waiting } else { 2 * BLOCK_BYTES - waiting };
        padding[length - 8..length].copy_from_slice(&end.bytes.wrapping_mul(8).to_be_bytes());
        end.update(&padding[..length]);
        to_hex(&end.state.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>())
    }

    fn waiting_bytes(&self) -> usize {
        (self.bytes % BLOCK_BYTES as u64) as usize
    }

    /// Fills up a started block; answers the bytes left, which start a block unless they are none.
    fn complete_waiting<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let waiting = self.waiting_bytes();
        if waiting == 0 {
            return bytes;
        }
        let (taken, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - waiting));
        self.waiting[waiting..waiting + taken.len()].copy_from_slice(taken);
        self.bytes += taken.len() as u64;
        if waiting + taken.len() == BLOCK_BYTES {
            compress(&mut self.state, &[self.waiting]);
        }
        rest
    }

    /// Counts blocks that were compressed and keeps what follows them.
    fn finish_blocks(&mut self, blocks: usize, rest: &[u8]) {
        self.bytes += (blocks * BLOCK_BYTES + rest.len()) as u64;
        if !rest.is_empty() {
            self.waiting[..rest.len()].copy_from_slice(rest);
        }
    }
}

/// Appends the same bytes to two streams, at nearly the cost of one where the processor has SHA instructions.
pub fn update_both(first: &mut Sha256Stream, second: &mut Sha256Stream, bytes: &[u8]) {
    update_pair(first, bytes, second, bytes);
}

/// Appends bytes to two streams, side by side as far as both have some.
pub fn update_pair(first: &mut Sha256Stream, a: &[u8], second: &mut Sha256Stream, b: &[u8]) {
    let (mut a, mut b) = (first.complete_waiting(a), second.complete_waiting(b));
    // In pieces of the first cache level: the streams lie at different places in the bytes.
    const PIECE_BLOCKS: usize = 256;
    loop {
        let ([blocks_a, blocks_b], count) = {
            let (blocks_a, blocks_b) = (a.as_chunks::<BLOCK_BYTES>().0, b.as_chunks::<BLOCK_BYTES>().0);
            let count = blocks_a.len().min(blocks_b.len()).min(PIECE_BLOCKS);
            ([&blocks_a[..count], &blocks_b[..count]], count)
        };
        if count == 0 {
            break;
        }
        compress_both(&mut first.state, blocks_a, &mut second.state, blocks_b);
        first.finish_blocks(count, &[]);
        second.finish_blocks(count, &[]);
        (a, b) = (&a[count * BLOCK_BYTES..], &b[count * BLOCK_BYTES..]);
    }
    first.update(a);
    second.update(b);
}

/// A running XXH3-64, seed 0.
#[derive(Clone, Default)]
pub struct Xxh3Stream(Xxh3Default);

impl Xxh3Stream {
    /// Appends bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// 16 lower-case hex digits.
    pub fn hex(&self) -> String {
        format!("{:016x}", self.0.digest())
    }
}

/// Lower-case hex digits, two a byte.
pub fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_the_standards_say() {
        let mut sha = Sha256Stream::default();
        sha.update(b"a");
        sha.update(b"bc");
        assert_eq!(sha.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(Sha256Stream::default().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(Xxh3Stream::default().hex(), "2d06800538d394c2");
    }

    /// What the sha2 crate says.
    fn judged(parts: &[&[u8]]) -> String {
        use sha2::{Digest, Sha256};
        let mut sha = Sha256::new();
        parts.iter().for_each(|part| sha.update(part));
        to_hex(&sha.finalize())
    }

    #[test]
    fn hashes_any_lengths_and_pairs_as_the_judge() {
        let bytes: Vec<u8> = (0..70_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
        for length in (0..200).chain([16_383, 16_384, 16_385, 65_537, 70_000]) {
            let mut one = Sha256Stream::default();
            one.update(&bytes[..length]);
            assert_eq!(one.hex(), judged(&[&bytes[..length]]), "{length} bytes");
            for (before_a, before_b) in [(0, 0), (1, 0), (0, 63), (13, 40), (64, 65)] {
                let (mut a, mut b) = (Sha256Stream::default(), Sha256Stream::default());
                a.update(&bytes[..before_a]);
                b.update(&bytes[..before_b]);
                let middle = length / 3;
                update_both(&mut a, &mut b, &bytes[..middle]);
                update_both(&mut a, &mut b, &bytes[middle..length]);
                assert_eq!(a.hex(), judged(&[&bytes[..before_a], &bytes[..length]]), "{before_a} then {length} bytes");
                assert_eq!(b.hex(), judged(&[&bytes[..before_b], &bytes[..length]]), "{before_b} then {length} bytes");
            }
        }
    }
}
