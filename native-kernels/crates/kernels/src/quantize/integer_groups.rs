//! The one internal form of integer quantization: what every packed format is made of.

use crate::error::{KernelError, Result};

/// A matrix as unsigned codes with a scale and a zero for each group: weight = scale · (code − zero).
///
/// ```text
/// codes   u8  [rows, columns]   each 0 … 2^bits − 1, row-major
/// scales  f32 [rows, groups]    as rounded to the stored type; negative ones are possible
/// zeros   f32 [rows, groups]    in code units; whole numbers 0 … 2^bits − 1, but for `ScaleRule::FloatMinimum`
/// ```
///
/// A group is `group_size` consecutive stored columns of a row; the last one of a row may be shorter.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegerGroups {
    /// Width of a code.
    pub bits: u32,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Columns of a group.
    pub group_size: usize,
    /// Codes.
    pub codes: Vec<u8>,
    /// Scales.
    pub scales: Vec<f32>,
    /// Zeros.
    pub zeros: Vec<f32>,
    /// The matrix's column at each stored one, if they were put in another order.
    pub permutation: Option<Vec<u32>>,
}

impl IntegerGroups {
    /// Groups of a row.
    pub fn groups(&self) -> usize {
        self.columns.div_ceil(self.group_size)
    }

    /// The weights, row-major, in the matrix's own order of columns.
    ///
    /// Fails with [`crate::Status::BadArgument`] where `out` has another size.
    pub fn dequantize(&self, out: &mut [f32]) -> Result<()> {
        if out.len() != self.codes.len() {
            return Err(KernelError::bad_argument(format!(
                "the matrix has {} weights, room was given for {}",
                self.codes.len(),
                out.len()
            )));
        }
        let factors = self.scales.chunks_exact(self.groups()).zip(self.zeros.chunks_exact(self.groups()));
        let rows = self.codes.chunks_exact(self.columns).zip(out.chunks_exact_mut(self.columns));
        for ((codes, out), (scales, zeros)) in rows.zip(factors) {
            match &self.permutation {
                None => {
                    let groups = codes.chunks(self.group_size).zip(out.chunks_mut(self.group_size));
                    for ((codes, out), (scale, zero)) in groups.zip(scales.iter().zip(zeros)) {
                        for (code, out) in codes.iter().zip(out) {
                            *out = scale * (f32::from(*code) - zero);
                        }
                    }
                }
                Some(permutation) => {
                    for (stored, (code, column)) in codes.iter().zip(permutation).enumerate() {
                        let group = stored / self.group_size;
                        out[*column as usize] = scales[group] * (f32::from(*code) - zeros[group]);
                    }
                }
            }
        }
        Ok(())
    }
}
