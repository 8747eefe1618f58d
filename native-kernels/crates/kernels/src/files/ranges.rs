//! Several ranges of several files, seen as one run of bytes: what a coder reads from and writes to.

use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{KernelError, Result, Status};
use crate::files::{InputFile, OutputFile};
use crate::weights::FloatTarget;

/// `bytes` bytes of a file, from `offset` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRange {
    /// The file.
    pub path: PathBuf,
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub bytes: u64,
}

/// Open files behind a list of ranges; byte `i` of the run lies in the range whose `starts` bracket `i`.
#[derive(Debug)]
struct Run<F> {
    parts: Vec<(u64, ByteRange, Arc<F>)>,
    bytes: u64,
}

impl<F> Run<F> {
    fn open(ranges: &[ByteRange], open: impl Fn(&std::path::Path) -> Result<F>) -> Result<Self> {
        let mut parts: Vec<(u64, ByteRange, Arc<F>)> = Vec::with_capacity(ranges.len());
        let mut bytes = 0_u64;
        for range in ranges {
            let file = match parts.iter().rev().find(|(_, other, _)| other.path == range.path) {
                Some((_, _, file)) => Arc::clone(file),
                None => Arc::new(open(&range.path)?),
            };
            let overflow = || KernelError::bad_argument("byte ranges overflow 64 bits").at_path(&range.path);
            range.offset.checked_add(range.bytes).ok_or_else(overflow)?;
            parts.push((bytes, range.clone(), file));
            bytes = bytes.checked_add(range.bytes).ok_or_else(overflow)?;
        }
        Ok(Self { parts, bytes })
    }

    /// Calls `visit(file, file offset, from, to)` for each piece of the run's bytes `start .. start + length`, where
    /// `from .. to` counts from `start`.
    fn pieces(
        &self,
        start: u64,
        length: usize,
        mut visit: impl FnMut(&F, u64, usize, usize) -> Result<()>,
    ) -> Result<()> {
        let end = start.checked_add(length as u64).filter(|end| *end <= self.bytes).ok_or_else(|| {
            KernelError::bad_argument(format!("bytes {start} + {length} asked for, the run has {}", self.bytes))
        })?;
        let first = self.parts.partition_point(|(part_start, range, _)| part_start + range.bytes <= start);
        for (part_start, range, file) in &self.parts[first..] {
            if *part_start >= end {
                break;
            }
            let from = start.max(*part_start);
            let to = end.min(part_start + range.bytes);
            if from < to {
                visit(file, range.offset + (from - part_start), (from - start) as usize, (to - start) as usize)?;
            }
        }
        Ok(())
    }
}

/// Ranges to read, as one run of bytes.
#[derive(Debug)]
pub struct Source(Run<InputFile>);

impl Source {
    /// Opens each file once.
    pub fn open(ranges: &[ByteRange]) -> Result<Self> {
        Run::open(ranges, InputFile::open).map(Self)
    }

    /// Length of the run in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// Fills `buffer` with the run's bytes from `start` on.
    pub fn read(&self, start: u64, buffer: &mut [u8]) -> Result<()> {
        self.0.pieces(start, buffer.len(), |file, offset, from, to| file.read_exact_at(&mut buffer[from..to], offset))
    }
}

/// Where decoded bytes go: into files, against the bytes that files already hold, or into memory as weights.
#[derive(Debug)]
pub enum Target {
    /// Written to these ranges (existing files, or made; nothing outside the ranges is touched).
    Write(WriteTarget),
    /// Compared with these ranges; the first difference is [`Status::VerificationFailed`].
    Compare(Source),
    /// Widened into memory.
    Floats(FloatTarget),
    /// Decoded for its checks alone.
    Discard(u64),
}

/// Ranges to write, as one run of bytes.
#[derive(Debug)]
pub struct WriteTarget(Run<OutputFile>);

impl Target {
    /// Opens ranges for writing.
    pub fn write(ranges: &[ByteRange]) -> Result<Self> {
        Run::open(ranges, OutputFile::open).map(WriteTarget).map(Self::Write)
    }

    /// Opens ranges to compare with.
    pub fn compare(ranges: &[ByteRange]) -> Result<Self> {
        Source::open(ranges).map(Self::Compare)
    }

    /// Length of the run in bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Write(WriteTarget(run)) => run.bytes,
            Self::Compare(source) => source.bytes(),
            Self::Floats(floats) => floats.bytes(),
            Self::Discard(bytes) => *bytes,
        }
    }

    /// Takes the run's bytes from `start` on. Any thread, any order; each byte once.
    pub fn put(&self, start: u64, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Write(WriteTarget(run)) => {
                run.pieces(start, bytes.len(), |file, offset, from, to| file.write_all_at(&bytes[from..to], offset))
            }
            Self::Compare(source) => compare(source, start, bytes),
            Self::Floats(floats) => floats.put(start, bytes),
            Self::Discard(_) => Ok(()),
        }
    }
}

fn compare(source: &Source, start: u64, bytes: &[u8]) -> Result<()> {
    /// Read beside the decoded bytes while these are still in the first cache levels.
    const COMPARE_CHUNK_BYTES: usize = 128 << 10;
    let mut original = super::zeroed(COMPARE_CHUNK_BYTES.min(bytes.len()))?;
    for (index, decoded) in bytes.chunks(COMPARE_CHUNK_BYTES).enumerate() {
        let chunk_start = start + (index * COMPARE_CHUNK_BYTES) as u64;
        let original = &mut original[..decoded.len()];
        source.0.pieces(chunk_start, decoded.len(), |file, offset, from, to| {
            file.read_exact_at(&mut original[from..to], offset)?;
            if original[from..to] == decoded[from..to] {
                return Ok(());
            }
            let at = (from..to).find(|&i| original[i] != decoded[i]).unwrap_or(from);
            let position = offset + (at - from) as u64;
            Err(KernelError::new(
                Status::VerificationFailed,
                format!(
                    "byte {position} of \"{}\" is 0x{:02x}, but decodes to 0x{:02x}",
                    file.path().display(),
                    original[at],
                    decoded[at]
                ),
            )
            .at_path(file.path())
            .at_offset(position))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(path: &std::path::Path, offset: u64, bytes: u64) -> ByteRange {
        ByteRange { path: path.to_path_buf(), offset, bytes }
    }

    #[test]
    fn reads_writes_and_compares_over_range_borders() {
        let folder = std::env::temp_dir().join(format!("lathe-ranges-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (a, b) = (folder.join("a"), folder.join("b"));
        std::fs::write(&a, b"0123456789").unwrap();
        std::fs::write(&b, b"abcdefghij").unwrap();
        let ranges = [range(&a, 2, 3), range(&b, 0, 0), range(&b, 5, 4), range(&a, 9, 1)];
        let source = Source::open(&ranges).unwrap();
        let mut all = [0; 8];
        source.read(0, &mut all).unwrap();
        assert_eq!(&all, b"234fghi9");
        let target = Target::write(&[range(&folder.join("c"), 1, 5), range(&folder.join("d"), 0, 3)]).unwrap();
        target.put(3, b"ghi9!").unwrap();
        target.put(0, b"234").unwrap();
        assert_eq!(std::fs::read(folder.join("c")).unwrap(), b"\x00234gh");
        assert_eq!(std::fs::read(folder.join("d")).unwrap(), b"i9!");
        let check = Target::compare(&ranges).unwrap();
        check.put(2, b"4fg").unwrap();
        let error = check.put(2, b"4fX").unwrap_err();
        assert_eq!((error.status, error.byte_offset), (Status::VerificationFailed, Some(6)));
        std::fs::write(&b, b"abc").unwrap();
        assert_eq!(source.read(0, &mut all).unwrap_err().status, Status::FileCutShort);
        assert_eq!(check.put(7, b"99").unwrap_err().status, Status::BadArgument);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
