//! What quantizing did to weights.

use crate::blocks::round_floats::compare_floats;
use crate::cpu::Backend;

/// Sums over weights and over what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct QuantizeFigures {
    /// How many weights.
    pub weights: u64,
    /// Sum of the weights' squares.
    pub squares: f64,
    /// Sum of the errors' squares.
    pub squared_error: f64,
    /// Sum of importance x weight²; `squares` without importance.
    pub weighted_squares: f64,
    /// Sum of importance x error²; `squared_error` without importance.
    pub weighted_error: f64,
    /// The greatest error.
    pub max_abs_error: f64,
}

/// Independent sums.
const LANES: usize = 8;

impl QuantizeFigures {
    /// Of weights and what they were decoded to. `importance` is a row's, the weights begin at its column `first_column`.
    /// The same numbers on every backend.
    pub fn of(
        backend: Backend,
        weights: &[f32],
        decoded: &[f32],
        importance: Option<&[f32]>,
        first_column: usize,
    ) -> Self {
        let plain = compare_floats(backend, weights, decoded);
        let (weighted_squares, weighted_error) = match importance {
            None => (plain.squares, plain.squared_error),
            Some(importance) => weighted(weights, decoded, importance, first_column),
        };
        Self {
            weights: weights.len() as u64,
            squares: plain.squares,
            squared_error: plain.squared_error,
            weighted_squares,
            weighted_error,
            max_abs_error: plain.max_abs_error,
        }
    }

    /// Adds those of other weights. Sums depend on the order of these calls, in their last bits.
    pub fn add(&mut self, other: &Self) {
        self.weights += other.weights;
        self.squares += other.squares;
        self.squared_error += other.squared_error;
        self.weighted_squares += other.weighted_squares;
        self.weighted_error += other.weighted_error;
        self.max_abs_error = self.max_abs_error.max(other.max_abs_error);
    }
}

fn weighted(weights: &[f32], decoded: &[f32], importance: &[f32], first_column: usize) -> (f64, f64) {
    let (mut squares, mut errors) = ([0.0_f64; LANES], [0.0_f64; LANES]);
    let mut column = first_column;
    let mut start = 0;
    while start < weights.len() {
        let length = (importance.len() - column).min(weights.len() - start);
        let pieces = weights[start..start + length].chunks(LANES).zip(decoded[start..start + length].chunks(LANES));
        for ((weights, decoded), importance) in pieces.zip(importance[column..].chunks(LANES)) {
            for (lane, ((weight, decoded), importance)) in weights.iter().zip(decoded).zip(importance).enumerate() {
                let (weight, count) = (f64::from(*weight), f64::from(*importance));
                let error = weight - f64::from(*decoded);
                squares[lane] += count * weight * weight;
                errors[lane] += count * error * error;
            }
        }
        start += length;
        column = 0;
    }
    (squares.iter().sum(), errors.iter().sum())
}
