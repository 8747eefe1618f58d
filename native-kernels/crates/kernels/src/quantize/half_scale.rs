//! Scales as the file has them: IEEE halves.

use crate::blocks::block_layouts::half;
use crate::blocks::round_floats::to_half;

/// The half nearest to `value x unit`, in units again; `unit` is a power of two. What is too large becomes infinite, and
/// zero has no sign.
pub fn rounded_scale(value: f32, unit: f32) -> f32 {
    half(to_half(value * unit).to_le_bytes()) / unit + 0.0
}

/// The stored bytes of a scale in units, as [`rounded_scale`] gave it.
pub fn scale_bytes(value: f32, unit: f32) -> [u8; 2] {
    to_half(value * unit).to_le_bytes()
}
