//! The judge: plain loops in double precision.

use super::{Attention, Rows};

/// Writes what [`super::attend`] has to write. Lengths are taken to fit.
pub fn attend_reference(attention: &Attention<'_>, out: &mut [f32]) {
    let &Attention { query, key, value, windows, length, heads, key_heads, head_size, window, .. } = attention;
    for at in 0..windows * length {
        let position = at % length;
        let first = window.map_or(0, |size| (position + 1).saturating_sub(size));
        for head in 0..heads {
            let key_head = head / (heads / key_heads);
            let asked = turned(attention, &query, at, head);
            let scores: Vec<f64> = (first..=position)
                .map(|other| {
                    let found = turned(attention, &key, at - position + other, key_head);
                    let score: f64 =
                        asked.iter().zip(&found).map(|(q, k)| q * k).sum::<f64>() * f64::from(attention.scale);
                    attention.soft_cap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
                })
                .collect();
            let most = scores.iter().fold(f64::NEG_INFINITY, |most, &score| if most > score { most } else { score });
            let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
            let total: f64 = weights.iter().sum();
            for dimension in 0..head_size {
                let sum: f64 = weights
                    .iter()
                    .enumerate()
                    .map(|(index, weight)| {
                        let row = at - position + first + index;
                        weight * f64::from(value.data[row * value.stride + key_head * head_size + dimension])
                    })
                    .sum();
                out[(at * heads + head) * head_size + dimension] = (sum / total) as f32;
            }
        }
    }
}

fn turned(attention: &Attention<'_>, rows: &Rows<'_>, row: usize, head: usize) -> Vec<f64> {
    let &Attention { length, head_size, rotary_dimensions, cosines, sines, .. } = attention;
    let vector = &rows.data[row * rows.stride + head * head_size..][..head_size];
    let half = rotary_dimensions / 2;
    let angle = |index: usize| {
        let at = row % length * half + index;
        (f64::from(cosines[at]), f64::from(sines[at]))
    };
    vector
        .iter()
        .enumerate()
        .map(|(index, &number)| {
            let number = f64::from(number);
            if index < half {
                let (cosine, sine) = angle(index);
                number * cosine - f64::from(vector[index + half]) * sine
            } else if index < rotary_dimensions {
                let (cosine, sine) = angle(index - half);
                number * cosine + f64::from(vector[index - half]) * sine
            } else {
                number
            }
        })
        .collect()
}
