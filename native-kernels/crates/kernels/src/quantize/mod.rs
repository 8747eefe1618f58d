//! Weights to GGML blocks and to groups of integers: scales and codes by rounding and by search.

mod affine_search;
mod block_plans;
mod code_grid;
pub mod ggml_searches;
pub mod gptq;
mod group_rounding;
#[cfg(test)]
mod group_tests;
mod half_scale;
mod integer_groups;
mod lot;
mod pack_blocks;
mod quantize_blocks;
mod quantize_figures;
mod quantize_stream;
#[cfg(test)]
mod quantized_block_tests;
mod reference_rounding;
mod sixteen_lanes;
#[cfg(test)]
mod stream_tests;
mod symmetric_search;
mod weight_source;

pub use group_rounding::{GroupGrid, GroupOptions, ScaleRule, group_grid, quantize_groups};
pub use integer_groups::IntegerGroups;
pub use lot::Emphasis;
pub use quantize_blocks::{BlockOptions, quantize_blocks};
pub use quantize_figures::QuantizeFigures;
pub use quantize_stream::quantize_tensor;
pub use weight_source::{SourceOrder, WeightSource};
