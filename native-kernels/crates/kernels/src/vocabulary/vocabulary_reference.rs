//! The judge: three plain passes in double precision. Also the body for processors without wide vectors.

use super::{NotFinite, RowScore};

/// One row: greatest logit, sum of exponentials below it, then the figures.
///
/// Any finite logits; lengths are the caller's to check.
pub fn score_row_reference(model: &[f32], reference: Option<&[f32]>, target: usize) -> Result<RowScore, NotFinite> {
    check_finite(model, false)?;
    let argmax = argmax_of(model);
    let log_sum = log_sum_exp(model, model[argmax]);
    let mut score = RowScore {
        nll: (log_sum - f64::from(model[target])).max(0.0),
        argmax: argmax as u32,
        rank: rank_of(model, target),
        ..RowScore::default()
    };
    if let Some(reference) = reference {
        check_finite(reference, true)?;
        let reference_argmax = argmax_of(reference);
        let reference_log_sum = log_sum_exp(reference, reference[reference_argmax]);
        let terms = reference.iter().zip(model).map(|(r, x)| {
            let log_p = f64::from(*r) - reference_log_sum;
            let log_q = f64::from(*x) - log_sum;
            log_p.exp() * (log_p - log_q)
        });
        // Never negative but for rounding.
        score.kl = terms.sum::<f64>().max(0.0);
        score.reference_nll = (reference_log_sum - f64::from(reference[target])).max(0.0);
        score.reference_argmax = reference_argmax as u32;
    }
    Ok(score)
}

fn check_finite(logits: &[f32], in_reference: bool) -> Result<(), NotFinite> {
    match logits.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(token) => Err(NotFinite { in_reference, token, value: logits[token] }),
    }
}

fn argmax_of(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |best, index| if logits[index] > logits[best] { index } else { best })
}

fn log_sum_exp(logits: &[f32], max: f32) -> f64 {
    let max = f64::from(max);
    max + logits.iter().map(|value| (f64::from(*value) - max).exp()).sum::<f64>().ln()
}

fn rank_of(logits: &[f32], target: usize) -> u32 {
    let limit = logits[target];
    let before = logits[..target].iter().filter(|value| **value >= limit).count();
    let after = logits[target..].iter().filter(|value| **value > limit).count();
    (before + after) as u32
}
