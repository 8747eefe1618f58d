//! Whole files, and their disks: lock, digest, copy, compare, sync.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lathe_kernels::checksum::{Sha256Stream, Xxh3Stream};
use lathe_kernels::cpu::Backend;
use lathe_kernels::files::{self, FileLock, InputFile, OutputFile, Target};
use lathe_kernels::{Context, KernelError, Status};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::call::{CallControl, Work, guarded};
use crate::js_ranges::{JsByteRange, range, unsigned};

#[napi(object)]
pub struct JsDescription {
    pub version: String,
    pub backends: Vec<String>,
    pub backend: String,
    pub features: Vec<String>,
}

#[napi]
pub fn describe() -> JsDescription {
    JsDescription {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        backends: Backend::available().iter().map(|backend| backend.name().to_owned()).collect(),
        backend: Backend::best().name().to_owned(),
        features: lathe_kernels::cpu::features().into_iter().map(str::to_owned).collect(),
    }
}

/// A held lock; `release` or the end of the process frees it.
#[napi]
pub struct HeldLock(Option<FileLock>);

#[napi]
impl HeldLock {
    #[napi]
    pub fn release(&mut self) {
        self.0 = None;
    }
}

#[napi]
pub fn lock_file(path: String) -> Result<HeldLock> {
    guarded(|| FileLock::acquire(Path::new(&path)).map(|lock| HeldLock(Some(lock))))
}

#[napi]
pub fn free_disk_bytes(path: String) -> Result<Option<i64>> {
    guarded(|| Ok(files::free_disk_bytes(Path::new(&path))?.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))))
}

/// A SHA-256 fed by several calls, one at a time.
#[napi]
#[derive(Default)]
pub struct RunningDigest(Arc<Mutex<Sha256Stream>>);

#[napi]
impl RunningDigest {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    #[napi]
    pub fn hex(&self) -> Result<String> {
        guarded(|| Ok(locked(&self.0)?.hex()))
    }
}

impl RunningDigest {
    /// The state itself, for a call on another thread.
    pub fn state(&self) -> Arc<Mutex<Sha256Stream>> {
        Arc::clone(&self.0)
    }
}

/// The digest's state; a panic while it was held makes it unusable.
pub fn locked(state: &Mutex<Sha256Stream>) -> lathe_kernels::Result<std::sync::MutexGuard<'_, Sha256Stream>> {
    state.lock().map_err(|_| KernelError::new(Status::Panic, "a running digest was broken by an earlier panic"))
}

#[napi(object)]
pub struct JsDigest {
    pub size_bytes: i64,
    pub sha256: String,
}

#[napi]
pub fn feed_digest(
    digest: &RunningDigest,
    source: JsByteRange,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<()>>> {
    let (state, context) = (digest.state(), control.context(threads)?);
    Ok(Work::task(move || {
        let source = range(&source)?;
        let input = InputFile::open(&source.path)?;
        files::hash_range(&context, &input, source.offset, source.bytes, &mut *locked(&state)?)
    }))
}

#[napi]
pub fn digest_file(path: String, threads: u32, control: &CallControl) -> Result<AsyncTask<Work<JsDigest>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        let input = InputFile::open(Path::new(&path))?;
        let (bytes, mut hash) = (input.size()?, Sha256Stream::default());
        files::hash_range(&context, &input, 0, bytes, &mut hash)?;
        Ok(JsDigest { size_bytes: bytes as i64, sha256: hash.hex() })
    }))
}

#[napi]
pub fn digest_files(paths: Vec<String>, threads: u32, control: &CallControl) -> Result<AsyncTask<Work<Vec<JsDigest>>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        let hashes = files::hash_files(&context, &paths)?;
        Ok(hashes.into_iter().map(|hash| JsDigest { size_bytes: hash.bytes as i64, sha256: hash.sha256 }).collect())
    }))
}

#[napi(object)]
pub struct JsChecksum {
    pub size_bytes: i64,
    pub xxh3: String,
}

#[napi]
pub fn checksum_file(path: String, threads: u32, control: &CallControl) -> Result<AsyncTask<Work<JsChecksum>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        let input = InputFile::open(Path::new(&path))?;
        let (bytes, mut xxh3) = (input.size()?, Xxh3Stream::default());
        files::for_each_part(&context, &input, 0, bytes, |_, part| {
            xxh3.update(part);
            Ok(())
        })?;
        Ok(JsChecksum { size_bytes: bytes as i64, xxh3: xxh3.hex() })
    }))
}

#[napi]
pub fn copy_file(from: String, to: String, threads: u32, control: &CallControl) -> Result<AsyncTask<Work<JsDigest>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        let input = InputFile::open(Path::new(&from))?;
        let bytes = input.size()?;
        let output = OutputFile::open(Path::new(&to))?;
        let mut hash = Sha256Stream::default();
        files::copy_range(&context, &input, 0, bytes, &output, 0, &mut hash)?;
        output.set_size(bytes)?;
        output.sync(&context.control)?;
        Ok(JsDigest { size_bytes: bytes as i64, sha256: hash.hex() })
    }))
}

#[napi]
pub fn copy_range(
    from: JsByteRange,
    to: String,
    to_offset_bytes: i64,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<()>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        let from = range(&from)?;
        let input = InputFile::open(&from.path)?;
        let output = OutputFile::open(&PathBuf::from(to))?;
        let target_offset = unsigned(to_offset_bytes, "toOffsetBytes")?;
        files::for_each_part(&context, &input, from.offset, from.bytes, |done, part| {
            output.write_all_at(part, target_offset + done)
        })
    }))
}

#[napi]
pub fn compare_ranges(
    decoded: JsByteRange,
    original: JsByteRange,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<()>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || compare(&context, &decoded, &original)))
}

fn compare(context: &Context, decoded: &JsByteRange, original: &JsByteRange) -> lathe_kernels::Result<()> {
    let (decoded, original) = (range(decoded)?, range(original)?);
    if decoded.bytes != original.bytes {
        return Err(KernelError::bad_argument("ranges of different sizes cannot be compared"));
    }
    let input = InputFile::open(&decoded.path)?;
    let target = Target::compare(std::slice::from_ref(&original))?;
    files::for_each_part(context, &input, decoded.offset, decoded.bytes, |done, part| target.put(done, part))
}

#[napi]
pub fn sync_file(path: String, threads: u32, control: &CallControl) -> Result<AsyncTask<Work<()>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || OutputFile::open(&PathBuf::from(path))?.sync(&context.control)))
}
