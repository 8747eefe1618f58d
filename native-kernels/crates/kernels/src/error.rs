//! What can go wrong in a kernel, as numbers that never change meaning.

use std::fmt;
use std::path::{Path, PathBuf};

/// The kind of a failure. The numbers cross the Node-API border and are pinned for ever; gaps are for later kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// The caller asked to stop.
    Cancelled = 10,
    /// The operating system refused a file operation for a reason not listed below.
    Io = 20,
    /// A file or folder is not there.
    NotFound = 21,
    /// The operating system denies access.
    PermissionDenied = 22,
    /// The disk or the quota is full.
    DiskFull = 23,
    /// A file ended before the bytes that were there when it was opened: it was cut short while being read.
    FileCutShort = 24,
    /// A buffer could not be allocated.
    OutOfMemory = 25,
    /// Somebody else holds the lock.
    Locked = 26,
    /// A source is no longer what an earlier pass over it found.
    SourceChanged = 27,
    /// Coded data contradict themselves or their description.
    Malformed = 40,
    /// Stored bytes do not have the checksum that was recorded for them.
    ChecksumMismatch = 41,
    /// The format cannot hold these data; they must stay plain.
    Unrepresentable = 42,
    /// Decoded bytes differ from the original.
    VerificationFailed = 50,
    /// A NaN or an infinity where only numbers can be worked with.
    NotFinite = 60,
    /// A caller broke the contract of a kernel: a bug of ours.
    BadArgument = 70,
    /// A panic was caught: a bug of ours.
    Panic = 71,
}

/// A failed kernel call: what happened, and where.
#[derive(Debug, Clone)]
pub struct KernelError {
    /// The kind of failure.
    pub status: Status,
    /// One sentence in plain words, with the values found and expected.
    pub what: String,
    /// The file at fault, if one is.
    pub path: Option<PathBuf>,
    /// The byte offset in that file, if known.
    pub byte_offset: Option<u64>,
}

/// The result of every kernel call.
pub type Result<T> = std::result::Result<T, KernelError>;

impl KernelError {
    /// A failure of the given kind.
    pub fn new(status: Status, what: impl Into<String>) -> Self {
        Self { status, what: what.into(), path: None, byte_offset: None }
    }

    /// Coded data that contradict themselves.
    pub fn malformed(what: impl Into<String>) -> Self {
        Self::new(Status::Malformed, what)
    }

    /// A broken contract between our own parts.
    pub fn bad_argument(what: impl Into<String>) -> Self {
        Self::new(Status::BadArgument, what)
    }

    /// Adds the file at fault, unless one is already named.
    #[must_use]
    pub fn at_path(mut self, path: &Path) -> Self {
        self.path.get_or_insert_with(|| path.to_path_buf());
        self
    }

    /// Adds the byte offset in the file, unless one is already named.
    #[must_use]
    pub fn at_offset(mut self, byte_offset: u64) -> Self {
        self.byte_offset.get_or_insert(byte_offset);
        self
    }

    /// A failed file operation: `doing` is a verb phrase such as `"read"`.
    pub fn io(doing: &str, path: &Path, cause: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let status = match cause.kind() {
            ErrorKind::NotFound => Status::NotFound,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Status::PermissionDenied,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Status::DiskFull,
            ErrorKind::UnexpectedEof => Status::FileCutShort,
            ErrorKind::OutOfMemory => Status::OutOfMemory,
            ErrorKind::WouldBlock => Status::Locked,
            _ => Status::Io,
        };
        Self::new(status, format!("cannot {doing} \"{}\": {cause}", path.display())).at_path(path)
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({:?}", self.what, self.status)?;
        if let Some(path) = &self.path {
            write!(out, ", {}", path.display())?;
        }
        if let Some(offset) = self.byte_offset {
            write!(out, ", byte {offset}")?;
        }
        write!(out, ")")
    }
}

impl std::error::Error for KernelError {}
