//! Weights of a tensor in files, read by position as floats.

use crate::blocks::{GgmlType, dequantize};
use crate::cpu::Backend;
use crate::error::{KernelError, Result};
use crate::files::{ByteRange, Source};
use crate::spare::Spare;

/// In what order rows are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceOrder {
    /// As they are.
    Stored,
    /// Within each of so many equal groups of rows (attention heads), row `i` of the first half, then row `i` of the second:
    /// the pairs that llama's GGUF files have for rotary positions. The reverse of `blocks::RowOrder::EvenThenOdd`.
    HalvesToPairs {
        /// How many groups.
        heads: u64,
    },
}

/// Where a matrix lies. Ranges are one run of bytes; rows follow each other.
#[derive(Debug, Clone)]
pub struct WeightSource {
    /// Its bytes.
    pub ranges: Vec<ByteRange>,
    /// What the bytes are: floats, or blocks to be quantized anew.
    pub stored_type: GgmlType,
    /// Weights of a row.
    pub columns: u64,
    /// What becomes of its rows.
    pub order: SourceOrder,
}

/// A source whose files are open and whose numbers fit each other.
pub struct OpenWeights {
    source: Source,
    stored_type: GgmlType,
    rows: u64,
    columns: u64,
    order: SourceOrder,
    spare: Spare<u8>,
}

impl OpenWeights {
    /// Fails with [`crate::Status::BadArgument`] where the numbers do not fit each other.
    pub fn open(from: &WeightSource) -> Result<Self> {
        let source = Source::open(&from.ranges)?;
        let (elements, bytes) = (from.stored_type.block_elements(), from.stored_type.block_bytes());
        let row_bytes = from.columns / elements * bytes;
        if row_bytes == 0 || !from.columns.is_multiple_of(elements) || !source.bytes().is_multiple_of(row_bytes) {
            return Err(KernelError::bad_argument(format!(
                "{} bytes are no whole rows of {} {} weights",
                source.bytes(),
                from.columns,
                from.stored_type.name()
            )));
        }
        let rows = source.bytes() / row_bytes;
        if let SourceOrder::HalvesToPairs { heads } = from.order
            && (heads == 0 || !rows.is_multiple_of(heads) || !(rows / heads).is_multiple_of(2))
        {
            return Err(KernelError::bad_argument(format!(
                "{rows} rows are not {heads} groups of an even number of rows"
            )));
        }
        let (stored_type, columns, order) = (from.stored_type, from.columns, from.order);
        Ok(Self { source, stored_type, rows, columns, order, spare: Spare::new() })
    }

    /// How many rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Weights of a row.
    pub fn columns(&self) -> u64 {
        self.columns
    }

    /// How many weights.
    pub fn weights(&self) -> u64 {
        self.rows * self.columns
    }

    /// Stored bytes of so many weights.
    pub fn stored_bytes(&self, weights: u64) -> u64 {
        weights / self.stored_type.block_elements() * self.stored_type.block_bytes()
    }

    /// Reads the weights from `start` on, in the order asked for. Start and length are whole blocks of the source.
    pub fn read(&self, backend: Backend, start: u64, out: &mut [f32]) -> Result<()> {
        let mut stored = self.spare.take(self.stored_bytes(out.len() as u64) as usize)?;
        match self.order {
            SourceOrder::Stored => self.source.read(self.stored_bytes(start), &mut stored)?,
            SourceOrder::HalvesToPairs { heads } => {
                let (mut place, mut rest) = (start, &mut stored[..]);
                while !rest.is_empty() {
                    let (row, column) = (place / self.columns, place % self.columns);
                    let bytes = rest.len().min(self.stored_bytes(self.columns - column) as usize);
                    let (piece, after) = rest.split_at_mut(bytes);
                    let from = paired_row(row, self.rows / heads) * self.columns + column;
                    self.source.read(self.stored_bytes(from), piece)?;
                    place += self.columns - column;
                    rest = after;
                }
            }
        }
        dequantize(backend, self.stored_type, &stored, out);
        Ok(())
    }
}

/// The row of the source that becomes `row`, in groups of `size` rows.
fn paired_row(row: u64, size: u64) -> u64 {
    let within = row % size;
    row - within + within % 2 * (size / 2) + within / 2
}
