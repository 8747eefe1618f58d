//! Lathe's kernels: lossless coders, the positioned file access they stream through, and checksums.
//!
//! Nothing here knows of JavaScript. Every long operation takes a [`Context`] (cancel flag, progress, thread pool),
//! works in bounded memory whatever the tensor's size, and gives the same bytes at any thread count.

pub mod attention;
pub mod blocks;
pub mod checksum;
pub mod context;
pub mod cpu;
pub mod error;
pub mod files;
pub mod input_statistics;
pub mod lossless;
pub mod pipeline;
pub mod quantize;
mod sha256_pair;
mod spare;
pub mod statistics;
pub mod vocabulary;
pub mod weights;

pub use context::{Context, Control};
pub use error::{KernelError, Result, Status};
