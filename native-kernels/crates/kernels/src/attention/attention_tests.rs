use super::*;
use crate::error::Status;

/// Numbers around 0, a few of them large.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    (0..count)
        .map(|_| {
            let number = next() + next() + next() - 1.5;
            if next() < 0.01 { 6.0 * number } else { number }
        })
        .collect()
}

struct Case {
    windows: usize,
    length: usize,
    heads: usize,
    key_heads: usize,
    head_size: usize,
    soft_cap: Option<f32>,
    window: Option<usize>,
    rotary_dimensions: usize,
    /// Query, key and value side by side in one matrix.
    is_fused: bool,
}

const PLAIN: Case = Case {
    windows: 2,
    length: 37,
    heads: 4,
    key_heads: 2,
    head_size: 64,
    soft_cap: None,
    window: None,
    rotary_dimensions: 64,
    is_fused: false,
};

impl Case {
    fn run(&self, act: impl FnOnce(&Attention<'_>)) {
        let rows = self.windows * self.length;
        let (query_width, key_width) = (self.heads * self.head_size, self.key_heads * self.head_size);
        let half = self.rotary_dimensions / 2;
        let angles = (0..self.length * half).map(|at| (at / half) as f32 * 0.9_f32.powi((at % half) as i32));
        let (cosines, sines): (Vec<f32>, Vec<f32>) = angles.map(|angle| (angle.cos(), angle.sin())).unzip();
        let stride = query_width + 2 * key_width;
        let fused = noise(rows * stride, 1);
        let (query, key, value) =
            (noise(rows * query_width, 2), noise(rows * key_width, 3), noise(rows * key_width, 4));
        let part = |start: usize| Rows { data: &fused[start..], stride };
        act(&Attention {
            query: if self.is_fused { part(0) } else { Rows { data: &query, stride: query_width } },
            key: if self.is_fused { part(query_width) } else { Rows { data: &key, stride: key_width } },
            value: if self.is_fused { part(query_width + key_width) } else { Rows { data: &value, stride: key_width } },
            windows: self.windows,
            length: self.length,
            heads: self.heads,
            key_heads: self.key_heads,
            head_size: self.head_size,
            scale: 1.0 / (self.head_size as f32).sqrt(),
            soft_cap: self.soft_cap,
            window: self.window,
            cosines: &cosines,
            sines: &sines,
            rotary_dimensions: self.rotary_dimensions,
        });
    }

    fn output(&self) -> Vec<f32> {
        vec![f32::NAN; self.windows * self.length * self.heads * self.head_size]
    }
}

fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case { soft_cap: Some(2.0), ..PLAIN },
        Case { soft_cap: Some(50.0), window: Some(8), ..PLAIN },
        Case { is_fused: true, ..PLAIN },
        Case { rotary_dimensions: 16, ..PLAIN },
        Case { rotary_dimensions: 0, key_heads: 4, ..PLAIN },
        Case { heads: 6, key_heads: 1, ..PLAIN },
        Case { windows: 1, length: 600, head_size: 16, rotary_dimensions: 16, ..PLAIN },
        Case { windows: 1, length: 600, head_size: 16, rotary_dimensions: 16, window: Some(300), ..PLAIN },
    ];
    for length in [1, 2, 7, 8, 9, 31, 32, 33, 127, 128, 129, 256, 257] {
        cases.push(Case { length, head_size: 8, rotary_dimensions: 8, ..PLAIN });
    }
    for (head_size, rotary_dimensions) in
        [(1, 0), (2, 2), (24, 12), (40, 40), (80, 80), (96, 48), (128, 128), (256, 256)]
    {
        cases.push(Case { head_size, rotary_dimensions, ..PLAIN });
    }
    for window in [1, 2, 31, 32, 33, 36, 37, 100] {
        cases.push(Case { window: Some(window), ..PLAIN });
    }
    cases
}

#[test]
fn every_body_agrees_with_the_judge() {
    let context = Context::with_threads(2).unwrap();
    for case in cases() {
        case.run(|attention| {
            let mut expected = case.output();
            attend_reference(attention, &mut expected);
            for backend in Backend::available() {
                let mut found = case.output();
                attend_with(backend, &context, attention, &mut found).unwrap();
                let largest = expected.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
                for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    // A score errs by some 2^-23 of its terms, of which a few are 30: weights by 2^-17 at most.
                    assert!(
                        (found - expected).abs() <= 4e-6 * largest,
                        "{} at {index}: {found} for {expected}, of {largest}; length {}, head {}, window {:?}, cap {:?}",
                        backend.name(),
                        case.length,
                        case.head_size,
                        case.window,
                        case.soft_cap
                    );
                }
            }
        });
    }
}

#[test]
fn the_bits_depend_neither_on_threads_nor_on_other_windows() {
    let case = Case { windows: 3, length: 300, window: Some(200), ..PLAIN };
    case.run(|attention| {
        for backend in Backend::available() {
            let mut one = case.output();
            attend_with(backend, &Context::with_threads(1).unwrap(), attention, &mut one).unwrap();
            let mut three = case.output();
            attend_with(backend, &Context::with_threads(3).unwrap(), attention, &mut three).unwrap();
            assert!(one.iter().map(|x| x.to_bits()).eq(three.iter().map(|x| x.to_bits())));
            let alone = Attention {
                query: Rows { data: &attention.query.data[300 * attention.query.stride..], ..attention.query },
                key: Rows { data: &attention.key.data[300 * attention.key.stride..], ..attention.key },
                value: Rows { data: &attention.value.data[300 * attention.value.stride..], ..attention.value },
                windows: 1,
                ..*attention
            };
            let mut second = vec![0.0; one.len() / 3];
            attend_with(backend, &Context::with_threads(1).unwrap(), &alone, &mut second).unwrap();
            assert!(
                second.iter().map(|x| x.to_bits()).eq(one[second.len()..2 * second.len()].iter().map(|x| x.to_bits()))
            );
        }
    });
}

#[test]
fn what_is_no_number_reaches_only_those_who_see_it() {
    let case = Case { windows: 1, length: 70, heads: 2, key_heads: 2, window: Some(20), ..PLAIN };
    case.run(|attention| {
        for wrong in [f32::NAN, f32::INFINITY] {
            let mut key = attention.key.data.to_vec();
            key[30 * attention.key.stride + 3] = wrong;
            let attention = Attention { key: Rows { data: &key, ..attention.key }, ..*attention };
            for backend in Backend::available() {
                let mut out = case.output();
                attend_with(backend, &Context::with_threads(1).unwrap(), &attention, &mut out).unwrap();
                for (row, vectors) in out.chunks(128).enumerate() {
                    let (first, second) = vectors.split_at(64);
                    // An infinite key may turn a score into minus infinity, which is none of its number's business.
                    let may_be_wrong = (30..50).contains(&row);
                    assert!(may_be_wrong || first.iter().all(|x| x.is_finite()), "{} row {row}", backend.name());
                    assert!(!may_be_wrong || !wrong.is_nan() || first.iter().all(|x| x.is_nan()));
                    assert!(second.iter().all(|x| x.is_finite()));
                }
            }
        }
    });
}

#[test]
fn great_scores_do_not_overflow() {
    let case = Case { rotary_dimensions: 0, ..PLAIN };
    case.run(|attention| {
        let attention = Attention { scale: 1e4, ..*attention };
        let mut expected = case.output();
        attend_reference(&attention, &mut expected);
        for backend in Backend::available() {
            let mut found = case.output();
            attend_with(backend, &Context::with_threads(1).unwrap(), &attention, &mut found).unwrap();
            // Nearly all the weight is on one key, which rounding may not change; the second one may come near by chance.
            let near = found.iter().zip(&expected).filter(|(a, b)| (*a - *b).abs() < 1e-3).count();
            assert!(near * 100 > found.len() * 97 && found.iter().all(|x| x.is_finite()));
        }
    });
}

#[test]
fn lengths_that_disagree_are_refused() {
    PLAIN.run(|attention| {
        let context = Context::with_threads(1).unwrap();
        let short = |rows: Rows<'_>| rows.data.len() - 1;
        let (query, key) = (attention.query, attention.key);
        let faulty = [
            Attention { query: Rows { data: &query.data[..short(query)], ..query }, ..*attention },
            Attention { key: Rows { stride: key.stride - 1, ..key }, ..*attention },
            Attention { value: Rows { stride: usize::MAX, ..key }, ..*attention },
            Attention { key_heads: 3, ..*attention },
            Attention { key_heads: 0, ..*attention },
            Attention { head_size: 0, ..*attention },
            Attention { window: Some(0), ..*attention },
            Attention { rotary_dimensions: 66, ..*attention },
            Attention { rotary_dimensions: 3, ..*attention },
            Attention { sines: &attention.sines[1..], ..*attention },
            Attention { windows: usize::MAX, ..*attention },
        ];
        for attention in &faulty {
            let error = attend(&context, attention, &mut PLAIN.output()).unwrap_err();
            assert_eq!(error.status, Status::BadArgument, "{attention:?}");
        }
        let none = Attention { windows: 0, ..*attention };
        attend(&context, &none, &mut []).unwrap();
    });
}
