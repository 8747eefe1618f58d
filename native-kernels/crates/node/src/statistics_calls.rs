//! What `lathe inspect --statistics` asks for.

use lathe_kernels::statistics::{ElementType, tensor_statistics as summed_up};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::call::{CallControl, Work};
use crate::js_ranges::{JsByteRange, ranges};

/// `core/kernels` TensorStatistics.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct JsTensorStatistics {
    pub elements: i64,
    pub exponent_histogram: Option<Vec<i64>>,
    pub exponent_entropy_bits: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub rms: Option<f64>,
    pub zero_fraction: Option<f64>,
    pub nan_count: i64,
    pub infinite_count: i64,
    pub split_plane_bytes: i64,
}

#[napi]
pub fn tensor_statistics(
    source: Vec<JsByteRange>,
    dtype: String,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<JsTensorStatistics>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        let found = summed_up(&context, &ranges(&source)?, ElementType::of_dtype(&dtype))?;
        Ok(JsTensorStatistics {
            elements: found.elements as i64,
            exponent_histogram: found.exponents.map(|counts| counts.iter().map(|count| *count as i64).collect()),
            exponent_entropy_bits: found.exponent_entropy_bits,
            min: found.min,
            max: found.max,
            rms: found.rms,
            zero_fraction: found.zero_fraction,
            nan_count: found.nan_count.unwrap_or(0) as i64,
            infinite_count: found.infinite_count.unwrap_or(0) as i64,
            split_plane_bytes: found.split_plane_bytes as i64,
        })
    }))
}
