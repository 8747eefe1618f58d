//! What every long call is given: the cancel flag, the progress counter and the threads it may use.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{KernelError, Result, Status};

/// Shared between the caller and a running call: how to stop it, and how far it has come.
#[derive(Debug, Default)]
pub struct Control {
    cancelled: AtomicBool,
    done_bytes: AtomicU64,
}

impl Control {
    /// Asks the call to stop; it does so at its next chunk (a few milliseconds).
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Fails with [`Status::Cancelled`] once [`Control::cancel`] was called.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(KernelError::new(Status::Cancelled, "the operation was cancelled"));
        }
        Ok(())
    }

    /// Adds to the count of original (uncompressed) bytes worked through.
    pub fn advance(&self, bytes: u64) {
        self.done_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Original bytes worked through so far; at the end the source's length, also of a call that reads it in two passes.
    pub fn done_bytes(&self) -> u64 {
        self.done_bytes.load(Ordering::Relaxed)
    }
}

/// The surroundings of one long call.
pub struct Context {
    /// Cancel flag and progress.
    pub control: Arc<Control>,
    /// Worker threads of this call alone; results never depend on how many there are.
    pub pool: Workers,
}

impl Context {
    /// A context with its own control and `threads` workers (1 or more).
    pub fn with_threads(threads: usize) -> Result<Self> {
        Ok(Self { control: Arc::new(Control::default()), pool: Workers::borrow(threads)? })
    }

    /// How many threads the call may keep busy.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
}

/// Pools that no call uses at present. They live as long as the process: starting one costs more than a small call.
static IDLE_POOLS: Mutex<Vec<Arc<ThreadPool>>> = Mutex::new(Vec::new());

/// A pool that belongs to one call while it runs: threads that wait for their call's own work never pick up another
/// call's, which might take minutes.
pub struct Workers(Arc<ThreadPool>);

impl Workers {
    fn borrow(threads: usize) -> Result<Self> {
        /// More than any workstation has; keeps a typing error from starting a million threads.
        const MAX_THREADS: usize = 1024;
        if threads == 0 || threads > MAX_THREADS {
            return Err(KernelError::bad_argument(format!(
                "{threads} threads asked for, 1 to {MAX_THREADS} are possible"
            )));
        }
        {
            let mut idle = IDLE_POOLS.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(index) = idle.iter().position(|pool| pool.current_num_threads() == threads) {
                return Ok(Self(idle.swap_remove(index)));
            }
        }
        let started =
            ThreadPoolBuilder::new().num_threads(threads).thread_name(|index| format!("lathe-{index}")).build();
        started
            .map(|pool| Self(Arc::new(pool)))
            .map_err(|cause| KernelError::new(Status::OutOfMemory, format!("cannot start {threads} threads: {cause}")))
    }
}

impl Deref for Workers {
    type Target = ThreadPool;

    fn deref(&self) -> &ThreadPool {
        &self.0
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        IDLE_POOLS.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&self.0));
    }
}

/// Bound of the memory that any one call takes at this many threads, in bytes, whatever its tensors' sizes; calls at
/// the same time add up.
///
/// Measured at the worst data for each kernel: up to 3.3 MiB per thread, DFloat11's encoder with code words of 32 bits,
/// of which two results wait for their turn while one is made. Fixed: a tensor of 16 MiB that is held instead of read
/// again, a blob of 8 MiB that is held until it is whole, or the index of the longest plane (33 MiB).
pub const fn memory_bytes(threads: usize) -> u64 {
    const FIXED_BYTES: u64 = 40 << 20;
    const THREAD_BYTES: u64 = 5 << 20;
    FIXED_BYTES + THREAD_BYTES * threads as u64
}
