//! GGML's block formats: weights to memory, or to a file in another type.

use lathe_kernels::KernelError;
use lathe_kernels::blocks::{self, BlockFigures, FloatType, GgmlTensor, GgmlType, RowOrder};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::call::{CallControl, Work};
use crate::js_ranges::{JsByteRange, JsTarget, range, target, unsigned};

/// `core/kernels` GgmlTensor.
#[napi(object)]
pub struct JsGgmlTensor {
    pub source: JsByteRange,
    pub r#type: String,
    pub columns: i64,
    pub order: String,
    pub heads: i64,
    pub add: f64,
}

/// `core/kernels` GgmlFigures.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct JsGgmlFigures {
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub squares: f64,
    pub zeros: i64,
    pub nan_count: i64,
    pub infinite_count: i64,
    pub max_abs_error: f64,
    pub squared_error: f64,
}

fn tensor(js: &JsGgmlTensor) -> lathe_kernels::Result<GgmlTensor> {
    let no = |what: String| KernelError::bad_argument(what);
    Ok(GgmlTensor {
        source: range(&js.source)?,
        ggml_type: GgmlType::from_name(&js.r#type)
            .ok_or_else(|| no(format!("\"{}\" is no block format that can be decoded", js.r#type)))?,
        columns: unsigned(js.columns, "columns")?,
        order: match js.order.as_str() {
            "stored" => RowOrder::Stored,
            "transposed" => RowOrder::Transposed,
            "even-then-odd" => RowOrder::EvenThenOdd { heads: unsigned(js.heads, "heads")? },
            other => return Err(no(format!("\"{other}\" is no order of rows"))),
        },
        add: js.add as f32,
    })
}

#[napi]
pub fn dequantize_ggml(
    stored: JsGgmlTensor,
    mut out: Float32Array,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<()>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        // SAFETY: the caller leaves the array alone until the promise is settled, as the door demands.
        let weights = unsafe { out.as_mut() };
        blocks::dequantize_to_memory(&context, &tensor(&stored)?, weights)
    }))
}

#[napi]
pub fn convert_ggml(
    stored: JsGgmlTensor,
    dtype: String,
    mut target_ranges: JsTarget,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<JsGgmlFigures>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        let target = target(&mut target_ranges)?;
        Ok(figures(&blocks::convert(&context, &tensor(&stored)?, float_type(&dtype)?, &target)?))
    }))
}

#[napi]
pub fn compare_ggml(
    stored: JsGgmlTensor,
    dtype: String,
    original: JsByteRange,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<JsGgmlFigures>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        Ok(figures(&blocks::compare(&context, &tensor(&stored)?, float_type(&dtype)?, &range(&original)?)?))
    }))
}

fn float_type(dtype: &str) -> lathe_kernels::Result<FloatType> {
    FloatType::of_dtype(dtype).ok_or_else(|| KernelError::bad_argument(format!("\"{dtype}\" is no dtype of weights")))
}

fn figures(found: &BlockFigures) -> JsGgmlFigures {
    let has_finite = found.min <= found.max;
    JsGgmlFigures {
        min: has_finite.then_some(found.min),
        max: has_finite.then_some(found.max),
        squares: found.squares,
        zeros: found.zeros as i64,
        nan_count: found.nans as i64,
        infinite_count: found.infinities as i64,
        max_abs_error: found.max_abs_error,
        squared_error: found.squared_error,
    }
}
