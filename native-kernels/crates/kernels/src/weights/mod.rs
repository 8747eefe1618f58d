//! Decoded tensors as f32 in memory: where coders put their bytes when weights are wanted to compute with.

use crate::blocks::{GgmlType, dequantize};
use crate::cpu::Backend;
use crate::error::{KernelError, Result, Status};

/// A run of weights, and the memory that is wanted for it.
#[derive(Debug, Clone, Copy)]
pub struct FloatPiece {
    /// How many weights.
    pub elements: u64,
    /// Where they go; null for those that nobody wants.
    pub out: *mut f32,
}

/// Takes a run of BF16, F16 or F32 bytes, in any order and from any thread, and widens them into memory.
///
/// Every weight must be finite: [`Status::NotFinite`] names the first that is not, by its piece and its index there.
#[derive(Debug)]
pub struct FloatTarget {
    pieces: Vec<(u64, FloatPiece)>,
    elements: u64,
    float_type: GgmlType,
}

// SAFETY: the pieces' memory is written only by `put`, whose callers give each byte once: no two threads write to one
// place, and nobody reads before all are done.
unsafe impl Send for FloatTarget {}
// SAFETY: as above.
unsafe impl Sync for FloatTarget {}

impl FloatTarget {
    /// # Safety
    ///
    /// Each piece's `out` is null, or valid for writing `elements` weights and used by nobody else while this target
    /// lives; pieces do not overlap.
    pub unsafe fn new(dtype: &str, pieces: &[FloatPiece]) -> Result<Self> {
        let float_type = match dtype {
            "BF16" => GgmlType::Bf16,
            "F16" => GgmlType::F16,
            "F32" => GgmlType::F32,
            other => return Err(KernelError::bad_argument(format!("weights of \"{other}\" cannot be widened"))),
        };
        let mut starts = Vec::with_capacity(pieces.len());
        let mut elements = 0_u64;
        for piece in pieces {
            starts.push((elements, *piece));
            elements = elements
                .checked_add(piece.elements)
                .filter(|elements| elements.checked_mul(4).is_some())
                .ok_or_else(|| KernelError::bad_argument("more weights than 64 bits can count"))?;
        }
        Ok(Self { pieces: starts, elements, float_type })
    }

    /// Length of the run in bytes.
    pub fn bytes(&self) -> u64 {
        self.elements * self.float_type.block_bytes()
    }

    /// Takes the run's bytes from `start` on, whole weights; each byte once.
    pub fn put(&self, start: u64, bytes: &[u8]) -> Result<()> {
        let size = self.float_type.block_bytes();
        let end = start.checked_add(bytes.len() as u64).filter(|end| *end <= self.bytes());
        let Some(end) = end.filter(|end| start.is_multiple_of(size) && end.is_multiple_of(size)) else {
            return Err(KernelError::bad_argument(format!(
                "bytes {start} + {} are not whole weights of the {} bytes wanted",
                bytes.len(),
                self.bytes()
            )));
        };
        let (first, last) = (start / size, end / size);
        let skipped = self.pieces.partition_point(|(piece_start, piece)| piece_start + piece.elements <= first);
        for (index, (piece_start, piece)) in self.pieces.iter().enumerate().skip(skipped) {
            let (from, to) = (first.max(*piece_start), last.min(piece_start + piece.elements));
            if from >= last {
                break;
            }
            if from < to && !piece.out.is_null() {
                let place = (from - piece_start) as usize;
                // SAFETY: inside the piece, whose memory `new` was promised; no other call writes to these weights.
                let out = unsafe { std::slice::from_raw_parts_mut(piece.out.add(place), (to - from) as usize) };
                let bytes = &bytes[((from - first) * size) as usize..((to - first) * size) as usize];
                dequantize(Backend::best(), self.float_type, bytes, out);
                check_finite(index, place, out)?;
            }
        }
        Ok(())
    }
}

fn check_finite(piece: usize, first: usize, weights: &[f32]) -> Result<()> {
    // One pass without an early end, so that it becomes vectors.
    if weights.iter().fold(true, |all, weight| all & (weight.abs() < f32::INFINITY)) {
        return Ok(());
    }
    let index = weights.iter().position(|weight| !weight.is_finite()).unwrap_or(0);
    Err(KernelError::new(
        Status::NotFinite,
        format!("weight {} of tensor {piece} of its run is {}", first + index, weights[index]),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(dtype: &str, pieces: &mut [(u64, Option<&mut Vec<f32>>)]) -> FloatTarget {
        let pieces: Vec<FloatPiece> = pieces
            .iter_mut()
            .map(|(elements, out)| FloatPiece {
                elements: *elements,
                out: out.as_mut().map_or(std::ptr::null_mut(), |out| out.as_mut_ptr()),
            })
            .collect();
        // SAFETY: the vectors outlive the target and have room for their pieces.
        unsafe { FloatTarget::new(dtype, &pieces) }.unwrap()
    }

    fn bf16(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| ((value.to_bits() >> 16) as u16).to_le_bytes()).collect()
    }

    #[test]
    fn puts_weights_over_the_borders_of_pieces_in_any_order() {
        let values: Vec<f32> = (0..10).map(|i| i as f32 - 4.5).collect();
        let (mut a, mut b) = (vec![0.0; 3], vec![0.0; 4]);
        let target = target("BF16", &mut [(3, Some(&mut a)), (2, None), (0, None), (4, Some(&mut b)), (1, None)]);
        assert_eq!(target.bytes(), 20);
        let bytes = bf16(&values);
        target.put(8, &bytes[8..]).unwrap();
        target.put(0, &bytes[..2]).unwrap();
        target.put(2, &bytes[2..8]).unwrap();
        assert_eq!((a, b), (values[..3].to_vec(), values[5..9].to_vec()));
    }

    #[test]
    fn widens_every_dtype() {
        let values = [1.5_f32, -0.25, 65504.0];
        let f16: Vec<u8> = [0x3e00_u16, 0xb400, 0x7bff].iter().flat_map(|word| word.to_le_bytes()).collect();
        let f32s: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        for (dtype, bytes) in [("F16", f16), ("F32", f32s)] {
            let mut out = vec![0.0; 3];
            target(dtype, &mut [(3, Some(&mut out))]).put(0, &bytes).unwrap();
            assert_eq!(out, values, "{dtype}");
        }
    }

    #[test]
    fn names_the_weight_that_is_not_finite() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut out = vec![0.0; 2];
            let target = target("BF16", &mut [(3, None), (2, Some(&mut out))]);
            let error = target.put(0, &bf16(&[f32::NAN, 0.0, 0.0, 1.0, bad])).unwrap_err();
            assert_eq!(error.status, Status::NotFinite);
            assert!(error.what.starts_with("weight 1 of tensor 1"), "{}", error.what);
        }
    }

    #[test]
    fn refuses_what_is_not_whole_weights_or_lies_outside() {
        let mut out = vec![0.0; 2];
        let target = target("BF16", &mut [(2, Some(&mut out))]);
        for (start, length) in [(1, 2), (0, 1), (2, 4), (6, 0), (u64::MAX, 2)] {
            let error = target.put(start, &vec![0; length]).unwrap_err();
            assert_eq!(error.status, Status::BadArgument, "{start} {length}");
        }
        let piece = FloatPiece { elements: u64::MAX, out: std::ptr::null_mut() };
        // SAFETY: nothing is ever written through null.
        let error = unsafe { FloatTarget::new("BF16", &[piece]) }.unwrap_err();
        assert_eq!(error.status, Status::BadArgument);
        // SAFETY: as above.
        let error = unsafe { FloatTarget::new("I8", &[]) }.unwrap_err();
        assert_eq!(error.status, Status::BadArgument);
    }
}
