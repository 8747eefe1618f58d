//! What an evaluation asks of logits: the log-sum-exp, the target's negative log-likelihood and rank, the argmax, and
//! the divergence from a reference model's logits. See README.md for the arithmetic and its tolerance.

mod lanes;
mod one_pass;
mod vocabulary_reference;
#[cfg(test)]
mod vocabulary_tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use rayon::prelude::*;

use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result, Status};

pub use vocabulary_reference::score_row_reference;

/// Logits beyond this (in nats) are left to the reference: their exponents would not fit the one pass's integers. No
/// model that says anything comes near it.
const LIMIT: f32 = 65536.0;

/// Logits of some rows, and what is asked of them.
#[derive(Debug, Clone, Copy)]
pub struct Logits<'a> {
    /// `[rows, vocabulary]`, row-major, in nats.
    pub model: &'a [f32],
    /// Of the reference model for the same rows, in the same layout.
    pub reference: Option<&'a [f32]>,
    /// Tokens a row; 1 or more.
    pub vocabulary: usize,
    /// The token that followed, one a row.
    pub targets: &'a [i32],
}

/// What one row says. The last three are 0 without a reference.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RowScore {
    /// Negative log-likelihood of the target in nats; 0 or more.
    pub nll: f64,
    /// The token with the greatest logit, the first of equals.
    pub argmax: u32,
    /// How many tokens come before the target: those of greater logits, and those of equal ones with lower ids. 0
    /// exactly where the target is the argmax.
    pub rank: u32,
    /// D(reference || model) in nats; 0 or more, exactly 0 for equal logits.
    pub kl: f64,
    /// The reference's negative log-likelihood of the target.
    pub reference_nll: f64,
    /// The reference's argmax.
    pub reference_argmax: u32,
}

/// Scores every row, on the context's threads. A row's result depends on nothing but the row.
///
/// Source: "The Two-Pass Softmax Algorithm", arXiv:2001.04438, section 4: each value is kept as mantissa and exponent,
/// so that one pass over the row finds the sum without overflow. Departs from it: the exponent is shared by a row's
/// accumulators and raised block by block, and sums are in double precision.
///
/// Fails with [`Status::NotFinite`], naming the row, at a NaN or an infinity; with [`Status::BadArgument`] where lengths
/// disagree or a target is not in the vocabulary. One read of the logits.
pub fn score_rows(context: &Context, logits: Logits<'_>) -> Result<Vec<RowScore>> {
    score_rows_with(Backend::best(), context, logits)
}

/// [`score_rows`] with the body of one backend, for benchmarks and tests.
pub fn score_rows_with(backend: Backend, context: &Context, logits: Logits<'_>) -> Result<Vec<RowScore>> {
    let Logits { model, reference, vocabulary, targets } = logits;
    check_lengths(&logits)?;
    let rows = model.par_chunks_exact(vocabulary).zip(targets).enumerate();
    context.pool.install(|| {
        rows.map(|(row, (model, target))| {
            let reference = reference.map(|all| &all[row * vocabulary..][..vocabulary]);
            score_row(backend, model, reference, *target as usize).map_err(|fault| fault.at_row(row))
        })
        .collect()
    })
}

fn check_lengths(logits: &Logits<'_>) -> Result<()> {
    let Logits { model, reference, vocabulary, targets } = logits;
    let expected = targets.len().checked_mul(*vocabulary);
    let found = reference.map_or(model.len(), |reference| reference.len());
    if *vocabulary == 0 || u32::try_from(*vocabulary).is_err() || expected != Some(model.len()) || found != model.len()
    {
        return Err(KernelError::bad_argument(format!(
            "{} logits and {found} of the reference are not {} rows of {vocabulary}",
            model.len(),
            targets.len(),
        )));
    }
    let in_vocabulary = |target: &i32| usize::try_from(*target).is_ok_and(|target| target < *vocabulary);
    match targets.iter().position(|target| !in_vocabulary(target)) {
        None => Ok(()),
        Some(row) => Err(KernelError::bad_argument(format!(
            "the target of row {row} is {}, but the vocabulary has {vocabulary} tokens",
            targets[row]
        ))),
    }
}

/// A logit that is no number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NotFinite {
    /// Whether it stands in the reference's logits.
    pub in_reference: bool,
    /// The token it belongs to.
    pub token: usize,
    /// NaN or an infinity.
    pub value: f32,
}

impl NotFinite {
    fn at_row(self, row: usize) -> KernelError {
        let whose = if self.in_reference { "reference's" } else { "model's" };
        let Self { token, value, .. } = self;
        KernelError::new(Status::NotFinite, format!("the {whose} logit of token {token} in row {row} is {value}"))
    }
}

fn score_row(
    backend: Backend,
    model: &[f32],
    reference: Option<&[f32]>,
    target: usize,
) -> std::result::Result<RowScore, NotFinite> {
    let quick = match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => unsafe { one_pass::score_row_avx512(model, reference, target) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above; every processor with AVX2 and BMI2 has FMA, and it is asked for again here.
        Backend::Avx2 if is_x86_feature_detected!("fma") => unsafe {
            one_pass::score_row_avx2(model, reference, target)
        },
        #[cfg(target_arch = "aarch64")]
        Backend::Neon => one_pass::score_row_plain(model, reference, target),
        _ => None,
    };
    // Without vectors, and for logits beyond the limit, the reference does it; it also says what is not finite.
    quick.map_or_else(|| score_row_reference(model, reference, target), Ok)
}
