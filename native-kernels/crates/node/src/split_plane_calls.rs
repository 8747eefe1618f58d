//! Split-plane tensors: encode, decode.

use std::path::{Path, PathBuf};

use lathe_kernels::KernelError;
use lathe_kernels::checksum::Sha256Stream;
use lathe_kernels::files::{InputFile, OutputFile};
use lathe_kernels::lossless::split_plane::{self, Codec, CoderChoice, Plane, PlaneKind, Split};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::call::{CallControl, Work};
use crate::file_calls::{RunningDigest, locked};
use crate::js_ranges::{JsByteRange, JsTarget, ranges, target, unsigned};

/// `core/kernels` Plane.
#[napi(object)]
pub struct JsPlane {
    pub kind: String,
    pub codec: String,
    pub offset: i64,
    pub bytes: i64,
    pub elements: i64,
    pub first: i64,
    pub xxh3: String,
    pub book: Option<Vec<Vec<u32>>>,
}

/// `core/kernels` SplitPlaneTensor.
#[napi(object, object_from_js = false)]
pub struct JsSplitPlaneTensor {
    pub planes: Vec<JsPlane>,
    pub end: i64,
    pub sha256: String,
}

/// Where an encoded tensor goes.
#[napi(object)]
pub struct JsPlaneOutput {
    pub path: String,
    pub data_start: i64,
    pub offset: i64,
}

/// Where an encoded tensor lies.
#[napi(object)]
pub struct JsPlaneInput {
    pub path: String,
    pub data_start: i64,
}

fn to_js(plane: Plane) -> JsPlane {
    let book = plane.book.iter().map(|(symbol, value)| vec![u32::from(*symbol), u32::from(*value)]).collect();
    JsPlane {
        kind: plane.kind.name().to_owned(),
        codec: plane.codec.name().to_owned(),
        offset: plane.offset as i64,
        bytes: plane.bytes as i64,
        elements: plane.elements as i64,
        first: plane.first as i64,
        xxh3: plane.xxh3,
        book: if plane.book.is_empty() { None } else { Some(book) },
    }
}

/// A plane's description comes from a file: what is wrong with it is the file's fault.
fn from_js(js: JsPlane) -> lathe_kernels::Result<Plane> {
    let number = |value: i64, name: &str| {
        u64::try_from(value).map_err(|_| KernelError::malformed(format!("a plane's \"{name}\" is {value}")))
    };
    let book = js.book.unwrap_or_default().into_iter().map(|entry| match entry[..] {
        [symbol, value] => u8::try_from(symbol).ok().zip(u16::try_from(value).ok()),
        _ => None,
    });
    Ok(Plane {
        kind: PlaneKind::from_name(&js.kind)
            .ok_or_else(|| KernelError::malformed(format!("\"{}\" is no kind of plane", js.kind)))?,
        codec: Codec::from_name(&js.codec)
            .ok_or_else(|| KernelError::malformed(format!("\"{}\" is no codec of planes", js.codec)))?,
        offset: number(js.offset, "offset")?,
        bytes: number(js.bytes, "bytes")?,
        elements: number(js.elements, "elements")?,
        first: number(js.first, "first")?,
        xxh3: js.xxh3,
        book: book.collect::<Option<_>>().ok_or_else(|| KernelError::malformed("a plane's book has bad entries"))?,
    })
}

fn split_of(name: &str) -> lathe_kernels::Result<Split> {
    Split::from_name(name).ok_or_else(|| KernelError::bad_argument(format!("\"{name}\" is no split into planes")))
}

fn choice_of(name: &str) -> lathe_kernels::Result<CoderChoice> {
    if name == "smallest" {
        return Ok(CoderChoice::Smallest);
    }
    let codec = Codec::from_name(name).map(CoderChoice::Only);
    codec.ok_or_else(|| KernelError::bad_argument(format!("\"{name}\" is no choice of codec")))
}

#[napi]
pub fn encode_split_plane(
    source: Vec<JsByteRange>,
    split: String,
    coder: String,
    output: JsPlaneOutput,
    also_digest: Option<&RunningDigest>,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<JsSplitPlaneTensor>>> {
    let (context, digest) = (control.context(threads)?, also_digest.map(RunningDigest::state));
    Ok(Work::task(move || {
        let (source, split, choice) = (ranges(&source)?, split_of(&split)?, choice_of(&coder)?);
        let data_start = unsigned(output.data_start, "dataStart")?;
        let offset = unsigned(output.offset, "offset")?;
        let file = OutputFile::open(&PathBuf::from(output.path))?;
        let mut digest = digest.as_deref().map(locked).transpose()?;
        let tensor =
            split_plane::encode(&context, &source, split, choice, &file, data_start, offset, digest.as_deref_mut())?;
        Ok(JsSplitPlaneTensor {
            planes: tensor.planes.into_iter().map(to_js).collect(),
            end: tensor.end as i64,
            sha256: tensor.sha256,
        })
    }))
}

#[napi]
#[allow(clippy::too_many_arguments, reason = "as the door has them")]
pub fn decode_split_plane(
    input: JsPlaneInput,
    planes: Vec<JsPlane>,
    split: String,
    size_bytes: i64,
    mut target_ranges: JsTarget,
    with_sha256: bool,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<Option<String>>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        let planes: Vec<Plane> = planes.into_iter().map(from_js).collect::<lathe_kernels::Result<_>>()?;
        let (split, target) = (split_of(&split)?, target(&mut target_ranges)?);
        let (data_start, bytes) = (unsigned(input.data_start, "dataStart")?, unsigned(size_bytes, "sizeBytes")?);
        let file = InputFile::open(Path::new(&input.path))?;
        let mut hash = with_sha256.then(Sha256Stream::default);
        split_plane::decode(&context, &file, data_start, &planes, split, bytes, &target, hash.as_mut())?;
        Ok(hash.map(|hash| hash.hex()))
    }))
}
