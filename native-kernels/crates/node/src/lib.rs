//! Node-API binding of `lathe-kernels`: arguments, threads and errors; no arithmetic.
//!
//! Every long call is an async task on Node's worker pool (its inner parallelism is the kernels' own), takes a
//! [`call::CallControl`] for cancel and progress, and turns errors and panics into a rejected promise whose message is
//! JSON `{status, what, path, byteOffset}`.

#![allow(missing_docs, reason = "the documented face of these functions is core/kernels/kernels.ts")]
#![cfg_attr(test, allow(dead_code, reason = "built as a test, the functions are not exported to Node"))]

mod attention_calls;
mod block_calls;
mod calibration_calls;
mod call;
mod dfloat11_calls;
mod file_calls;
mod js_ranges;
mod quantize_calls;
mod split_plane_calls;
mod statistics_calls;
mod vocabulary_calls;
