//! Buffers that go round: a fresh allocation of this size costs more in page faults than the coding of its contents.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::files::zeroed;

/// Capacities are multiples of this, so that items whose coded lengths differ a little use each other's buffers.
const CAPACITY_STEP: usize = 16 << 10;

/// Byte buffers handed from item to item, by capacity.
#[derive(Default)]
pub(super) struct Buffers(Mutex<BTreeMap<usize, Vec<Vec<u8>>>>);

impl Buffers {
    /// A buffer of `length` bytes of unspecified content. One much too large is left for those who need it.
    pub(super) fn take(&self, length: usize) -> Result<Vec<u8>> {
        let capacity = length.next_multiple_of(CAPACITY_STEP);
        let found = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.range_mut(capacity..=capacity + capacity / 4).find_map(|(_, buffers)| buffers.pop())
        };
        let mut buffer = match found {
            Some(buffer) => buffer,
            None => zeroed(capacity)?,
        };
        // Longer by a few bytes at most: shorter ones were cut from the same capacity.
        buffer.resize(length, 0);
        Ok(buffer)
    }

    /// Takes a buffer back.
    pub(super) fn give(&self, buffer: Vec<u8>) {
        if buffer.capacity() > 0 {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.entry(buffer.capacity()).or_default().push(buffer);
        }
    }
}
