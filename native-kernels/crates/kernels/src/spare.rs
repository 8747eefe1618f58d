//! Buffers that outlive the piece they were for: memory fresh from the system is cleared page by page, which takes as long as
//! plain rounding does.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use crate::error::{KernelError, Result, Status};

/// Buffers of one call, as many as its threads use at a time; they go when it ends.
pub struct Spare<T> {
    free: Mutex<Vec<Vec<T>>>,
}

impl<T: Copy + Default> Spare<T> {
    /// None yet.
    pub const fn new() -> Self {
        Self { free: Mutex::new(Vec::new()) }
    }

    /// A buffer of `length` numbers of whatever was in it, or [`Status::OutOfMemory`].
    pub fn take(&self, length: usize) -> Result<Borrowed<'_, T>> {
        let mut buffer = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        if buffer.len() < length {
            buffer.try_reserve_exact(length - buffer.len()).map_err(|_| {
                KernelError::new(Status::OutOfMemory, format!("cannot allocate a buffer of {length} numbers"))
            })?;
            buffer.resize(length, T::default());
        }
        Ok(Borrowed { spare: self, buffer, length })
    }
}

/// A buffer until it is dropped.
pub struct Borrowed<'a, T> {
    spare: &'a Spare<T>,
    buffer: Vec<T>,
    length: usize,
}

impl<T> Deref for Borrowed<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.buffer[..self.length]
    }
}

impl<T> DerefMut for Borrowed<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.buffer[..self.length]
    }
}

impl<T> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.spare.free.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_and_has_the_length_asked_for() {
        let spare = Spare::<f32>::new();
        let place = {
            let mut buffer = spare.take(100).unwrap();
            buffer[99] = 1.0;
            buffer.as_ptr()
        };
        let again = spare.take(60).unwrap();
        assert_eq!((again.as_ptr(), again.len()), (place, 60));
        assert_eq!(spare.take(200).unwrap().len(), 200);
    }
}
