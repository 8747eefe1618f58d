//! Files by position: no memory map (a file cut short while mapped kills the process), no seek state shared by threads.

mod free_space;
mod hash_files;
mod positioned;
mod ranges;

pub use free_space::free_disk_bytes;
pub use hash_files::{FileHash, hash_files};
pub use positioned::{FileLock, InputFile, OutputFile, copy_range, for_each_part, hash_range};
pub use ranges::{ByteRange, Source, Target};

/// Bytes read or written at a time by the sequential helpers: big enough that a system call costs nothing beside it,
/// small enough to stay in the second-level cache.
pub const IO_CHUNK_BYTES: usize = 1 << 20;

/// A buffer of `length` zero bytes, or [`crate::Status::OutOfMemory`] instead of the end of the process.
pub fn zeroed(length: usize) -> crate::Result<Vec<u8>> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(length).map_err(|_| {
        crate::KernelError::new(crate::Status::OutOfMemory, format!("cannot allocate a buffer of {length} bytes"))
    })?;
    buffer.resize(length, 0);
    Ok(buffer)
}
