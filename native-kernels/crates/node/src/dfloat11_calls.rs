//! DFloat11 units: measure, predict, encode, decode.

use std::sync::Arc;

use lathe_kernels::lossless::dfloat11::{self, UnitFields, UnitPlan, plan_from_histogram};
use lathe_kernels::{KernelError, Status};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::call::{CallControl, Work, guarded};
use crate::js_ranges::{JsByteRange, JsTarget, range, ranges, target, unsigned};

/// `core/kernels` Dfloat11Plan: the code book and the chunks' places stay on this side.
#[napi]
pub struct Dfloat11Plan(Arc<UnitPlan>);

#[napi]
impl Dfloat11Plan {
    #[napi(getter)]
    pub fn elements(&self) -> i64 {
        self.0.elements as i64
    }

    #[napi(getter)]
    pub fn stream_bytes(&self) -> i64 {
        self.0.stream_bytes as i64
    }

    #[napi(getter)]
    pub fn blocks(&self) -> i64 {
        self.0.blocks as i64
    }

    #[napi(getter)]
    pub fn position_entries(&self) -> i64 {
        self.0.position_entries as i64
    }

    #[napi(getter)]
    pub fn lut_rows(&self) -> u32 {
        self.0.lut_rows
    }

    #[napi(getter)]
    pub fn longest_code_bits(&self) -> u32 {
        u32::from(self.0.longest_code_bits)
    }

    #[napi(getter)]
    pub fn is_official(&self) -> bool {
        self.0.origin.is_official_bytes()
    }

    #[napi(getter)]
    pub fn origin(&self) -> &'static str {
        self.0.origin.name()
    }

    #[napi(getter)]
    pub fn stored_bytes(&self) -> i64 {
        self.0.stored_bytes() as i64
    }
}

/// A plan, or why there is none.
#[napi(object, object_from_js = false)]
pub struct JsMeasured {
    pub plan: Option<Dfloat11Plan>,
    pub refusal: Option<String>,
}

/// A size, or why there is none.
#[napi(object, object_from_js = false)]
pub struct JsPredicted {
    pub stored_bytes: Option<i64>,
    pub refusal: Option<String>,
}

/// `core/kernels` Dfloat11Fields.
#[napi(object)]
pub struct JsFields {
    pub luts: JsByteRange,
    pub encoded_exponent: JsByteRange,
    pub sign_mantissa: JsByteRange,
    pub output_positions: JsByteRange,
    pub gaps: JsByteRange,
}

fn unit_fields(js: &JsFields) -> lathe_kernels::Result<UnitFields> {
    Ok(UnitFields {
        luts: range(&js.luts)?,
        encoded_exponent: range(&js.encoded_exponent)?,
        sign_mantissa: range(&js.sign_mantissa)?,
        output_positions: range(&js.output_positions)?,
        gaps: range(&js.gaps)?,
    })
}

/// Weights that DFloat11 cannot hold are an answer, not a failure.
fn or_refusal<T>(planned: lathe_kernels::Result<T>) -> lathe_kernels::Result<std::result::Result<T, String>> {
    match planned {
        Err(error) if error.status == Status::Unrepresentable => Ok(Err(error.what)),
        planned => planned.map(Ok),
    }
}

#[napi]
pub fn measure_dfloat11(
    source: Vec<JsByteRange>,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<JsMeasured>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        Ok(match or_refusal(dfloat11::measure(&context, &ranges(&source)?))? {
            Ok(plan) => JsMeasured { plan: Some(Dfloat11Plan(Arc::new(plan))), refusal: None },
            Err(refusal) => JsMeasured { plan: None, refusal: Some(refusal) },
        })
    }))
}

/// Which exponent comes last is not known here: the most common one is likely, and decides over 4 bytes at most.
#[napi]
pub fn predict_dfloat11(histogram: Vec<i64>) -> Result<JsPredicted> {
    guarded(|| {
        let counts = histogram.iter().map(|count| unsigned(*count, "an exponent's count"));
        let counts: Vec<u64> = counts.collect::<lathe_kernels::Result<_>>()?;
        let counts = <[u64; 256]>::try_from(counts).map_err(|counts| {
            KernelError::bad_argument(format!("a histogram of {} counts was given, 256 are needed", counts.len()))
        })?;
        let most_common = (0..=255_u8).max_by_key(|exponent| counts[usize::from(*exponent)]).unwrap_or(0);
        Ok(match or_refusal(plan_from_histogram(&counts, most_common))? {
            Ok(plan) => JsPredicted { stored_bytes: Some(plan.stored_bytes() as i64), refusal: None },
            Err(refusal) => JsPredicted { stored_bytes: None, refusal: Some(refusal) },
        })
    })
}

#[napi]
pub fn encode_dfloat11(
    source: Vec<JsByteRange>,
    plan: &Dfloat11Plan,
    fields: JsFields,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<()>>> {
    let (context, plan) = (control.context(threads)?, Arc::clone(&plan.0));
    Ok(Work::task(move || dfloat11::encode(&context, &ranges(&source)?, &plan, &unit_fields(&fields)?)))
}

#[napi]
pub fn decode_dfloat11(
    fields: JsFields,
    elements: i64,
    mut target_ranges: JsTarget,
    threads: u32,
    control: &CallControl,
) -> Result<AsyncTask<Work<()>>> {
    let context = control.context(threads)?;
    Ok(Work::task(move || {
        let (fields, target) = (unit_fields(&fields)?, target(&mut target_ranges)?);
        dfloat11::decode(&context, &fields, unsigned(elements, "elements")?, &target)
    }))
}
