//! Weights to GGML blocks and to groups of integers: scales and codes by rounding and by search.

mod affine_search;
mod block_plans;
#[cfg(test)]
mod block_tests;
mod code_grid;
pub mod ggml_searches;
mod half_scale;
mod lanes;
mod lot;
mod pack_blocks;
mod quantize_blocks;
mod reference_rounding;
mod symmetric_search;

pub use lot::Emphasis;
pub use quantize_blocks::{BlockOptions, quantize_blocks};
