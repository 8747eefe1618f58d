//! The searches of ggml's quantizer, as plain loops: what tests and the bench compare ours with. Nothing else calls this.
//!
//! Source: llama.cpp's ggml-quants.c at c392e50, described in docs/methods/quantization.md. It gives the weights that a block
//! decodes to, not its bytes.

#![allow(clippy::needless_range_loop, reason = "an index walks through several arrays at once")]

use crate::blocks::GgmlType;
use crate::blocks::block_layouts::{IQ4_LEVELS, half};
use crate::blocks::round_floats::to_half;

/// What ggml's quantizer makes of a row of whole blocks: the weights after decoding.
pub fn ggml_quantized(ggml_type: GgmlType, row: &[f32], importance: Option<&[f32]>) -> Vec<f32> {
    let size = ggml_type.block_elements() as usize;
    let row_square = row.iter().map(|x| x * x).sum::<f32>() / row.len() as f32;
    let mut out = Vec::with_capacity(row.len());
    for (index, block) in row.chunks_exact(size).enumerate() {
        let importance = importance.map(|all| &all[index * size..][..size]);
        let square = block.iter().map(|x| x * x).sum::<f32>() / size as f32;
        let heavy = |spread: f32| -> Vec<f32> {
            let weigh = |i: usize| importance.map_or(1.0, |all| all[i]) * (spread + block[i] * block[i]).sqrt();
            (0..size).map(weigh).collect()
        };
        let squares = || block.iter().map(|x| x * x).collect::<Vec<_>>();
        let with = importance.is_some();
        out.extend(match ggml_type {
            GgmlType::Q4_0 if with => one_scale(block, 8, &heavy(row_square)),
            GgmlType::Q5_0 if with => one_scale(block, 16, &heavy(row_square)),
            GgmlType::Q4_1 if with => one_pair(block, 15, &heavy(row_square)),
            GgmlType::Q5_1 if with => one_pair(block, 31, &heavy(row_square)),
            GgmlType::Q2K if with => pairs(block, 16, 3, 15, Some(heavy(square)), false),
            GgmlType::Q2K => pairs(block, 16, 3, 15, None, true),
            GgmlType::Q4K => pairs(block, 32, 15, 63, with.then(|| heavy(2.0 * square)), false),
            GgmlType::Q5K => pairs(block, 32, 31, 63, with.then(|| heavy(2.0 * square)), false),
            GgmlType::Q3K if with => q3k_weighted(block, &heavy(2.0 * square)),
            GgmlType::Q3K => signed_scales(block, 4, 32, |x| refine_by_coordinates(x, 4)),
            GgmlType::Q6K => {
                let weights = importance.map_or_else(squares, <[f32]>::to_vec);
                let mut first = 0;
                signed_scales(block, 32, 128, |x| {
                    first += 16;
                    scale_search(x, 32, &weights[first - 16..first]).0
                })
            }
            GgmlType::Iq4Nl => table(block, 32, &if with { heavy(2.0 * square) } else { squares() }),
            GgmlType::Iq4Xs => table(block, 256, &if with { heavy(2.0 * square) } else { squares() }),
            _ => panic!("{} has no search", ggml_type.name()),
        });
    }
    out
}

fn to_stored(value: f32) -> f32 {
    half(to_half(value).to_le_bytes())
}

fn whole(value: f32, low: i32, high: i32) -> i32 {
    (value.round_ties_even() as i32).clamp(low, high)
}

/// 19 inverse scales around -m / M, each with its least-squares scale; gives that and the codes.
fn scale_search(x: &[f32], m: i32, weights: &[f32]) -> (f32, Vec<i32>) {
    let extreme = x.iter().copied().fold(0.0_f32, |a, b| if b.abs() > a.abs() { b } else { a });
    if extreme.abs() < 1e-15 {
        return (0.0, vec![0; x.len()]);
    }
    let (mut best, mut found) = (f32::NEG_INFINITY, (0.0, vec![0; x.len()]));
    for trial in [0].into_iter().chain(-9..0).chain(1..=9) {
        let inverse = -(m as f32 + 0.1 * trial as f32) / extreme;
        let codes: Vec<i32> = x.iter().map(|x| whole(x * inverse, -m, m - 1)).collect();
        let (mut products, mut squares) = (0.0_f32, 0.0_f32);
        for i in 0..x.len() {
            products += weights[i] * x[i] * codes[i] as f32;
            squares += weights[i] * (codes[i] * codes[i]) as f32;
        }
        if squares > 0.0 && products * products > best * squares {
            best = products * products / squares;
            found = (products / squares, codes);
        }
    }
    found
}

/// Codes of M / -m, then each in turn to what suits the others' least-squares scale, five times at most.
fn refine_by_coordinates(x: &[f32], m: i32) -> f32 {
    let extreme = x.iter().copied().fold(0.0_f32, |a, b| if b.abs() > a.abs() { b } else { a });
    if extreme.abs() < 1e-15 {
        return 0.0;
    }
    let inverse = -m as f32 / extreme;
    let mut codes: Vec<i32> = x.iter().map(|x| whole(x * inverse, -m, m - 1)).collect();
    let (mut products, mut squares) = (0.0_f32, 0.0_f32);
    for (x, code) in x.iter().zip(&codes) {
        products += x * x * x * *code as f32;
        squares += x * x * (code * code) as f32;
    }
    for _ in 0..5 {
        let mut is_changed = false;
        for (x, code) in x.iter().zip(&mut codes) {
            let weight = x * x;
            let others = products - weight * x * *code as f32;
            if others <= 0.0 {
                continue;
            }
            let other_squares = squares - weight * (*code * *code) as f32;
            let new = whole(x * other_squares / others, -m, m - 1);
            let (new_products, new_squares) =
                (others + weight * x * new as f32, other_squares + weight * (new * new) as f32);
            if new != *code
                && new_squares > 0.0
                && new_products * new_products * squares > products * products * new_squares
            {
                (products, squares, *code) = (new_products, new_squares, new);
                is_changed = true;
            }
        }
        if !is_changed {
            break;
        }
    }
    products / squares
}

fn one_scale(x: &[f32], m: i32, weights: &[f32]) -> Vec<f32> {
    let (scale, codes) = scale_search(x, m, weights);
    codes.iter().map(|code| to_stored(scale) * *code as f32).collect()
}

/// Scale and minimum (what is subtracted) by weighted least squares over widths; the best by squares, or by magnitudes.
fn pair_search(
    x: &[f32],
    most: i32,
    weights: &[f32],
    (first, step, steps): (f32, f32, i32),
    by_magnitude: bool,
    any_sign: bool,
) -> (f32, f32) {
    let mut low = x.iter().copied().fold(f32::INFINITY, f32::min);
    let high = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !any_sign {
        low = low.min(0.0);
    }
    if high <= low {
        return (0.0, -low);
    }
    let loss = |scale: f32, low: f32, codes: &[i32]| -> f32 {
        let each = |i: usize| {
            let rest = scale * codes[i] as f32 + low - x[i];
            weights[i] * if by_magnitude { rest.abs() } else { rest * rest }
        };
        (0..x.len()).map(each).sum()
    };
    let codes_of = |inverse: f32| -> Vec<i32> { x.iter().map(|x| whole(inverse * (x - low), 0, most)).collect() };
    let plain = codes_of(most as f32 / (high - low));
    let mut best = ((high - low) / most as f32, low);
    let mut least = loss(best.0, best.1, &plain);
    for trial in 0..=steps {
        let codes = codes_of((first + step * trial as f32 + most as f32) / (high - low));
        let (mut w, mut wx, mut wq, mut wqq, mut wxq) = (0.0_f32, 0.0, 0.0, 0.0, 0.0);
        for i in 0..x.len() {
            let code = codes[i] as f32;
            w += weights[i];
            wx += weights[i] * x[i];
            wq += weights[i] * code;
            wqq += weights[i] * code * code;
            wxq += weights[i] * code * x[i];
        }
        let determinant = w * wqq - wq * wq;
        if determinant > 0.0 {
            let mut scale = (w * wxq - wx * wq) / determinant;
            let mut minimum = (wqq * wx - wq * wxq) / determinant;
            if minimum > 0.0 && !any_sign {
                minimum = 0.0;
                scale = wxq / wqq;
            }
            let found = loss(scale, minimum, &codes);
            if found < least {
                (least, best) = (found, (scale, minimum));
            }
        }
    }
    (best.0, -best.1)
}

fn one_pair(x: &[f32], most: i32, weights: &[f32]) -> Vec<f32> {
    let (scale, minimum) = pair_search(x, most, weights, (-0.9, 0.05, 36), false, true);
    let (d, m) = (to_stored(scale), to_stored(-minimum));
    let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
    x.iter().map(|x| d * whole((x - m) * inverse, 0, most) as f32 + m).collect()
}

/// Numbers >= 0 as multiples of one factor, by weighted search and refinement.
fn factor_search(x: &[f32], most: i32, weights: &[f32]) -> (f32, Vec<i32>) {
    let high = x.iter().copied().fold(0.0, f32::max);
    if high == 0.0 {
        return (0.0, vec![0; x.len()]);
    }
    let loss = |inverse: f32| -> f32 {
        x.iter().zip(weights).map(|(x, w)| w * (x - whole(x * inverse, 0, most) as f32 / inverse).powi(2)).sum()
    };
    let mut inverse = most as f32 / high;
    let mut least = loss(inverse);
    for trial in -4..=4 {
        let other = (0.1 * trial as f32 + most as f32) / high;
        let found = loss(other);
        if found < least {
            (least, inverse) = (found, other);
        }
    }
    let mut codes: Vec<i32> = x.iter().map(|x| whole(x * inverse, 0, most)).collect();
    let (mut products, mut squares) = (0.0_f32, 0.0_f32);
    for i in 0..x.len() {
        products += weights[i] * x[i] * codes[i] as f32;
        squares += weights[i] * (codes[i] * codes[i]) as f32;
    }
    for _ in 0..5 {
        let mut is_changed = false;
        for i in 0..x.len() {
            let code = codes[i] as f32;
            let (others, other_squares) = (products - weights[i] * x[i] * code, squares - weights[i] * code * code);
            if others <= 0.0 || other_squares <= 0.0 {
                continue;
            }
            let new = whole(x[i] * other_squares / others, 0, most);
            let (new_products, new_squares) =
                (others + weights[i] * x[i] * new as f32, other_squares + weights[i] * (new * new) as f32);
            if new != codes[i] && new_products * new_products * squares > products * products * new_squares {
                (products, squares, codes[i]) = (new_products, new_squares, new);
                is_changed = true;
            }
        }
        if !is_changed {
            break;
        }
    }
    (if squares > 0.0 { products / squares } else { 0.0 }, codes)
}

/// Q2_K, Q4_K, Q5_K.
fn pairs(x: &[f32], size: usize, most: i32, most_scale: i32, weights: Option<Vec<f32>>, absolute: bool) -> Vec<f32> {
    let (mut scales, mut minimums, mut sums) = (Vec::new(), Vec::new(), Vec::new());
    for (index, x) in x.chunks_exact(size).enumerate() {
        let rms = (x.iter().map(|x| x * x).sum::<f32>() / size as f32).sqrt();
        let own: Vec<f32> = match &weights {
            Some(weights) => weights[index * size..][..size].to_vec(),
            None if absolute => x.iter().map(|x| x.abs()).collect(),
            None => x.iter().map(|x| rms + x.abs()).collect(),
        };
        let steps = match (&weights, most) {
            (Some(_), _) => (-0.9, 0.05, 36),
            (None, 15) => (-1.0, 0.1, 20),
            (None, _) => (-0.5, 0.1, 15),
        };
        let (scale, minimum) = pair_search(x, most, &own, steps, absolute, false);
        scales.push(scale);
        minimums.push(minimum);
        sums.push(own.iter().sum::<f32>());
    }
    let factor = |values: &[f32]| -> (f32, Vec<i32>) {
        if weights.is_some() {
            return factor_search(values, most_scale, &sums);
        }
        let high = values.iter().copied().fold(0.0, f32::max);
        let inverse = if high > 0.0 { most_scale as f32 / high } else { 0.0 };
        (high / most_scale as f32, values.iter().map(|value| whole(value * inverse, 0, most_scale)).collect())
    };
    let ((d, scale_codes), (dmin, minimum_codes)) = (factor(&scales), factor(&minimums));
    let (d, dmin) = (to_stored(d), to_stored(dmin));
    let decode = |i: usize| {
        let (scale, minimum) = (d * scale_codes[i / size] as f32, dmin * minimum_codes[i / size] as f32);
        let code = if scale == 0.0 { 0 } else { whole((x[i] + minimum) / scale, 0, most) };
        scale * code as f32 - minimum
    };
    (0..x.len()).map(decode).collect()
}

/// Q3_K without importance and Q6_K: sub-blocks' scales as multiples of the largest over `-most`.
fn signed_scales(x: &[f32], m: i32, most: i32, mut scale_of: impl FnMut(&[f32]) -> f32) -> Vec<f32> {
    let scales: Vec<f32> = x.chunks_exact(16).map(&mut scale_of).collect();
    let extreme = scales.iter().copied().fold(0.0_f32, |a, b| if b.abs() > a.abs() { b } else { a });
    if extreme.abs() < 1e-15 {
        return vec![0.0; x.len()];
    }
    let inverse = -most as f32 / extreme;
    let d = to_stored(1.0 / inverse);
    let codes: Vec<i32> = scales.iter().map(|scale| whole(scale * inverse, -most, most - 1)).collect();
    decode_signed(x, m, d, &codes)
}

fn decode_signed(x: &[f32], m: i32, d: f32, scales: &[i32]) -> Vec<f32> {
    let decode = |(i, x): (usize, &f32)| {
        let scale = d * scales[i / 16] as f32;
        if scale == 0.0 { 0.0 } else { scale * whole(x / scale, -m, m - 1) as f32 }
    };
    x.iter().enumerate().map(decode).collect()
}

/// Q3_K with importance.
fn q3k_weighted(x: &[f32], weights: &[f32]) -> Vec<f32> {
    let pieces = || x.chunks_exact(16).zip(weights.chunks_exact(16));
    let scales: Vec<f32> = pieces().map(|(x, weights)| scale_search(x, 4, weights).0).collect();
    let sums: Vec<f32> = pieces().map(|(_, weights)| weights.iter().sum()).collect();
    let (d, codes) = scale_search(&scales, 32, &sums);
    decode_signed(x, 4, to_stored(d), &codes)
}

fn nearest_level(value: f32) -> f32 {
    let distance = |level: &&i8| (f32::from(**level) - value).abs();
    IQ4_LEVELS.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).map_or(0.0, |level| f32::from(*level))
}

/// IQ4_NL and IQ4_XS: 15 inverse scales around -127 / M, each with its least-squares scale.
fn table(x: &[f32], block: usize, weights: &[f32]) -> Vec<f32> {
    let mut scales = Vec::new();
    for (x, weights) in x.chunks_exact(32).zip(weights.chunks_exact(32)) {
        let extreme = x.iter().copied().fold(0.0_f32, |a, b| if b.abs() > a.abs() { b } else { a });
        let (mut best, mut scale) = (0.0_f32, 0.0);
        if extreme.abs() < 1e-15 {
            scales.push(0.0);
            continue;
        }
        let inverses = std::iter::once(1.0 / (extreme / 127.0)).chain((-7..=7).map(|t| (t as f32 - 127.0) / extreme));
        for inverse in inverses {
            let (mut products, mut squares) = (0.0_f32, 0.0_f32);
            for (x, weight) in x.iter().zip(weights) {
                let level = nearest_level(x * inverse);
                products += weight * level * x;
                squares += weight * level * level;
            }
            if squares > 0.0 && products * products > best * squares {
                (best, scale) = (products * products / squares, products / squares);
            }
        }
        scales.push(scale);
    }
    let decode = |step: f32, x: &[f32]| -> Vec<f32> {
        let inverse = if step == 0.0 { 0.0 } else { 1.0 / step };
        x.iter().map(|x| step * nearest_level(x * inverse)).collect()
    };
    if block == 32 {
        return decode(to_stored(scales[0]), x);
    }
    let extreme = scales.iter().copied().fold(0.0_f32, |a, b| if b.abs() > a.abs() { b } else { a });
    let d = to_stored(-extreme / 32.0);
    let inverse = if d == 0.0 { 0.0 } else { -32.0 / extreme };
    let steps = scales.iter().map(|scale| d * whole(scale * inverse, -32, 31) as f32);
    x.chunks_exact(32).zip(steps).flat_map(|(x, step)| decode(step, x)).collect()
}
