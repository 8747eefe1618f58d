//! SHA-256 of several files at once: the only way to hash faster than one stream goes.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::checksum::{Sha256Stream, update_pair};
use crate::context::Context;
use crate::error::{KernelError, Result};
use crate::files::{InputFile, zeroed};

/// Both of a thread's chunks stay in its second-level cache.
const CHUNK_BYTES: usize = 256 << 10;

/// A file's length and SHA-256 (64 lower-case hex digits).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHash {
    /// Length in bytes.
    pub bytes: u64,
    /// The digest.
    pub sha256: String,
}

/// Hashes whole files and answers in their order. Progress advances by their bytes.
///
/// Each thread works on two files side by side, at nearly the cost of one where the processor has SHA instructions, but
/// leaves a file to a thread that has none.
pub fn hash_files<P: AsRef<Path> + Sync>(context: &Context, paths: &[P]) -> Result<Vec<FileHash>> {
    let queue = Queue::new(paths)?;
    let threads = context.threads().min(paths.len());
    if threads <= 1 {
        queue.work(context, None);
    } else {
        // Each thread has a file before any has two.
        let firsts: Vec<_> = (0..threads).map(|_| queue.next()).collect();
        context.pool.in_place_scope(|scope| {
            for first in firsts {
                let queue = &queue;
                scope.spawn(move |_| queue.work(context, first));
            }
        });
    }
    let Outcome { mut hashes, failure } = queue.outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    failure.map_or(Ok(()), Err)?;
    hashes.sort_unstable_by_key(|(index, _)| *index);
    Ok(hashes.into_iter().map(|(_, hash)| hash).collect())
}

/// Files that wait to be hashed, and what became of the others.
struct Queue<'a, P> {
    paths: &'a [P],
    /// Indices, the largest file last.
    waiting: Mutex<Vec<usize>>,
    outcome: Mutex<Outcome>,
}

#[derive(Default)]
struct Outcome {
    hashes: Vec<(usize, FileHash)>,
    failure: Option<KernelError>,
}

impl<'a, P: AsRef<Path>> Queue<'a, P> {
    /// Looks at every file, but keeps none open: there may be more than a process may hold.
    fn new(paths: &'a [P]) -> Result<Self> {
        let sizes = paths.iter().map(|path| InputFile::open(path.as_ref())?.size());
        let sizes = sizes.collect::<Result<Vec<u64>>>()?;
        let mut waiting: Vec<usize> = (0..paths.len()).collect();
        waiting.sort_by_key(|index| sizes[*index]);
        Ok(Self { paths, waiting: Mutex::new(waiting), outcome: Mutex::default() })
    }

    fn next(&self) -> Option<usize> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn outcome(&self) -> MutexGuard<'_, Outcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hashes until no file waits, or until a thread has failed.
    fn work(&self, context: &Context, first: Option<usize>) {
        if let Err(failure) = self.hash_all(context, first) {
            self.outcome().failure.get_or_insert(failure);
        }
    }

    fn hash_all(&self, context: &Context, first: Option<usize>) -> Result<()> {
        let open = |index: usize| Lane::open(index, self.paths[index].as_ref());
        let mut buffers = [zeroed(CHUNK_BYTES)?, zeroed(CHUNK_BYTES)?];
        let mut lanes = [first.map(open).transpose()?, None];
        while self.outcome().failure.is_none() {
            context.control.check()?;
            for lane in &mut lanes {
                if let Some(whole) = lane.take_if(|lane| lane.done == lane.bytes) {
                    self.outcome().hashes.push(whole.finish());
                }
                if lane.is_none() {
                    *lane = self.next().map(open).transpose()?;
                }
            }
            let [a, b] = &mut lanes;
            let [buffer_a, buffer_b] = &mut buffers;
            let bytes_a = a.as_mut().map_or(Ok(&[][..]), |lane| lane.read(buffer_a))?;
            let bytes_b = b.as_mut().map_or(Ok(&[][..]), |lane| lane.read(buffer_b))?;
            match (a, b) {
                (Some(a), Some(b)) => update_pair(&mut a.hash, bytes_a, &mut b.hash, bytes_b),
                (Some(a), None) => a.hash.update(bytes_a),
                (None, Some(b)) => b.hash.update(bytes_b),
                (None, None) => return Ok(()),
            }
            context.control.advance((bytes_a.len() + bytes_b.len()) as u64);
        }
        Ok(())
    }
}

/// A file that is being hashed.
struct Lane {
    index: usize,
    input: InputFile,
    bytes: u64,
    done: u64,
    hash: Sha256Stream,
}

impl Lane {
    fn open(index: usize, path: &Path) -> Result<Self> {
        let input = InputFile::open(path)?;
        let bytes = input.size()?;
        Ok(Self { index, input, bytes, done: 0, hash: Sha256Stream::default() })
    }

    fn read<'a>(&mut self, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
        let length = (self.bytes - self.done).min(buffer.len() as u64) as usize;
        self.input.read_exact_at(&mut buffer[..length], self.done)?;
        self.done += length as u64;
        Ok(&buffer[..length])
    }

    fn finish(self) -> (usize, FileHash) {
        (self.index, FileHash { bytes: self.bytes, sha256: self.hash.hex() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Status;

    #[test]
    fn hashes_files_of_any_lengths_as_one_stream_each() {
        let folder = std::env::temp_dir().join(format!("lathe-hash-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let lengths = [0, 1, 63, 64, 65, 262_144, 262_145, 300_001, 1_000_000, 7];
        let mut paths = Vec::new();
        let mut expected = Vec::new();
        for (index, length) in lengths.into_iter().enumerate() {
            let bytes: Vec<u8> = (0..length).map(|i| ((i * 31 + index) ^ (i >> 7)) as u8).collect();
            paths.push(folder.join(index.to_string()));
            std::fs::write(&paths[index], &bytes).unwrap();
            let mut hash = Sha256Stream::default();
            hash.update(&bytes);
            expected.push(FileHash { bytes: length as u64, sha256: hash.hex() });
        }
        for threads in [1, 2, 3, 16] {
            for count in [0, 1, 2, 3, paths.len()] {
                let context = Context::with_threads(threads).unwrap();
                let found = hash_files(&context, &paths[..count]).unwrap();
                assert_eq!(found, expected[..count], "{count} files on {threads} threads");
                let bytes: u64 = expected[..count].iter().map(|hash| hash.bytes).sum();
                assert_eq!(context.control.done_bytes(), bytes);
            }
            let context = Context::with_threads(threads).unwrap();
            let missing = hash_files(&context, &[&paths[0], &folder.join("missing")]);
            assert_eq!(missing.unwrap_err().status, Status::NotFound);
            context.control.cancel();
            assert_eq!(hash_files(&context, &paths).unwrap_err().status, Status::Cancelled);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
