//! Numbers and byte ranges as JavaScript gives them.

use std::path::PathBuf;

use lathe_kernels::files::{ByteRange, Target};
use lathe_kernels::weights::{FloatPiece, FloatTarget};
use lathe_kernels::{KernelError, Result};
use napi::bindgen_prelude::Float32Array;
use napi_derive::napi;

/// `core/kernels` ByteRange.
#[napi(object)]
pub struct JsByteRange {
    pub path: String,
    pub offset_bytes: i64,
    pub size_bytes: i64,
}

/// `core/kernels` DecodeTarget, with the unused fields absent.
#[napi(object, object_to_js = false)]
pub struct JsTarget {
    pub kind: String,
    pub ranges: Option<Vec<JsByteRange>>,
    pub size_bytes: Option<i64>,
    pub dtype: Option<String>,
    pub pieces: Option<Vec<JsFloatPiece>>,
}

/// `core/kernels` FloatPiece.
#[napi(object, object_to_js = false)]
pub struct JsFloatPiece {
    pub elements: i64,
    pub out: Option<Float32Array>,
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

/// Opens the files of a decode target. The target must not outlive `js`, which keeps the arrays of its pieces alive.
pub fn target(js: &mut JsTarget) -> Result<Target> {
    let listed = || ranges(js.ranges.as_deref().unwrap_or_default());
    match js.kind.as_str() {
        "write" => Target::write(&listed()?),
        "compare" => Target::compare(&listed()?),
        "floats" => {
            let pieces = js.pieces.iter_mut().flatten().map(piece).collect::<Result<Vec<_>>>()?;
            // SAFETY: `piece` checked the lengths; the caller leaves the arrays alone until the promise is settled, as the
            // door demands.
            unsafe { FloatTarget::new(js.dtype.as_deref().unwrap_or_default(), &pieces) }.map(Target::Floats)
        }
        "discard" => Ok(Target::Discard(unsigned(js.size_bytes.unwrap_or(0), "sizeBytes")?)),
        other => Err(KernelError::bad_argument(format!("\"{other}\" is no decode target"))),
    }
}

fn piece(js: &mut JsFloatPiece) -> Result<FloatPiece> {
    let elements = unsigned(js.elements, "elements")?;
    let Some(out) = &mut js.out else { return Ok(FloatPiece { elements, out: std::ptr::null_mut() }) };
    if out.len() as u64 != elements {
        return Err(KernelError::bad_argument(format!("room for {} weights was given for {elements}", out.len())));
    }
    // SAFETY: the pointer alone is taken here; what is done with it is `target`'s promise.
    Ok(FloatPiece { elements, out: unsafe { out.as_mut() }.as_mut_ptr() })
}
