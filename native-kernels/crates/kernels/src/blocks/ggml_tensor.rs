//! A stored tensor seen as tiles: what is read at a time, and where its weights go.

use super::block_decode::dequantize;
use super::block_types::GgmlType;
use crate::cpu::Backend;
use crate::error::{KernelError, Result};
use crate::files::{ByteRange, Source};
use crate::spare::Spare;

/// How the rows of the file become those of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOrder {
    /// As they are.
    Stored,
    /// Within each of so many equal groups of rows (attention heads), the even rows first, then the odd ones: undoes the
    /// pairs of llama's rotary positions.
    EvenThenOdd {
        /// How many groups.
        heads: u64,
    },
    /// Columns become rows.
    Transposed,
}

/// Where a tensor lies, and what is to be made of it.
#[derive(Debug, Clone)]
pub struct GgmlTensor {
    /// Its blocks.
    pub source: ByteRange,
    /// Its type.
    pub ggml_type: GgmlType,
    /// Weights of a row: whole blocks, if the rows are to be moved.
    pub columns: u64,
    /// What becomes of its rows.
    pub order: RowOrder,
    /// Added to every weight in f32.
    pub add: f32,
}

/// Weights decoded at a time: their floats and their blocks stay in a second-level cache. A multiple of every block.
const TILE_WEIGHTS: u64 = 128 << 10;
/// Columns and rows of a tile that is transposed: pieces read and written of a kilobyte or so.
const TRANSPOSED_COLUMNS: u64 = 512;
const TRANSPOSED_ROWS: u64 = 512;

/// A tensor whose numbers were found to fit each other, and whose file is open.
pub(super) struct OpenTensor<'a> {
    tensor: &'a GgmlTensor,
    source: Source,
    rows: u64,
    columns: u64,
    tile_rows: u64,
    tile_columns: u64,
    spare: Spare<u8>,
}

/// Some rows and columns of a tensor, decoded row after row.
pub(super) struct Tile {
    first_row: u64,
    rows: u64,
    first_column: u64,
    columns: u64,
    /// Of the blocks read.
    pub stored_bytes: u64,
}

impl<'a> OpenTensor<'a> {
    /// Fails with [`crate::Status::BadArgument`] where the numbers do not fit each other.
    pub fn open(tensor: &'a GgmlTensor) -> Result<Self> {
        let (block_elements, block_bytes) = (tensor.ggml_type.block_elements(), tensor.ggml_type.block_bytes());
        let source = Source::open(std::slice::from_ref(&tensor.source))?;
        let name = tensor.ggml_type.name();
        if !source.bytes().is_multiple_of(block_bytes) {
            return Err(KernelError::bad_argument(format!("{} bytes are not whole {name} blocks", source.bytes())));
        }
        let elements = (source.bytes() / block_bytes)
            .checked_mul(block_elements)
            .ok_or_else(|| KernelError::bad_argument("more weights than 64 bits can count"))?;
        // Where rows stay where they are, a tensor is one long row.
        let columns = if tensor.order == RowOrder::Stored { elements } else { tensor.columns };
        let rows = elements.checked_div(columns).unwrap_or(0);
        if rows * columns != elements || !columns.is_multiple_of(block_elements) {
            return Err(KernelError::bad_argument(format!(
                "{elements} {name} weights are not rows of {columns} weights, in whole blocks of {block_elements}"
            )));
        }
        let (tile_rows, tile_columns) = match tensor.order {
            RowOrder::Stored => (1, TILE_WEIGHTS),
            RowOrder::Transposed => (TRANSPOSED_ROWS, TRANSPOSED_COLUMNS),
            RowOrder::EvenThenOdd { heads } => {
                if heads == 0 || !rows.is_multiple_of(heads) || !(rows / heads).is_multiple_of(2) {
                    return Err(KernelError::bad_argument(format!(
                        "{rows} rows are not {heads} groups of an even number of rows"
                    )));
                }
                // Pairs of whole rows, or a part of one pair of rows.
                let pairs = (TILE_WEIGHTS / 2).checked_div(columns).unwrap_or(1).clamp(1, (rows / heads / 2).max(1));
                (2 * pairs, TILE_WEIGHTS / 2)
            }
        };
        Ok(Self { tensor, source, rows, columns, tile_rows, tile_columns, spare: Spare::new() })
    }

    /// Weights of the tensor.
    pub fn elements(&self) -> u64 {
        self.rows * self.columns
    }

    /// How many tiles there are.
    pub fn tiles(&self) -> u64 {
        if self.elements() == 0 {
            return 0;
        }
        self.bands() * self.tiles_across()
    }

    fn tiles_across(&self) -> u64 {
        self.columns.div_ceil(self.tile_columns)
    }

    /// Rows that a tile may not reach beyond: those of a head.
    fn group_rows(&self) -> u64 {
        match self.tensor.order {
            RowOrder::EvenThenOdd { heads } => self.rows / heads,
            RowOrder::Stored | RowOrder::Transposed => self.rows,
        }
    }

    fn bands(&self) -> u64 {
        let group = self.group_rows();
        (self.rows / group) * group.div_ceil(self.tile_rows)
    }

    /// Tile `index` of [`OpenTensor::tiles`].
    pub fn tile(&self, index: u64) -> Tile {
        let (band, across) = (index / self.tiles_across(), index % self.tiles_across());
        let group = self.group_rows();
        let bands_of_group = group.div_ceil(self.tile_rows);
        let in_group = band % bands_of_group * self.tile_rows;
        let rows = (group - in_group).min(self.tile_rows);
        let first_column = across * self.tile_columns;
        let columns = (self.columns - first_column).min(self.tile_columns);
        Tile {
            first_row: band / bands_of_group * group + in_group,
            rows,
            first_column,
            columns,
            stored_bytes: self.bytes_of(rows * columns),
        }
    }

    fn bytes_of(&self, weights: u64) -> u64 {
        weights / self.tensor.ggml_type.block_elements() * self.tensor.ggml_type.block_bytes()
    }

    /// Weights of a tile.
    pub fn weights_of(&self, tile: &Tile) -> usize {
        (tile.rows * tile.columns) as usize
    }

    /// Decodes a tile into as many weights, row after row.
    pub fn decode(&self, backend: Backend, tile: &Tile, out: &mut [f32]) -> Result<()> {
        let mut blocks = self.spare.take(tile.stored_bytes as usize)?;
        if tile.columns == self.columns {
            self.source.read(self.bytes_of(tile.first_row * self.columns), &mut blocks)?;
        } else {
            let part = self.bytes_of(tile.columns) as usize;
            for (row, part) in blocks.chunks_exact_mut(part).enumerate() {
                let first = (tile.first_row + row as u64) * self.columns + tile.first_column;
                self.source.read(self.bytes_of(first), part)?;
            }
        }
        dequantize(backend, self.tensor.ggml_type, &blocks, out);
        if self.tensor.add != 0.0 {
            out.iter_mut().for_each(|weight| *weight += self.tensor.add);
        }
        Ok(())
    }

    /// Whether a decoded tile is, as it is, one run of the answer.
    pub fn is_in_place(&self) -> bool {
        self.tensor.order == RowOrder::Stored
    }

    /// Index in the answer of a tile that is in place.
    pub fn place(&self, tile: &Tile) -> u64 {
        tile.first_row * self.columns + tile.first_column
    }

    /// Hands the weights of a decoded tile over as runs: `visit(index in the answer, weights)`.
    pub fn for_each_run(
        &self,
        tile: &Tile,
        weights: &[f32],
        mut visit: impl FnMut(u64, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let columns = tile.columns as usize;
        match self.tensor.order {
            RowOrder::Stored => visit(self.place(tile), weights),
            RowOrder::EvenThenOdd { .. } => {
                let group = self.group_rows();
                let (head, in_head) = (tile.first_row / group * group, tile.first_row % group);
                let mut run = Vec::with_capacity(weights.len() / 2);
                for odd in 0..2 {
                    run.clear();
                    weights.chunks_exact(columns).skip(odd).step_by(2).for_each(|row| run.extend_from_slice(row));
                    let row = head + odd as u64 * (group / 2) + in_head / 2;
                    visit(row * self.columns + tile.first_column, &run)?;
                }
                Ok(())
            }
            RowOrder::Transposed => {
                let mut run = vec![0.0; tile.rows as usize];
                for column in 0..columns {
                    let cells = weights[column..].iter().step_by(columns);
                    run.iter_mut().zip(cells).for_each(|(out, weight)| *out = *weight);
                    visit((tile.first_column + column as u64) * self.rows + tile.first_row, &run)?;
                }
                Ok(())
            }
        }
    }
}
