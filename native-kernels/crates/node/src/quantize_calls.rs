//! Weights in files to GGML's block formats.

use lathe_kernels::blocks::GgmlType;
use lathe_kernels::quantize::gptq::{GramSource, gptq_tensor};
use lathe_kernels::quantize::{BlockOptions, Emphasis, QuantizeFigures, SourceOrder, WeightSource, quantize_tensor};
use lathe_kernels::{KernelError, Status};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::call::{CallControl, Work};
use crate::js_ranges::{JsByteRange, JsTarget, range, ranges, target, unsigned};

/// `core/kernels` WeightSource.
#[napi(object)]
pub struct JsWeightSource {
    pub ranges: Vec<JsByteRange>,
    pub r#type: String,
    pub columns: i64,
    pub order: String,
    pub heads: i64,
}

/// `core/kernels` QuantizeFigures.
#[napi(object, object_from_js = false)]
pub struct JsQuantizeFigures {
    pub weights: i64,
    pub squares: f64,
    pub squared_error: f64,
    pub weighted_squares: f64,
    pub weighted_error: f64,
    pub max_abs_error: f64,
}

/// `core/kernels` GramSource.
#[napi(object)]
pub struct JsGramSource {
    pub range: JsByteRange,
    pub damping: f64,
    pub is_ordered: bool,
}

/// `core/kernels` GptqFigures.
#[napi(object, object_from_js = false)]
pub struct JsGptqFigures {
    pub loss: f64,
    pub nearest_loss: f64,
    pub nearest_rows: i64,
    pub damping: f64,
    pub dead_columns: i64,
}

/// Figures, or a refusal.
#[napi(object, object_from_js = false)]
pub struct JsGptqAnswer {
    pub figures: Option<JsQuantizeFigures>,
    pub feedback: Option<JsGptqFigures>,
    pub refusal: Option<String>,
}

/// One of the two.
#[napi(object, object_from_js = false)]
pub struct JsQuantizeAnswer {
    pub figures: Option<JsQuantizeFigures>,
    pub refusal: Option<String>,
}

#[napi]
#[allow(clippy::too_many_arguments, reason = "fields of objects cannot be null")]
pub fn quantize_ggml(
    from: JsWeightSource,
    wanted_type: String,
    importance: Option<Float32Array>,
    magnitude_spread: Option<f64>,
    mut target_ranges: JsTarget,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<JsQuantizeAnswer>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        let source = source(&from)?;
        let options = options(&source, &wanted_type, importance.as_deref(), magnitude_spread)?;
        let target = target(&mut target_ranges)?;
        match quantize_tensor(&context, &source, &options, &target) {
            Ok(found) => Ok(JsQuantizeAnswer { figures: Some(figures(&found)), refusal: None }),
            Err(error) if error.status == Status::Unrepresentable => {
                Ok(JsQuantizeAnswer { figures: None, refusal: Some(error.what) })
            }
            Err(error) => Err(error),
        }
    }))
}

#[napi]
#[allow(clippy::too_many_arguments, reason = "fields of objects cannot be null")]
pub fn gptq_ggml(
    from: JsWeightSource,
    inputs: JsGramSource,
    wanted_type: String,
    importance: Option<Float32Array>,
    magnitude_spread: Option<f64>,
    mut target_ranges: JsTarget,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<JsGptqAnswer>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        let source = source(&from)?;
        let options = options(&source, &wanted_type, importance.as_deref(), magnitude_spread)?;
        let gram = GramSource { range: range(&inputs.range)?, damping: inputs.damping, is_ordered: inputs.is_ordered };
        let target = target(&mut target_ranges)?;
        match gptq_tensor(&context, &source, &gram, &options, &target) {
            Ok(found) => Ok(JsGptqAnswer {
                figures: Some(figures(&found.figures)),
                feedback: Some(JsGptqFigures {
                    loss: found.feedback.loss,
                    nearest_loss: found.feedback.nearest_loss,
                    nearest_rows: found.feedback.nearest_rows as i64,
                    damping: found.damping,
                    dead_columns: found.dead_columns as i64,
                }),
                refusal: None,
            }),
            Err(error) if error.status == Status::Unrepresentable => {
                Ok(JsGptqAnswer { figures: None, feedback: None, refusal: Some(error.what) })
            }
            Err(error) => Err(error),
        }
    }))
}

fn options<'a>(
    source: &WeightSource,
    wanted_type: &str,
    importance: Option<&'a [f32]>,
    magnitude_spread: Option<f64>,
) -> lathe_kernels::Result<BlockOptions<'a>> {
    Ok(BlockOptions {
        ggml_type: named_type(wanted_type)?,
        columns: source.columns as usize,
        importance,
        emphasis: match magnitude_spread {
            None => Emphasis::None,
            Some(spread) => Emphasis::Magnitude { spread: spread as f32 },
        },
    })
}

fn source(js: &JsWeightSource) -> lathe_kernels::Result<WeightSource> {
    Ok(WeightSource {
        ranges: ranges(&js.ranges)?,
        stored_type: named_type(&js.r#type)?,
        columns: unsigned(js.columns, "columns")?,
        order: match js.order.as_str() {
            "stored" => SourceOrder::Stored,
            "halves-to-pairs" => SourceOrder::HalvesToPairs { heads: unsigned(js.heads, "heads")? },
            other => return Err(KernelError::bad_argument(format!("\"{other}\" is no order of rows"))),
        },
    })
}

fn named_type(name: &str) -> lathe_kernels::Result<GgmlType> {
    GgmlType::from_name(name)
        .ok_or_else(|| KernelError::bad_argument(format!("\"{name}\" is no type of stored weights")))
}

fn figures(found: &QuantizeFigures) -> JsQuantizeFigures {
    JsQuantizeFigures {
        weights: found.weights as i64,
        squares: found.squares,
        squared_error: found.squared_error,
        weighted_squares: found.weighted_squares,
        weighted_error: found.weighted_error,
        max_abs_error: found.max_abs_error,
    }
}
