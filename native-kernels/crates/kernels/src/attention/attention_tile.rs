//! The body, written once over [`Floats`]: keys and values of a head are packed, then some rows of queries at a time walk
//! over them, block by block.

use super::float_lanes::{Floats, exponential, tangent};
use super::{Attention, Rows, SharedOutput};

/// Keys whose scores are in the first-level cache at a time. A multiple of every panel.
const BLOCK: usize = 128;

/// What one task works on: some rows of the query heads that share a key head, in one window.
pub(super) struct Head<'a> {
    pub attention: &'a Attention<'a>,
    pub window: usize,
    pub key_head: usize,
    /// Positions from `first` to before `end`.
    pub first: usize,
    pub end: usize,
}

/// Buffers of a thread, kept from task to task.
#[derive(Default)]
pub(super) struct Scratch {
    /// Panels of keys, `[panel][dimension][key in panel]`.
    keys: Vec<f32>,
    /// `[key][dimension, padded to whole panels]`.
    values: Vec<f32>,
    /// `[row][dimension]`, turned and scaled.
    queries: Vec<f32>,
    /// `[row][key in block]`.
    scores: Vec<f32>,
    /// `[row][dimension, padded]`.
    sums: Vec<f32>,
    /// One turned vector.
    vector: Vec<f32>,
}

/// Attends for all rows of a task, `ROWS` at a time.
///
/// # Safety
/// The processor has `V`'s instructions; lengths were checked, and `out` is given to no other task with these rows and heads.
#[inline(always)]
pub(super) unsafe fn run_head<V: Floats, const ROWS: usize>(
    head: &Head<'_>,
    scratch: &mut Scratch,
    out: &SharedOutput,
) {
    let &Attention { heads, key_heads, head_size, length, window, .. } = head.attention;
    let panel = 2 * V::LANES;
    // Keys that any row sees, from the start of a panel on.
    let seen_from = |position: usize| window.map_or(0, |size| (position + 1).saturating_sub(size)) / panel * panel;
    let first_key = seen_from(head.first);
    let keys = (head.end - first_key).next_multiple_of(panel);
    let padded = head_size.next_multiple_of(panel);
    pack::<V>(head, first_key, keys, padded, scratch);
    scratch.queries.resize(ROWS * head_size, 0.0);
    scratch.scores.resize(ROWS * BLOCK, 0.0);
    scratch.sums.resize(ROWS * padded, 0.0);
    let group = heads / key_heads;
    for query_head in head.key_head * group..(head.key_head + 1) * group {
        for first in (head.first..head.end).step_by(ROWS) {
            let rows = ROWS.min(head.end - first);
            for row in 0..ROWS {
                // Rows beyond the end repeat the last one, and are thrown away.
                let position = first + row.min(rows - 1);
                turn(head, &head.attention.query, query_head, position, &mut scratch.vector);
                for (to, from) in scratch.queries[row * head_size..][..head_size].iter_mut().zip(&scratch.vector) {
                    *to = from * head.attention.scale;
                }
            }
            let tile = Tile { head, first, rows, first_key, keys, from: seen_from(first), padded };
            // SAFETY: the caller's promise.
            let totals = unsafe { tile.walk::<V, ROWS>(scratch) };
            for (row, total) in totals.into_iter().enumerate().take(rows) {
                // SAFETY: the caller's promise.
                let to = unsafe { out.vector(head.window * length + first + row, query_head, head_size) };
                for (to, sum) in to.iter_mut().zip(&scratch.sums[row * padded..]) {
                    *to = sum / total;
                }
            }
        }
    }
}

/// A vector of a head at a position, its first dimensions turned by the position's angles.
fn turn(head: &Head<'_>, from: &Rows<'_>, index: usize, position: usize, to: &mut Vec<f32>) {
    let &Attention { head_size, length, rotary_dimensions, cosines, sines, .. } = head.attention;
    let start = (head.window * length + position) * from.stride + index * head_size;
    to.clear();
    to.extend_from_slice(&from.data[start..start + head_size]);
    let half = rotary_dimensions / 2;
    let (low, high) = to[..rotary_dimensions].split_at_mut(half);
    let angles = cosines[position * half..].iter().zip(&sines[position * half..]);
    for ((low, high), (cosine, sine)) in low.iter_mut().zip(high).zip(angles) {
        (*low, *high) = (*low * cosine - *high * sine, *high * cosine + *low * sine);
    }
}

/// Keys in panels of as many as two vectors have lanes, values in rows of whole panels; zeros behind the last one.
fn pack<V: Floats>(head: &Head<'_>, first_key: usize, keys: usize, padded: usize, scratch: &mut Scratch) {
    let &Attention { head_size, length, key, value, .. } = head.attention;
    let panel = 2 * V::LANES;
    let Scratch { keys: packed_keys, values: packed_values, vector, .. } = scratch;
    packed_keys.clear();
    packed_keys.resize(keys * head_size, 0.0);
    packed_values.clear();
    packed_values.resize(keys * padded, 0.0);
    for position in first_key..head.end {
        let index = position - first_key;
        turn(head, &key, head.key_head, position, vector);
        let at = index / panel * panel * head_size + index % panel;
        for (to, from) in packed_keys[at..].iter_mut().step_by(panel).zip(vector.iter()) {
            *to = *from;
        }
        let start = (head.window * length + position) * value.stride + head.key_head * head_size;
        packed_values[index * padded..][..head_size].copy_from_slice(&value.data[start..start + head_size]);
    }
}

/// Some rows of queries on their way over the keys.
struct Tile<'a> {
    head: &'a Head<'a>,
    /// Position of the first row, and how many there are.
    first: usize,
    rows: usize,
    /// Position of the first packed key, and how many are packed.
    first_key: usize,
    keys: usize,
    /// Position of the first key that the first row sees, or a little before it.
    from: usize,
    padded: usize,
}

impl Tile<'_> {
    /// Leaves the sums of values in the scratch; returns by what they are to be divided.
    #[inline(always)]
    unsafe fn walk<V: Floats, const ROWS: usize>(&self, scratch: &mut Scratch) -> [f32; ROWS] {
        let panel = 2 * V::LANES;
        let Scratch { keys, values, queries, scores, sums, .. } = scratch;
        let head_size = self.head.attention.head_size;
        // Far below any score, and finite: a difference to it is never NaN.
        let mut most = [f32::MIN; ROWS];
        let mut totals = [0.0; ROWS];
        sums.fill(0.0);
        let end = (self.first + self.rows - self.first_key).next_multiple_of(panel).min(self.keys);
        let mut start = self.from - self.first_key;
        while start < end {
            let count = BLOCK.min(end - start);
            for at in (0..count).step_by(panel) {
                let packed = &keys[(start + at) * head_size..][..panel * head_size];
                // SAFETY: the caller's promise, here and below.
                unsafe { score_panel::<V, ROWS>(packed, queries, head_size, &mut scores[at..]) };
            }
            for row in 0..ROWS {
                let scores = &mut scores[row * BLOCK..][..count];
                // SAFETY: as above.
                unsafe {
                    self.bend::<V>(scores);
                    self.hide(row, start, scores);
                    let factor = soften::<V>(scores, &mut most[row], &mut totals[row]);
                    // Always, though it often is 1: NaN must stay.
                    scale::<V>(&mut sums[row * self.padded..][..self.padded], factor);
                }
            }
            for at in (0..self.padded).step_by(panel) {
                let values = &values[start * self.padded + at..];
                // SAFETY: as above.
                unsafe { add_values::<V, ROWS>(values, self.padded, scores, count, &mut sums[at..]) };
            }
            start += count;
        }
        totals
    }

    /// The soft cap.
    #[inline(always)]
    unsafe fn bend<V: Floats>(&self, scores: &mut [f32]) {
        let Some(cap) = self.head.attention.soft_cap else { return };
        for part in scores.chunks_exact_mut(V::LANES) {
            // SAFETY: the caller's promise.
            unsafe {
                let cap = V::splat(cap);
                tangent(V::load(part).divide(cap)).multiply(cap).store(part);
            }
        }
    }

    /// Keys that this row does not see: later ones, and those before its window.
    #[inline(always)]
    fn hide(&self, row: usize, start: usize, scores: &mut [f32]) {
        let position = self.first + row.min(self.rows - 1) - self.first_key;
        let seen = (position + 1).saturating_sub(start).min(scores.len());
        scores[seen..].fill(f32::NEG_INFINITY);
        if let Some(size) = self.head.attention.window {
            let before = (position + 1).saturating_sub(size).saturating_sub(start).min(scores.len());
            scores[..before].fill(f32::NEG_INFINITY);
        }
    }
}

/// The scores of a panel of keys for all rows, `BLOCK` apart.
#[inline(always)]
unsafe fn score_panel<V: Floats, const ROWS: usize>(keys: &[f32], queries: &[f32], size: usize, out: &mut [f32]) {
    let panel = 2 * V::LANES;
    // SAFETY: the caller's promise, here and below.
    let mut sums = unsafe { [[V::splat(0.0); 2]; ROWS] };
    for (dimension, keys) in keys.chunks_exact(panel).enumerate() {
        // SAFETY: as above.
        unsafe {
            let (one, other) = (V::load(keys), V::load(&keys[V::LANES..]));
            for (row, sums) in sums.iter_mut().enumerate() {
                let query = V::splat(queries[row * size + dimension]);
                *sums = [query.multiply_add(one, sums[0]), query.multiply_add(other, sums[1])];
            }
        }
    }
    for (row, [one, other]) in sums.into_iter().enumerate() {
        let out = &mut out[row * BLOCK..][..panel];
        // SAFETY: as above.
        unsafe {
            one.store(out);
            other.store(&mut out[V::LANES..]);
        }
    }
}

/// Turns a row's scores into weights relative to the greatest one so far; returns by what earlier weights are to be
/// multiplied.
#[inline(always)]
unsafe fn soften<V: Floats>(scores: &mut [f32], most: &mut f32, total: &mut f32) -> f32 {
    // SAFETY: the caller's promise, here and below.
    unsafe {
        let mut greatest = V::splat(*most);
        for part in scores.chunks_exact(V::LANES) {
            greatest = greatest.greater(V::load(part));
        }
        let next = greatest.greatest();
        let shift = V::splat(next);
        let mut sum = V::splat(0.0);
        for part in scores.chunks_exact_mut(V::LANES) {
            let weight = exponential(V::load(part).subtract(shift));
            weight.store(part);
            sum = sum.add(weight);
        }
        let mut factor = [0.0; 16];
        exponential(V::splat(*most - next)).store(&mut factor);
        *total = *total * factor[0] + sum.sum();
        *most = next;
        factor[0]
    }
}

#[inline(always)]
unsafe fn scale<V: Floats>(sums: &mut [f32], factor: f32) {
    for part in sums.chunks_exact_mut(V::LANES) {
        // SAFETY: the caller's promise.
        unsafe { V::load(part).multiply(V::splat(factor)).store(part) };
    }
}

/// Adds the weighted values of a block to a panel of dimensions, for all rows.
#[inline(always)]
unsafe fn add_values<V: Floats, const ROWS: usize>(
    values: &[f32],
    padded: usize,
    weights: &[f32],
    count: usize,
    out: &mut [f32],
) {
    // SAFETY: the caller's promise, here and below.
    let mut sums: [[V; 2]; ROWS] =
        std::array::from_fn(|row| unsafe { [V::load(&out[row * padded..]), V::load(&out[row * padded + V::LANES..])] });
    for (key, values) in values.chunks(padded).take(count).enumerate() {
        // SAFETY: as above.
        unsafe {
            let (one, other) = (V::load(values), V::load(&values[V::LANES..]));
            for (row, sums) in sums.iter_mut().enumerate() {
                let weight = V::splat(weights[row * BLOCK + key]);
                *sums = [weight.multiply_add(one, sums[0]), weight.multiply_add(other, sums[1])];
            }
        }
    }
    for (row, [one, other]) in sums.into_iter().enumerate() {
        // SAFETY: as above.
        unsafe {
            one.store(&mut out[row * padded..]);
            other.store(&mut out[row * padded + V::LANES..]);
        }
    }
}
