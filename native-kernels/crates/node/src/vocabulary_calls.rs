//! What an evaluation asks of logits. Synchronous: called in a worker thread, over logits that are in memory already.

use lathe_kernels::Context;
use lathe_kernels::vocabulary::{Logits, RowScore, score_rows};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::call::guarded;

/// `core/kernels` VocabularyScores.
#[napi(object, object_from_js = false, use_nullable = true)]
pub struct JsVocabularyScores {
    pub nll: Float64Array,
    pub argmax: Int32Array,
    pub rank: Int32Array,
    pub kl: Option<Float64Array>,
    pub reference_nll: Option<Float64Array>,
    pub reference_argmax: Option<Int32Array>,
}

#[napi]
pub fn score_vocabulary(
    logits: Float32Array,
    reference: Option<Float32Array>,
    vocabulary_size: u32,
    targets: Int32Array,
    threads: u32,
) -> Result<JsVocabularyScores> {
    let scores = guarded(|| {
        let context = Context::with_threads(threads as usize)?;
        let rows = Logits {
            model: &logits,
            reference: reference.as_deref(),
            vocabulary: vocabulary_size as usize,
            targets: &targets,
        };
        score_rows(&context, rows)
    })?;
    let doubles = |of: fn(&RowScore) -> f64| Float64Array::new(scores.iter().map(of).collect());
    let tokens = |of: fn(&RowScore) -> u32| Int32Array::new(scores.iter().map(|score| of(score) as i32).collect());
    let has_reference = reference.is_some();
    Ok(JsVocabularyScores {
        nll: doubles(|score| score.nll),
        argmax: tokens(|score| score.argmax),
        rank: tokens(|score| score.rank),
        kl: has_reference.then(|| doubles(|score| score.kl)),
        reference_nll: has_reference.then(|| doubles(|score| score.reference_nll)),
        reference_argmax: has_reference.then(|| tokens(|score| score.reference_argmax)),
    })
}
