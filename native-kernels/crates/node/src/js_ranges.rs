//! Numbers and byte ranges as JavaScript gives them.

use std::path::PathBuf;

use lathe_kernels::files::{ByteRange, Target};
use lathe_kernels::{KernelError, Result};
use napi_derive::napi;

/// `core/kernels` ByteRange.
#[napi(object)]
pub struct JsByteRange {
    pub path: String,
    pub offset_bytes: i64,
    pub size_bytes: i64,
}

/// `core/kernels` DecodeTarget, with the unused half absent.
#[napi(object)]
pub struct JsTarget {
    pub kind: String,
    pub ranges: Option<Vec<JsByteRange>>,
    pub size_bytes: Option<i64>,
}

/// A size or offset; negative ones are a bug of the caller.
pub fn unsigned(value: i64, name: &str) -> Result<u64> {
    u64::try_from(value).map_err(|_| KernelError::bad_argument(format!("{name} is {value}, it cannot be negative")))
}

/// One range.
pub fn range(js: &JsByteRange) -> Result<ByteRange> {
    Ok(ByteRange {
        path: PathBuf::from(&js.path),
        offset: unsigned(js.offset_bytes, "offsetBytes")?,
        bytes: unsigned(js.size_bytes, "sizeBytes")?,
    })
}

/// Several ranges.
pub fn ranges(js: &[JsByteRange]) -> Result<Vec<ByteRange>> {
    js.iter().map(range).collect()
}

/// Opens the files of a decode target.
pub fn target(js: &JsTarget) -> Result<Target> {
    let listed = || ranges(js.ranges.as_deref().unwrap_or_default());
    match js.kind.as_str() {
        "write" => Target::write(&listed()?),
        "compare" => Target::compare(&listed()?),
        "discard" => Ok(Target::Discard(unsigned(js.size_bytes.unwrap_or(0), "sizeBytes")?)),
        other => Err(KernelError::bad_argument(format!("\"{other}\" is no decode target"))),
    }
}
