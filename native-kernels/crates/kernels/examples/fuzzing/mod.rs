//! What the fuzz targets share: cases by seed, a bound on memory, a watch over time, ways to damage bytes.
//!
//! A target reads LATHE_FUZZ_SECONDS (60) and LATHE_FUZZ_SEED (1). Case `i` has the seed `seed + i`, so that a finding is
//! seen again by starting with the seed that it was printed with.

#![allow(dead_code, reason = "each target uses a part")]

pub mod damaged_planes;

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lathe_kernels::files::ByteRange;

/// Far above what any case takes.
const MAX_CASE_SECONDS: u64 = 20;

/// Counts the bytes that are allocated, and the most at one time.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every call on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` and answers the most bytes that were allocated during it, beyond those before.
pub fn most_allocated<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let result = work();
    (result, MOST.load(Ordering::Relaxed).saturating_sub(before))
}

/// SplitMix64.
pub struct Random(u64);

impl Random {
    /// Any 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `limit - 1`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// Once in `cases`.
    pub fn one_in(&mut self, cases: u64) -> bool {
        self.next().is_multiple_of(cases)
    }

    /// A length of any magnitude up to `most`, small ones as likely as large ones.
    pub fn length(&mut self, most: usize) -> usize {
        let magnitude = self.below(most.ilog2() as usize + 2);
        self.below((1 << magnitude).min(most + 1))
    }

    /// Bytes of one of several distributions: constant, a few values, bell-shaped, steep, noise, runs.
    pub fn symbols(&mut self, length: usize) -> Vec<u8> {
        let (kind, centre, spread) = (self.below(6), self.next() as u8, 1 + self.below(40) as u8);
        let mut run = centre;
        (0..length)
            .map(|_| {
                let word = self.next();
                match kind {
                    0 => centre,
                    1 => centre.wrapping_add((word % u64::from(spread)) as u8),
                    2 => {
                        let bell = (0..4).map(|i| (word >> (8 * i)) & 0xff).sum::<u64>() * u64::from(spread) / 512;
                        centre.wrapping_add(bell as u8)
                    }
                    3 => centre.wrapping_sub(word.trailing_zeros() as u8),
                    4 => word as u8,
                    _ => {
                        run = if word.is_multiple_of(200) { (word >> 32) as u8 } else { run };
                        run
                    }
                }
            })
            .collect()
    }

    /// Damages bytes in one of several ways; they may stay as they are.
    pub fn damage(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            bytes.resize(self.below(9), self.next() as u8);
            return;
        }
        let at = self.below(bytes.len());
        match self.below(9) {
            0..=2 => bytes[at] ^= 1 << self.below(8),
            3 => bytes[at] = self.next() as u8,
            4 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
            5 => bytes.truncate(at),
            6 => {
                let more = 1 + self.below(70);
                bytes.resize(bytes.len() + more, [0, self.next() as u8][self.below(2)]);
            }
            7 => {
                let end = (at + 1 + self.below(64)).min(bytes.len());
                bytes[at..end].iter_mut().for_each(|byte| *byte = self.next() as u8);
            }
            _ => {
                let (other, length) = (self.below(bytes.len()), 1 + self.below(16));
                for i in 0..length.min(bytes.len() - at.max(other)) {
                    bytes.swap(at + i, other + i);
                }
            }
        }
    }
}

/// A folder in memory where there is one, gone when the target ends.
pub struct Folder(PathBuf);

impl Folder {
    fn new(target: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let folder = parent.join(format!("lathe-fuzz-{target}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and answers its range.
    pub fn store(&self, name: &str, bytes: &[u8]) -> ByteRange {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a written file");
        ByteRange { path, offset: 0, bytes: bytes.len() as u64 }
    }

    /// What a file holds.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("a file")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

/// Runs cases until the time is over. A case that panics, answers a complaint or does not end is printed with its seed,
/// and the target ends with status 1.
pub fn fuzz(target: &'static str, case: impl Fn(&mut Random, &Folder) -> Result<(), String>) {
    let folder = Folder::new(target);
    let (seconds, seed) = (number("LATHE_FUZZ_SECONDS", 60), number("LATHE_FUZZ_SEED", 1));
    let begun: Arc<Mutex<(u64, Instant)>> = Arc::new(Mutex::new((seed, Instant::now())));
    watch(target, Arc::clone(&begun));
    let (start, mut cases) = (Instant::now(), 0_u64);
    while start.elapsed().as_secs() < seconds {
        let case_seed = seed.wrapping_add(cases);
        *begun.lock().unwrap_or_else(PoisonError::into_inner) = (case_seed, Instant::now());
        let outcome = catch_unwind(AssertUnwindSafe(|| case(&mut Random(case_seed), &folder)));
        let complaint = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(complaint)) => Some(complaint),
            Err(_) => Some("it panicked (see above)".to_owned()),
        };
        if let Some(complaint) = complaint {
            eprintln!("{target}: {complaint}; see it again with LATHE_FUZZ_SEED={case_seed}");
            drop(folder);
            std::process::exit(1);
        }
        cases += 1;
    }
    println!("{target}: {cases} cases, no finding");
}

/// Ends the process when a case does not end.
fn watch(target: &'static str, begun: Arc<Mutex<(u64, Instant)>>) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let (seed, start) = *begun.lock().unwrap_or_else(PoisonError::into_inner);
            if start.elapsed().as_secs() > MAX_CASE_SECONDS {
                eprintln!("{target}: a case does not end; see it again with LATHE_FUZZ_SEED={seed}");
                std::process::exit(1);
            }
        }
    });
}
