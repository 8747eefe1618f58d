//! GGML's block formats: a row of weights cut into blocks, each with scales and small integer codes of its own.

mod block_decode;
pub(crate) mod block_layouts;
mod block_reference;
mod block_stream;
#[cfg(test)]
mod block_tests;
mod block_types;
mod ggml_tensor;
mod iq4_lookup;
pub(crate) mod round_floats;

pub use block_decode::dequantize;
pub use block_reference::dequantize_reference;
pub use block_stream::{compare, convert, dequantize_to_memory};
pub use block_types::GgmlType;
pub use ggml_tensor::{GgmlTensor, RowOrder};
pub(crate) use round_floats::round_floats;
pub use round_floats::{BlockFigures, FloatType};
