//! One open file, read or written at given positions by any number of threads.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use crate::checksum::Sha256Stream;
use crate::context::{Context, Control};
use crate::error::{KernelError, Result, Status};
use crate::files::IO_CHUNK_BYTES;

/// A file open for reading.
#[derive(Debug)]
pub struct InputFile {
    file: File,
    path: PathBuf,
}

impl InputFile {
    /// Opens a regular file; a folder, device or pipe is refused.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|cause| KernelError::io("open", path, &cause))?;
        let metadata = file.metadata().map_err(|cause| KernelError::io("look at", path, &cause))?;
        if !metadata.is_file() {
            return Err(
                KernelError::new(Status::Io, format!("\"{}\" is not a regular file", path.display())).at_path(path)
            );
        }
        Ok(Self { file, path: path.to_path_buf() })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size now, in bytes.
    pub fn size(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(|cause| KernelError::io("look at", &self.path, &cause))?.len())
    }

    /// Fills `buffer` from byte `offset` on. [`Status::FileCutShort`] if the file ends before.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let position = offset + filled as u64;
            match read_at(&self.file, &mut buffer[filled..], position) {
                Ok(0) => {
                    return Err(KernelError::new(
                        Status::FileCutShort,
                        format!(
                            "\"{}\" ends at byte {position}, but bytes up to {} were there before",
                            self.path.display(),
                            offset + buffer.len() as u64
                        ),
                    )
                    .at_path(&self.path)
                    .at_offset(position));
                }
                Ok(count) => filled += count,
                Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(KernelError::io("read", &self.path, &cause).at_offset(position)),
            }
        }
        Ok(())
    }
}

/// A file open for writing (and reading back) at any position.
#[derive(Debug)]
pub struct OutputFile {
    file: File,
    path: PathBuf,
}

impl OutputFile {
    /// Opens the file, making an empty one if there is none. What it holds already stays.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|cause| KernelError::io("open for writing", path, &cause))?;
        Ok(Self { file, path: path.to_path_buf() })
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all of `bytes` at byte `offset`.
    pub fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            let position = offset + written as u64;
            match write_at(&self.file, &bytes[written..], position) {
                Ok(0) => {
                    return Err(KernelError::io("write to", &self.path, &std::io::ErrorKind::WriteZero.into())
                        .at_offset(position));
                }
                Ok(count) => written += count,
                Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(KernelError::io("write to", &self.path, &cause).at_offset(position)),
            }
        }
        Ok(())
    }

    /// Cuts or extends (with zeros) the file to `bytes`.
    pub fn set_size(&self, bytes: u64) -> Result<()> {
        self.file.set_len(bytes).map_err(|cause| KernelError::io("set the size of", &self.path, &cause))
    }

    /// Returns once all bytes are on the disk. Nothing can interrupt the operating system in that, which may take many
    /// seconds: when cancelled, it is left to end by itself.
    pub fn sync(&self, control: &Control) -> Result<()> {
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        control.check()?;
        let failed = |cause: &std::io::Error| KernelError::io("sync", &self.path, cause);
        let file = self.file.try_clone().map_err(|cause| failed(&cause))?;
        let (done, is_done) = mpsc::channel();
        let syncing = std::thread::Builder::new().name("lathe-sync".to_owned());
        // Nobody may be left to hear the answer.
        syncing.spawn(move || drop(done.send(file.sync_all()))).map_err(|cause| failed(&cause))?;
        loop {
            match is_done.recv_timeout(LOOK_EVERY) {
                Ok(synced) => return synced.map_err(|cause| failed(&cause)),
                Err(mpsc::RecvTimeoutError::Timeout) => control.check()?,
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(KernelError::new(
                        Status::Panic,
                        "the thread that syncs a file ended without an answer",
                    ));
                }
            }
        }
    }
}

/// An exclusive lock that the operating system releases when the process ends, however it ends.
#[derive(Debug)]
pub struct FileLock(#[allow(dead_code, reason = "held for its lifetime")] File);

impl FileLock {
    /// Takes the lock on a (possibly new) file, or fails at once with [`Status::Locked`].
    pub fn acquire(path: &Path) -> Result<Self> {
        loop {
            let output = OutputFile::open(path)?;
            match output.file.try_lock() {
                Ok(()) if is_at(&output.file, path) => return Ok(Self(output.file)),
                // Its last holder removed the file between the two steps: what was locked has no name any more.
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => {
                    return Err(KernelError::new(
                        Status::Locked,
                        format!("\"{}\" is locked by another process", path.display()),
                    )
                    .at_path(path));
                }
                Err(std::fs::TryLockError::Error(cause)) => return Err(KernelError::io("lock", path, &cause)),
            }
        }
    }
}

/// Whether a path (still) leads to this open file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
    matches!((file.metadata(), path.metadata()), (Ok(ours), Ok(named)) if identity(&ours) == identity(&named))
}

/// Whether a path (still) leads to this open file: here an open file keeps its name until it is closed.
#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

/// Feeds `bytes` bytes of a file from `offset` on to a hash.
pub fn hash_range(
    context: &Context,
    input: &InputFile,
    offset: u64,
    bytes: u64,
    hash: &mut Sha256Stream,
) -> Result<()> {
    for_each_part(context, input, offset, bytes, |_, part| {
        hash.update(part);
        Ok(())
    })
}

/// Copies `bytes` bytes from `offset` of the input to `target_offset` of the output, and feeds them to `hash`.
pub fn copy_range(
    context: &Context,
    input: &InputFile,
    offset: u64,
    bytes: u64,
    output: &OutputFile,
    target_offset: u64,
    hash: &mut Sha256Stream,
) -> Result<()> {
    for_each_part(context, input, offset, bytes, |done, part| {
        hash.update(part);
        output.write_all_at(part, target_offset + done)
    })
}

/// Reads `bytes` bytes from `offset` on, in order, and calls `visit(bytes before this part, part)`.
pub fn for_each_part(
    context: &Context,
    input: &InputFile,
    offset: u64,
    bytes: u64,
    mut visit: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut buffer = super::zeroed(IO_CHUNK_BYTES.min(usize::try_from(bytes).unwrap_or(IO_CHUNK_BYTES)))?;
    let mut done = 0;
    while done < bytes {
        context.control.check()?;
        let length = (bytes - done).min(buffer.len() as u64) as usize;
        input.read_exact_at(&mut buffer[..length], offset + done)?;
        visit(done, &buffer[..length])?;
        done += length as u64;
        context.control.advance(length as u64);
    }
    Ok(())
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn tells_a_file_from_another_that_took_its_name() {
        let folder = std::env::temp_dir().join(format!("lathe-lock-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("lock");
        let first = OutputFile::open(&path).unwrap();
        assert!(is_at(&first.file, &path));
        std::fs::remove_file(&path).unwrap();
        assert!(!is_at(&first.file, &path));
        let second = FileLock::acquire(&path).unwrap();
        assert!(!is_at(&first.file, &path));
        assert!(is_at(&second.0, &path));
        assert_eq!(FileLock::acquire(&path).unwrap_err().status, Status::Locked);
        drop(second);
        FileLock::acquire(&path).unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
