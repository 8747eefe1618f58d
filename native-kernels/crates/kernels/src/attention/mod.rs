//! Causal attention over windows of equal length: rotary positions, scores, softmax and the sum of values, without a matrix
//! of scores in memory. See README.md for the order of work and the tolerance.

mod attention_reference;
#[cfg(test)]
mod attention_tests;
mod attention_tile;
pub(crate) mod float_lanes;
#[cfg(target_arch = "x86_64")]
pub(crate) mod float_lanes_x86;

use rayon::prelude::*;

use self::attention_tile::{Head, Scratch};
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result};

pub use attention_reference::attend_reference;

/// Rows of numbers that lie some distance apart: a matrix of its own, or some columns of a wider one.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// From the first number of the first row on.
    pub data: &'a [f32],
    /// Numbers from one row's first to the next one's.
    pub stride: usize,
}

/// What is attended to, and how.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// Rows (window after window, position after position) of `heads` vectors each.
    pub query: Rows<'a>,
    /// Rows of `key_heads` vectors each.
    pub key: Rows<'a>,
    /// Rows of `key_heads` vectors each.
    pub value: Rows<'a>,
    /// How many windows.
    pub windows: usize,
    /// Positions of a window.
    pub length: usize,
    /// Of queries; a multiple of `key_heads`, each of which serves as many consecutive ones.
    pub heads: usize,
    /// Of keys and values.
    pub key_heads: usize,
    /// Numbers of a vector.
    pub head_size: usize,
    /// Scores are q · k times this.
    pub scale: f32,
    /// Scores s become c · tanh(s / c).
    pub soft_cap: Option<f32>,
    /// A query sees so many positions, its own included; none: all before it.
    pub window: Option<usize>,
    /// Of the positions from 0 on, `[length or more, dimensions / 2]`; empty where nothing turns. The first dimensions of a
    /// vector turn in pairs (i, i + dimensions / 2).
    pub cosines: &'a [f32],
    /// As `cosines`.
    pub sines: &'a [f32],
    /// Of a vector, how many dimensions turn: an even number, 0 for none.
    pub rotary_dimensions: usize,
}

/// Positions that one task works on: so many that packing the keys anew costs little beside them.
const TASK_ROWS: usize = 256;

/// Writes the attended values, `[windows * length, heads * head_size]`, on the context's threads.
///
/// Source: "FlashAttention", arXiv:2205.14135, algorithm 1, forward; on processors with vectors instead of a GPU's blocks.
/// A row's result depends on nothing but the row, its window and the processor's kind of vectors. NaN and infinities of a
/// row or of what it sees make its result NaN. Fails with [`crate::Status::BadArgument`] where lengths disagree.
/// Memory: for each thread (length + 2 x 32) x (2 x head size + 32) floats at most.
pub fn attend(context: &Context, attention: &Attention<'_>, out: &mut [f32]) -> Result<()> {
    attend_with(Backend::best(), context, attention, out)
}

/// [`attend`] with the body of one backend, for benchmarks and tests.
pub fn attend_with(backend: Backend, context: &Context, attention: &Attention<'_>, out: &mut [f32]) -> Result<()> {
    check(attention, out)?;
    let Attention { windows, length, key_heads, .. } = *attention;
    let parts = length.div_ceil(TASK_ROWS);
    let tasks = windows * key_heads * parts;
    let shared = SharedOutput { start: out.as_mut_ptr(), row: attention.heads * attention.head_size };
    context.pool.install(|| {
        (0..tasks).into_par_iter().for_each_init(Scratch::default, |scratch, task| {
            let (part, rest) = (task % parts, task / parts);
            let (key_head, window) = (rest % key_heads, rest / key_heads);
            let first = part * TASK_ROWS;
            let head = Head { attention, window, key_head, first, end: length.min(first + TASK_ROWS) };
            run(backend, &head, scratch, &shared);
        });
    });
    Ok(())
}

/// The output, of which every task writes other parts.
struct SharedOutput {
    start: *mut f32,
    /// Numbers of a row.
    row: usize,
}

// SAFETY: tasks differ in window, rows or key head, and write only the vectors of their own rows and of the query heads that
// their key head serves.
unsafe impl Sync for SharedOutput {}

impl SharedOutput {
    /// The place of one head's vector in a row.
    ///
    /// # Safety
    /// Row, head and size are within what `check` found, and no other task is given the same row and head.
    #[allow(clippy::mut_from_ref, reason = "tasks share the output, not its parts")]
    unsafe fn vector(&self, row: usize, head: usize, size: usize) -> &mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row * self.row + head * size), size) }
    }
}

fn run(backend: Backend, head: &Head<'_>, scratch: &mut Scratch, out: &SharedOutput) {
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => unsafe { run_avx512(head, scratch, out) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above; FMA is asked for here.
        Backend::Avx2 if is_x86_feature_detected!("fma") => unsafe { run_avx2(head, scratch, out) },
        // SAFETY: plain lanes need nothing.
        _ => unsafe { attention_tile::run_head::<float_lanes::Plain, 4>(head, scratch, out) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn run_avx512(head: &Head<'_>, scratch: &mut Scratch, out: &SharedOutput) {
    // SAFETY: the caller's promise.
    unsafe { attention_tile::run_head::<float_lanes_x86::Avx512, 8>(head, scratch, out) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn run_avx2(head: &Head<'_>, scratch: &mut Scratch, out: &SharedOutput) {
    // SAFETY: the caller's promise.
    unsafe { attention_tile::run_head::<float_lanes_x86::Avx2, 4>(head, scratch, out) }
}

fn check(attention: &Attention<'_>, out: &[f32]) -> Result<()> {
    let &Attention { windows, length, heads, key_heads, head_size, rotary_dimensions, .. } = attention;
    let no = |what: String| Err(KernelError::bad_argument(what));
    if head_size == 0 || key_heads == 0 || !heads.is_multiple_of(key_heads) {
        return no(format!("{heads} query heads of {head_size} numbers over {key_heads} key heads"));
    }
    if attention.window == Some(0) {
        return no("a sliding window of no positions".into());
    }
    let rows = windows.checked_mul(length);
    let needed = |count: usize| rows?.checked_mul(count.checked_mul(head_size)?);
    if needed(heads) != Some(out.len()) {
        return no(format!(
            "an output of {} numbers for {windows} windows of {length} rows of {heads} heads of {head_size}",
            out.len()
        ));
    }
    for (what, rows_of, count) in
        [("query", &attention.query, heads), ("key", &attention.key, key_heads), ("value", &attention.value, key_heads)]
    {
        let width = count * head_size;
        let rows = rows.unwrap_or(0);
        let last = rows.saturating_sub(1).checked_mul(rows_of.stride).and_then(|start| start.checked_add(width));
        if rows > 0 && (rows_of.stride < width || last.is_none_or(|end| end > rows_of.data.len())) {
            return no(format!(
                "{} numbers of the {what} for {rows} rows of {width}, {} apart",
                rows_of.data.len(),
                rows_of.stride
            ));
        }
    }
    let table = (rotary_dimensions / 2).checked_mul(length);
    let has_tables = table.is_some_and(|size| size <= attention.cosines.len() && size <= attention.sines.len());
    if rotary_dimensions > head_size || !rotary_dimensions.is_multiple_of(2) || !has_tables {
        return no(format!(
            "tables of {} and {} numbers for {length} positions of {rotary_dimensions} dimensions that turn, of {head_size}",
            attention.cosines.len(),
            attention.sines.len()
        ));
    }
    Ok(())
}
