//! What every long call is given: the cancel flag, the progress counter and the threads it may use.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

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

    /// Original bytes worked through so far. A call that reads its source in two passes counts both.
    pub fn done_bytes(&self) -> u64 {
        self.done_bytes.load(Ordering::Relaxed)
    }
}

/// The surroundings of one long call.
#[derive(Clone)]
pub struct Context {
    /// Cancel flag and progress.
    pub control: Arc<Control>,
    /// Worker threads; results never depend on how many there are.
    pub pool: Arc<ThreadPool>,
}

impl Context {
    /// A context with its own control and a pool of `threads` workers (1 or more; pools are shared between contexts).
    pub fn with_threads(threads: usize) -> Result<Self> {
        Ok(Self { control: Arc::new(Control::default()), pool: pool_of(threads)? })
    }

    /// How many threads the call may keep busy.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }
}

/// Pools live as long as the process: building one costs more than a small call.
fn pool_of(threads: usize) -> Result<Arc<ThreadPool>> {
    static POOLS: OnceLock<Mutex<HashMap<usize, Arc<ThreadPool>>>> = OnceLock::new();
    /// More than any workstation has; keeps a typing error from starting a million threads.
    const MAX_THREADS: usize = 1024;
    if threads == 0 || threads > MAX_THREADS {
        return Err(KernelError::bad_argument(format!("{threads} threads asked for, 1 to {MAX_THREADS} are possible")));
    }
    let mut pools = POOLS.get_or_init(Mutex::default).lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(pool) = pools.get(&threads) {
        return Ok(Arc::clone(pool));
    }
    let pool =
        ThreadPoolBuilder::new().num_threads(threads).thread_name(|index| format!("lathe-{index}")).build().map_err(
            |cause| KernelError::new(Status::OutOfMemory, format!("cannot start {threads} threads: {cause}")),
        )?;
    let pool = Arc::new(pool);
    pools.insert(threads, Arc::clone(&pool));
    Ok(pool)
}
