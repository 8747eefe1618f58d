//! Scales as the file has them: IEEE halves.

use crate::blocks::block_layouts::half;
use crate::blocks::round_floats::to_half;

/// The half nearest to `value x unit`, in units again; `unit` is a power of two. What is too large becomes infinite, and
/// zero has no sign.
pub fn rounded_scale(value: f32, unit: f32) -> f32 {
    half(to_half(value * unit).to_le_bytes()) / unit + 0.0
}

/// As [`rounded_scale`], but away from zero where halves are subnormal: a scale that is much too small would clip weights.
pub fn first_scale(value: f32, unit: f32) -> f32 {
    /// The least normal half, and the distance of subnormal ones.
    const LEAST_NORMAL: f32 = 1.0 / (1 << 14) as f32;
    const STEP: f32 = 1.0 / (1 << 24) as f32;
    let (rounded, wanted) = (rounded_scale(value, unit), value * unit);
    if wanted.abs() < LEAST_NORMAL && rounded.abs() < value.abs() {
        return rounded + STEP.copysign(value) / unit;
    }
    rounded
}

/// The stored bytes of a scale in units, as [`rounded_scale`] gave it.
pub fn scale_bytes(value: f32, unit: f32) -> [u8; 2] {
    to_half(value * unit).to_le_bytes()
}
