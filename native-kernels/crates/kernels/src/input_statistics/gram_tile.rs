//! Products of columns, written once over [`Floats`]: eight columns by two vectors of them at a time stay in registers while
//! the rows go by.

use crate::attention::float_lanes::{Floats, Plain};
#[cfg(target_arch = "x86_64")]
use crate::attention::float_lanes_x86::{Avx2, Avx512};
use crate::cpu::Backend;

/// Adds to some rows of the Gram matrix, from `first` on, what a group of rows of inputs brings: on and below the diagonal,
/// and a little beyond it within a panel.
pub fn add_rows(backend: Backend, rows: &[f32], columns: usize, first: usize, gram: &mut [f64]) {
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => unsafe { add_avx512(rows, columns, first, gram) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above; FMA is asked for here.
        Backend::Avx2 if is_x86_feature_detected!("fma") => unsafe { add_avx2(rows, columns, first, gram) },
        // SAFETY: plain lanes need nothing.
        _ => unsafe { add_body::<Plain, 4>(rows, columns, first, gram) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn add_avx512(rows: &[f32], columns: usize, first: usize, gram: &mut [f64]) {
    // SAFETY: the caller's promise.
    unsafe { add_body::<Avx512, 8>(rows, columns, first, gram) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn add_avx2(rows: &[f32], columns: usize, first: usize, gram: &mut [f64]) {
    // SAFETY: the caller's promise.
    unsafe { add_body::<Avx2, 4>(rows, columns, first, gram) }
}

#[inline(always)]
unsafe fn add_body<V: Floats, const ROWS: usize>(rows: &[f32], columns: usize, first: usize, gram: &mut [f64]) {
    let panel = 2 * V::LANES;
    let count = gram.len() / columns;
    // A panel's columns side by side: read again and again while its pairs are worked on.
    let mut packed = vec![0.0; rows.len() / columns * panel];
    for start in (0..first + count).step_by(panel) {
        let width = panel.min(columns - start);
        for (to, row) in packed.chunks_exact_mut(panel).zip(rows.chunks_exact(columns)) {
            to[..width].copy_from_slice(&row[start..start + width]);
        }
        for tile in (0..count).step_by(ROWS) {
            let (from, height) = (first + tile, ROWS.min(count - tile));
            // Nothing of this tile is on or below the diagonal.
            if from + height <= start {
                continue;
            }
            // SAFETY: the caller's promise.
            let sums = unsafe { products::<V, ROWS>(&packed, rows, columns, from) };
            for (line, sums) in sums.iter().take(height).enumerate() {
                let to = &mut gram[(tile + line) * columns + start..][..width];
                for (to, sum) in to.iter_mut().zip(sums) {
                    *to += f64::from(*sum);
                }
            }
        }
    }
}

/// The products of columns `from` to `from + ROWS` (the last one again beyond the end) with those of a panel.
#[inline(always)]
unsafe fn products<V: Floats, const ROWS: usize>(
    packed: &[f32],
    rows: &[f32],
    columns: usize,
    from: usize,
) -> [[f32; 32]; ROWS] {
    let panel = 2 * V::LANES;
    // SAFETY: the caller's promise, here and below.
    let mut sums = unsafe { [[V::splat(0.0); 2]; ROWS] };
    for (packed, row) in packed.chunks_exact(panel).zip(rows.chunks_exact(columns)) {
        // SAFETY: as above.
        unsafe {
            let (one, other) = (V::load(packed), V::load(&packed[V::LANES..]));
            for (line, sums) in sums.iter_mut().enumerate() {
                let number = V::splat(row[(from + line).min(columns - 1)]);
                *sums = [number.multiply_add(one, sums[0]), number.multiply_add(other, sums[1])];
            }
        }
    }
    let mut out = [[0.0; 32]; ROWS];
    for (out, [one, other]) in out.iter_mut().zip(sums) {
        // SAFETY: as above.
        unsafe {
            one.store(out);
            other.store(&mut out[V::LANES..]);
        }
    }
    out
}
