//! From the Gram matrix of a layer's inputs to what each column passes on to the later ones.
//!
//! The error of a row is eᵀHe. With H = R·Rᵀ, R upper triangular, it is the sum over columns i of
//! (R_ii · (e_i + Σ_{k<i} R_ki / R_ii · e_k))². Rounding column i of w_i + Σ_{k<i} R_ki / R_ii · e_k, where e = w − ŵ, makes
//! each term as small as it can be once the earlier columns are fixed. These are GPTQ's updates (arXiv:2210.17323, "The GPTQ
//! Algorithm": they come from the Cholesky factor of H⁻¹, which is R⁻¹), without the inverse.

use rayon::prelude::*;

use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result, Status};

/// What rounding in a certain order of columns needs.
pub struct GramFactor {
    /// The matrix's column at each place of the order.
    pub order: Vec<u32>,
    /// f32 [columns, columns] in that order: row i holds R_ki / R_ii for k < i, and zeros.
    pub feedback: Vec<f32>,
    /// R_ii² for each place.
    pub pivots: Vec<f32>,
    /// What was added to the diagonal, as a multiple of its mean.
    pub damping: f64,
    /// Columns that no input ever reached.
    pub dead_columns: usize,
}

/// Multiples of the diagonal's mean that are tried in turn, from the first one that is no less than what was asked for.
const DAMPING_LADDER: [f64; 8] = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

/// Factors a Gram matrix.
///
/// @param gram f32 [columns, columns], symmetric, of inputs in any unit; not modified
/// `is_ordered`: the columns of greatest diagonal come first ("act-order"). Columns that no input reached are coupled to
/// none: they are rounded to nearest.
/// Fails with [`Status::NotFinite`] at a number that is none, with [`Status::Malformed`] where even the greatest damping does
/// not make the matrix positive definite, so that it cannot be a Gram matrix.
/// Cost: columns³ / 3 multiplications and additions; one f64 [columns, columns] of scratch.
pub fn factor_gram(
    context: &Context,
    gram: &[f32],
    columns: usize,
    damping: f64,
    is_ordered: bool,
) -> Result<GramFactor> {
    if columns == 0 || gram.len() != columns * columns || !(0.0..=1.0).contains(&damping) {
        return Err(KernelError::bad_argument(format!(
            "a Gram matrix of {} numbers for {columns} columns, with damping {damping}",
            gram.len()
        )));
    }
    if let Some(place) = gram.iter().position(|number| !number.is_finite()) {
        let (row, column) = (place / columns, place % columns);
        let what = format!("the Gram matrix is {} at row {row}, column {column}", gram[place]);
        return Err(KernelError::new(Status::NotFinite, what));
    }
    let diagonal = |column: usize| gram[column * columns + column];
    let mut order: Vec<u32> = (0..columns as u32).collect();
    if is_ordered {
        order.sort_by(|a, b| diagonal(*b as usize).total_cmp(&diagonal(*a as usize)).then(a.cmp(b)));
    }
    let mean = (0..columns).map(|column| f64::from(diagonal(column))).sum::<f64>() / columns as f64;
    let mean = if mean > 0.0 { mean } else { 1.0 };
    let dead_columns = (0..columns).filter(|column| diagonal(*column) <= 0.0).count();
    let tried = std::iter::once(damping).chain(DAMPING_LADDER.into_iter().filter(|step| *step > damping));
    for damping in tried {
        context.control.check()?;
        let mut reversed = reversed_matrix(gram, columns, &order, mean, damping);
        if cholesky(context, &mut reversed, columns)? {
            let pivots = (0..columns).rev().map(|row| reversed[row * columns + row].powi(2) as f32).collect();
            return Ok(GramFactor { feedback: feedback(&reversed, columns), order, pivots, damping, dead_columns });
        }
    }
    Err(KernelError::malformed("the Gram matrix has negative eigenvalues, even with its mean added to the diagonal"))
}

/// In the order, last column first, damped: its lower Cholesky factor is R, turned around.
fn reversed_matrix(gram: &[f32], columns: usize, order: &[u32], mean: f64, damping: f64) -> Vec<f64> {
    let mut out = vec![0.0; columns * columns];
    for (row, out) in out.chunks_exact_mut(columns).enumerate() {
        let from = order[columns - 1 - row] as usize;
        for (column, out) in out[..=row].iter_mut().enumerate() {
            *out = f64::from(gram[from * columns + order[columns - 1 - column] as usize]);
        }
        let is_dead = out[row] <= 0.0;
        out[row] += mean * if is_dead { 1.0 } else { damping };
    }
    out
}

/// Columns that are worked on together: their rows stay in a first-level cache.
const PANEL: usize = 32;
const _: () = assert!(PANEL.is_multiple_of(LANES) && PANEL.is_multiple_of(4));
/// Independent sums.
const LANES: usize = 8;
/// Rows that are given to a thread together.
const GROUP: usize = 4;

/// The lower Cholesky factor in place; false where a pivot is not positive. The same at any thread count: each number is
/// one dot product, in fixed lanes.
fn cholesky(context: &Context, matrix: &mut [f64], columns: usize) -> Result<bool> {
    let backend = Backend::best();
    for first in (0..columns).step_by(PANEL) {
        context.control.check()?;
        let width = PANEL.min(columns - first);
        let (head, rest) = matrix.split_at_mut((first + width) * columns);
        let (_, panel) = head.split_at_mut(first * columns);
        // The panel's own triangle, row by row.
        for row in 0..width {
            for column in 0..=row {
                let (above, own) = panel.split_at_mut(row * columns);
                let end = first + column;
                let other = if column == row { &own[..end] } else { &above[column * columns..][..end] };
                let rest = own[end] - dot(&own[..end], other);
                if column == row {
                    if rest.is_nan() || rest <= 0.0 {
                        return Ok(false);
                    }
                    own[end] = rest.sqrt();
                } else {
                    own[end] = rest / above[column * columns + end];
                }
            }
        }
        let panel = &panel[..];
        context.pool.install(|| {
            rest.par_chunks_mut(GROUP * columns)
                .for_each(|rows| solve_rows(backend, rows, columns, panel, first, width));
        });
    }
    Ok(true)
}

/// Some rows' numbers in a panel's columns, from all earlier ones.
fn solve_rows(backend: Backend, rows: &mut [f64], columns: usize, panel: &[f64], first: usize, width: usize) {
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => unsafe { solve_rows_avx512(rows, columns, panel, first, width) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Backend::Avx2 => unsafe { solve_rows_avx2(rows, columns, panel, first, width) },
        _ => solve_rows_body::<1, 4>(rows, columns, panel, first, width),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn solve_rows_avx512(rows: &mut [f64], columns: usize, panel: &[f64], first: usize, width: usize) {
    solve_rows_body::<4, 4>(rows, columns, panel, first, width);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn solve_rows_avx2(rows: &mut [f64], columns: usize, panel: &[f64], first: usize, width: usize) {
    solve_rows_body::<2, 2>(rows, columns, panel, first, width);
}

/// `TALL` rows by `WIDE` columns of the panel at a time, as many as there are registers for their sums. Each sum is the same
/// whatever these are.
#[inline(always)]
fn solve_rows_body<const TALL: usize, const WIDE: usize>(
    rows: &mut [f64],
    columns: usize,
    panel: &[f64],
    first: usize,
    width: usize,
) {
    let mut groups = rows.chunks_exact_mut(TALL * columns);
    for group in &mut groups {
        solve_tile_rows::<TALL, WIDE>(group, columns, panel, first, width);
    }
    for row in groups.into_remainder().chunks_exact_mut(columns) {
        solve_tile_rows::<1, WIDE>(row, columns, panel, first, width);
    }
}

#[inline(always)]
fn solve_tile_rows<const TALL: usize, const WIDE: usize>(
    rows: &mut [f64],
    columns: usize,
    panel: &[f64],
    first: usize,
    width: usize,
) {
    let mut done = [[0.0; PANEL]; TALL];
    {
        // Panels begin at multiples of the lanes: nothing is left over.
        let own: [&[[f64; LANES]]; TALL] =
            std::array::from_fn(|row| rows[row * columns..][..first].as_chunks::<LANES>().0);
        for tile in (0..width).step_by(WIDE) {
            let others: [&[[f64; LANES]]; WIDE] = std::array::from_fn(|index| {
                panel[(tile + index).min(width - 1) * columns..][..first].as_chunks::<LANES>().0
            });
            let sums = tile_sums(own, others, first / LANES);
            for (sums, done) in sums.iter().zip(&mut done) {
                for (sums, done) in sums.iter().zip(&mut done[tile..]) {
                    *done = sums.iter().sum();
                }
            }
        }
    }
    for (row, done) in rows.chunks_exact_mut(columns).zip(&done) {
        for column in 0..width {
            let (end, other) = (first + column, &panel[column * columns..]);
            let within = dot(&row[first..end], &other[first..end]);
            row[end] = (row[end] - done[column] - within) / other[end];
        }
    }
}

/// Lane by lane the dot products of each row with each other one.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "an index walks through several arrays at once")]
fn tile_sums<const TALL: usize, const WIDE: usize>(
    own: [&[[f64; LANES]]; TALL],
    others: [&[[f64; LANES]]; WIDE],
    count: usize,
) -> [[[f64; LANES]; WIDE]; TALL] {
    let (own, others) = (own.map(|row| &row[..count]), others.map(|row| &row[..count]));
    let mut sums = [[[0.0; LANES]; WIDE]; TALL];
    for place in 0..count {
        for index in 0..WIDE {
            let other = others[index][place];
            for row in 0..TALL {
                for lane in 0..LANES {
                    sums[row][index][lane] += own[row][place][lane] * other[lane];
                }
            }
        }
    }
    sums
}

#[inline(always)]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (a_rows, a_rest) = a.as_chunks::<LANES>();
    let (b_rows, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_rows.iter().zip(b_rows) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>() + sums.iter().sum::<f64>()
}

/// Turned back: R_ki is the factor's number at row n − 1 − k, column n − 1 − i.
fn feedback(factor: &[f64], columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; columns * columns];
    for (i, out) in out.chunks_exact_mut(columns).enumerate() {
        let column = columns - 1 - i;
        let pivot = factor[column * columns + column];
        for (k, out) in out[..i].iter_mut().enumerate() {
            *out = (factor[(columns - 1 - k) * columns + column] / pivot) as f32;
        }
    }
    out
}
