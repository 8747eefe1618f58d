//! Attention of a forward pass. Synchronous: called in a worker thread, over numbers that are in memory already.

use lathe_kernels::Context;
use lathe_kernels::attention::{Attention, Rows, attend};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::call::guarded;

/// `core/kernels` AttentionShape.
#[napi(object)]
pub struct JsAttentionShape {
    pub windows: u32,
    pub length: u32,
    pub heads: u32,
    pub key_heads: u32,
    pub head_size: u32,
    pub scale: f64,
    pub soft_cap: Option<f64>,
    pub window: Option<u32>,
    pub rotary_dimensions: u32,
    /// Numbers between a row's query, key and value and the next row's.
    pub query_stride: u32,
    pub key_stride: u32,
    pub value_stride: u32,
}

#[napi]
#[allow(clippy::too_many_arguments, reason = "typed arrays cannot be fields")]
pub fn attend_windows(
    shape: JsAttentionShape,
    query: Float32Array,
    key: Float32Array,
    value: Float32Array,
    cosines: Float32Array,
    sines: Float32Array,
    mut out: Float32Array,
    threads: u32,
) -> Result<()> {
    guarded(|| {
        let context = Context::with_threads(threads as usize)?;
        let attention = Attention {
            query: Rows { data: &query, stride: shape.query_stride as usize },
            key: Rows { data: &key, stride: shape.key_stride as usize },
            value: Rows { data: &value, stride: shape.value_stride as usize },
            windows: shape.windows as usize,
            length: shape.length as usize,
            heads: shape.heads as usize,
            key_heads: shape.key_heads as usize,
            head_size: shape.head_size as usize,
            scale: shape.scale as f32,
            soft_cap: shape.soft_cap.map(|cap| cap as f32),
            window: shape.window.map(|size| size as usize),
            cosines: &cosines,
            sines: &sines,
            rotary_dimensions: shape.rotary_dimensions as usize,
        };
        // SAFETY: nothing else touches the output while this call runs, which is synchronous.
        let out = unsafe { out.as_mut() };
        attend(&context, &attention, out)
    })
}
