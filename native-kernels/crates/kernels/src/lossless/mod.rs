//! Lossless coders of weights. What they share: how a BF16 word falls into an exponent and a sign+mantissa byte.

pub mod bf16;
pub mod dfloat11;
pub mod split_plane;
