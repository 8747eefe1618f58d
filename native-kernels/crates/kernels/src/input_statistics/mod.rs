//! What is known of a linear map's inputs after many rows of them: sums, sums of squares and greatest magnitudes of the
//! columns, and the Gram matrix. See README.md.

mod gram_tile;
#[cfg(test)]
mod input_statistics_tests;

use rayon::prelude::*;

use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result, Status};
use crate::files::{ByteRange, Target};

/// Rows whose products are summed in single precision before they are added in double precision.
pub const GROUP_ROWS: usize = 256;
/// Wider than any model's; its Gram matrix has 8 GiB.
const MAX_COLUMNS: usize = 1 << 15;

/// Statistics that grow with every row.
pub struct InputStatistics {
    columns: usize,
    rows: u64,
    sums: Vec<f64>,
    squares: Vec<f64>,
    greatest: Vec<f32>,
    /// `[columns, columns]`; only what lies on and below the diagonal. Empty where it was not asked for.
    gram: Vec<f64>,
    /// Rows of a group that is not full yet.
    pending: Vec<f32>,
    /// Whether the last group was added, full or not: no row may follow it.
    is_finished: bool,
}

/// The figures of each column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnStatistics {
    /// How many rows there were.
    pub rows: u64,
    /// Of each column's numbers.
    pub sums: Vec<f64>,
    /// Of their squares.
    pub squares: Vec<f64>,
    /// The greatest magnitude.
    pub greatest: Vec<f32>,
}

impl InputStatistics {
    /// Of rows of so many numbers, 1 to 32,768. Memory: 24 bytes a column, 1 KiB a column while rows wait for their group,
    /// and with the Gram matrix 8 bytes for each pair of columns.
    ///
    /// Fails with [`Status::BadArgument`], and with [`Status::OutOfMemory`] where there is not so much.
    pub fn new(columns: usize, with_gram: bool) -> Result<Self> {
        if columns == 0 || columns > MAX_COLUMNS {
            return Err(KernelError::bad_argument(format!("{columns} columns, 1 to {MAX_COLUMNS} are possible")));
        }
        let mut gram = Vec::new();
        if with_gram {
            let pairs = columns * columns;
            gram.try_reserve_exact(pairs).map_err(|_| {
                KernelError::new(Status::OutOfMemory, format!("cannot allocate a Gram matrix of {columns} columns"))
            })?;
            gram.resize(pairs, 0.0);
        }
        Ok(Self {
            columns,
            rows: 0,
            sums: vec![0.0; columns],
            squares: vec![0.0; columns],
            greatest: vec![0.0; columns],
            gram,
            pending: Vec::new(),
            is_finished: false,
        })
    }

    /// Numbers of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Adds rows, on the context's threads. Bits depend neither on their number nor on how rows are cut into calls.
    ///
    /// Fails with [`Status::BadArgument`] where the numbers are no whole rows, or after [`InputStatistics::write_gram`]; with [`Status::NotFinite`] at a NaN or an
    /// infinity, naming row and column; then nothing was added.
    pub fn feed(&mut self, context: &Context, rows: &[f32]) -> Result<()> {
        self.feed_with(Backend::best(), context, rows)
    }

    /// [`InputStatistics::feed`] with the body of one backend, for benchmarks and tests.
    pub fn feed_with(&mut self, backend: Backend, context: &Context, rows: &[f32]) -> Result<()> {
        if self.is_finished {
            return Err(KernelError::bad_argument("rows came after the Gram matrix was written"));
        }
        if !rows.len().is_multiple_of(self.columns) {
            return Err(KernelError::bad_argument(format!("{} numbers are no rows of {}", rows.len(), self.columns)));
        }
        if let Some(at) = rows.iter().position(|number| !number.is_finite()) {
            let (row, column) = (self.rows + (at / self.columns) as u64, at % self.columns);
            return Err(KernelError::new(
                Status::NotFinite,
                format!("row {row} of the inputs has {} in column {column}", rows[at]),
            ));
        }
        self.rows += (rows.len() / self.columns) as u64;
        let group = GROUP_ROWS * self.columns;
        let mut rest = rows;
        if !self.pending.is_empty() {
            let (first, after) = rest.split_at(rest.len().min(group - self.pending.len()));
            self.pending.extend_from_slice(first);
            rest = after;
            if self.pending.len() == group {
                let full = std::mem::take(&mut self.pending);
                self.add_group(backend, context, &full);
                self.pending = full;
                self.pending.clear();
            }
        }
        while let Some((full, after)) = rest.split_at_checked(group) {
            self.add_group(backend, context, full);
            rest = after;
        }
        if !rest.is_empty() {
            // All that a group may need, once: growing by doubling could take twice as much.
            self.pending.reserve_exact(group - self.pending.len());
            self.pending.extend_from_slice(rest);
        }
        Ok(())
    }

    /// The figures of all rows so far.
    pub fn columns_so_far(&self) -> ColumnStatistics {
        let mut sums = self.sums.clone();
        let mut squares = self.squares.clone();
        let mut greatest = self.greatest.clone();
        add_columns(&self.pending, self.columns, 0, &mut sums, &mut squares, &mut greatest);
        ColumnStatistics { rows: self.rows, sums, squares, greatest }
    }

    /// Writes the Gram matrix of all rows, f32 `[columns, columns]`, little-endian, both halves. What waits is added as a
    /// group of its own, in place: rows that came later would be grouped otherwise, so none may come.
    ///
    /// Fails with [`Status::BadArgument`] where there is none, or the range has another size.
    pub fn write_gram(&mut self, context: &Context, range: &ByteRange) -> Result<()> {
        let columns = self.columns;
        if self.gram.is_empty() || range.bytes != 4 * (columns * columns) as u64 {
            return Err(KernelError::bad_argument(format!(
                "a Gram matrix of {columns} columns was asked for in {} bytes",
                range.bytes
            )));
        }
        self.is_finished = true;
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            self.add_group(Backend::best(), context, &pending);
        }
        let gram = &self.gram;
        let target = Target::write(std::slice::from_ref(range))?;
        context.pool.install(|| {
            (0..columns).into_par_iter().try_for_each(|row| {
                let mut bytes = Vec::with_capacity(4 * columns);
                for column in 0..columns {
                    let (low, high) = (row.min(column), row.max(column));
                    bytes.extend_from_slice(&(gram[high * columns + low] as f32).to_le_bytes());
                }
                target.put(4 * (row * columns) as u64, &bytes)
            })
        })
    }

    fn add_group(&mut self, backend: Backend, context: &Context, rows: &[f32]) {
        let columns = self.columns;
        /// A cache line of doubles, eight times.
        const PART: usize = 64;
        let parts = self
            .sums
            .par_chunks_mut(PART)
            .zip(self.squares.par_chunks_mut(PART))
            .zip(self.greatest.par_chunks_mut(PART))
            .enumerate();
        context.pool.install(|| {
            parts.for_each(|(part, ((sums, squares), greatest))| {
                add_columns(rows, columns, part * PART, sums, squares, greatest);
            });
        });
        if !self.gram.is_empty() {
            add_products(backend, context, rows, columns, &mut self.gram);
        }
    }
}

/// Adds a few columns of rows, from `first` on.
fn add_columns(
    rows: &[f32],
    columns: usize,
    first: usize,
    sums: &mut [f64],
    squares: &mut [f64],
    greatest: &mut [f32],
) {
    for row in rows.chunks_exact(columns) {
        let figures = sums.iter_mut().zip(squares.iter_mut()).zip(greatest.iter_mut());
        for (number, ((sum, square), most)) in row[first..].iter().zip(figures) {
            let wide = f64::from(*number);
            *sum += wide;
            *square += wide * wide;
            *most = most.max(number.abs());
        }
    }
}

/// Rows of the Gram matrix that one task works on.
const TASK_ROWS: usize = 64;

/// Adds the products of all pairs of columns, of a group of rows at most, on and below the diagonal.
fn add_products(backend: Backend, context: &Context, rows: &[f32], columns: usize, gram: &mut [f64]) {
    context.pool.install(|| {
        // The last ones have the most to do: they come first.
        gram.par_chunks_mut(TASK_ROWS * columns).enumerate().rev().for_each(|(part, gram)| {
            gram_tile::add_rows(backend, rows, columns, part * TASK_ROWS, gram);
        });
    });
}
