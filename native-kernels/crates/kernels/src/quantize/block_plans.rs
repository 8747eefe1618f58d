//! How each format is searched: what a handful of measurements with `cargo bench --bench quantize` left, on Gaussian and
//! heavy-tailed weights. Twice as many trials, starts or rounds gained about one part in a hundred of the error, or less.

use super::affine_search::AffinePlan;
use super::symmetric_search::SymmetricPlan;

/// One scale to 32 weights.
const OWN: SymmetricPlan = SymmetricPlan {
    group: 1,
    scale_low: 1.0,
    scale_high: 1.0,
    reach: 0,
    first: -1.0,
    step: 0.125,
    trials_low: 17,
    trials_high: 13,
    starts: &[1.0],
    rounds: 3,
};

pub const Q4_0: SymmetricPlan = OWN;
pub const Q5_0: SymmetricPlan = OWN;
pub const IQ4_NL: SymmetricPlan = SymmetricPlan { first: -10.0, step: 1.5, trials_low: 20, trials_high: 16, ..OWN };

pub const IQ4_XS: SymmetricPlan =
    SymmetricPlan { group: 8, scale_low: -32.0, scale_high: 31.0, reach: 1, starts: &[1.0, 0.97], rounds: 2, ..IQ4_NL };
pub const Q3_K: SymmetricPlan = SymmetricPlan {
    group: 16,
    scale_low: -32.0,
    scale_high: 31.0,
    reach: 1,
    first: -1.0,
    step: 0.125,
    trials_low: 17,
    trials_high: 13,
    // A negative start puts the largest scale at the other end.
    starts: &[1.0, 0.97, -1.03, 0.94],
    rounds: 3,
};
pub const Q6_K: SymmetricPlan = SymmetricPlan {
    group: 16,
    scale_low: -128.0,
    scale_high: 127.0,
    reach: 4,
    first: -0.8,
    step: 0.1,
    trials_low: 17,
    trials_high: 0,
    starts: &[1.0],
    rounds: 2,
};

/// A scale and a minimum to 32 weights.
const OWN_PAIR: AffinePlan = AffinePlan {
    group: 1,
    high: 15.0,
    scale_high: 1.0,
    scale_reach: 0,
    minimum_reach: 0,
    first: -0.8,
    step: 0.1,
    trials: 21,
    turns: 2,
    starts: &[(1.0, 1.0)],
    rounds: 3,
};

pub const Q4_1: AffinePlan = OWN_PAIR;
pub const Q5_1: AffinePlan = AffinePlan { high: 31.0, ..OWN_PAIR };

pub const Q2_K: AffinePlan = AffinePlan {
    group: 16,
    high: 3.0,
    scale_high: 15.0,
    scale_reach: 1,
    minimum_reach: 2,
    first: -1.5,
    step: 0.1,
    trials: 25,
    turns: 3,
    starts: &[(1.0, 1.0), (0.9, 0.9)],
    rounds: 3,
};
pub const Q4_K: AffinePlan = AffinePlan {
    group: 8,
    high: 15.0,
    scale_high: 63.0,
    scale_reach: 1,
    minimum_reach: 1,
    first: -1.0,
    step: 0.1,
    trials: 21,
    turns: 2,
    starts: &[(1.0, 1.0)],
    rounds: 3,
};
pub const Q5_K: AffinePlan = AffinePlan { high: 31.0, first: -0.8, ..Q4_K };
