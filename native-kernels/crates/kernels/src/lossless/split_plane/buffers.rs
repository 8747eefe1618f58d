//! Buffers that go round: a fresh allocation of this size costs more in page faults than the coding of its contents.

use std::sync::Mutex;

use crate::error::Result;
use crate::files::zeroed;

/// Byte buffers handed from item to item.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// A buffer of `length` bytes of unspecified content.
    pub(super) fn take(&self, length: usize) -> Result<Vec<u8>> {
        let found = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
        match found {
            Some(mut buffer) if buffer.capacity() >= length => {
                if buffer.len() < length {
                    buffer.resize(length, 0);
                }
                buffer.truncate(length);
                Ok(buffer)
            }
            _ => zeroed(length),
        }
    }

    /// Takes a buffer back.
    pub(super) fn give(&self, buffer: Vec<u8>) {
        if buffer.capacity() > 0 {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(buffer);
        }
    }
}
