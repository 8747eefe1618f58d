//! Buffers that go from worker to writer and back: a fresh one a chunk would cost more in page faults than the coding.

use crate::error::{KernelError, Result, Status};
use std::sync::{Mutex, PoisonError};

/// Used buffers, ready for the next chunk.
pub(super) struct Scratch<T>(Mutex<Vec<T>>);

impl<T> Scratch<T> {
    pub fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// A used buffer, or else a new one.
    pub fn take(&self, make: impl FnOnce() -> T) -> T {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        used.unwrap_or_else(make)
    }

    /// Hands a buffer back.
    pub fn give(&self, buffer: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// Gives a buffer `length` bytes, or [`Status::OutOfMemory`] instead of the end of the process. Bytes it had stay.
pub(super) fn resize(buffer: &mut Vec<u8>, length: usize) -> Result<()> {
    buffer
        .try_reserve(length.saturating_sub(buffer.len()))
        .map_err(|_| KernelError::new(Status::OutOfMemory, format!("cannot allocate a buffer of {length} bytes")))?;
    buffer.resize(length, 0);
    Ok(())
}
