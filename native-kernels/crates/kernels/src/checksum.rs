//! Checksums as the formats want them: lower-case hex of SHA-256 and of XXH3-64.

use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::Xxh3Default;

/// A running SHA-256.
#[derive(Clone, Default)]
pub struct Sha256Stream(Sha256);

impl Sha256Stream {
    /// Appends bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// 64 lower-case hex digits.
    pub fn hex(&self) -> String {
        to_hex(&self.0.clone().finalize())
    }
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
        assert_eq!(Xxh3Stream::default().hex(), "2d06800538d394c2");
    }
}
