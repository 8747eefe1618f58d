//! How elements fall into byte planes and come together again, exactly, whatever their bits mean.
//!
//! ```text
//! BF16  s eeeeeeee mmmmmmm                    exp = e          sm  = s mmmmmmm
//! F16   s eeeee mmmmmmmmmm                    hi  = bits 15..8 lo  = bits 7..0
//! F32   s eeeeeeee mmmmmmm mmmmmmmm mmmmmmmm  exp = e          sm2 = s mmmmmmm   m1, m0 = the next bytes
//! ```

use super::{PlaneKind, Split};
use crate::cpu::Backend;
use crate::lossless::bf16;

/// Takes one plane out of little-endian elements; `plane.len()` elements of `split.element_bytes()` each.
pub(crate) fn extract(backend: Backend, split: Split, kind: PlaneKind, elements: &[u8], plane: &mut [u8]) {
    assert_eq!(elements.len(), plane.len() * split.element_bytes() as usize);
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => unsafe { extract_avx512(kind, split, elements, plane) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Backend::Avx2 => unsafe { extract_avx2(kind, split, elements, plane) },
        _ => extract_body(kind, split, elements, plane),
    }
}

/// Joins the planes of a split, in its order, into little-endian elements.
pub(super) fn merge(backend: Backend, split: Split, planes: &[&[u8]], elements: &mut [u8]) {
    assert_eq!(planes.len() as u64, split.element_bytes());
    assert!(planes.iter().all(|plane| plane.len() * planes.len() == elements.len()));
    match (backend, split) {
        (_, Split::Bf16) => bf16::merge(backend, planes[0], planes[1], elements),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        (Backend::Avx512, _) => unsafe { merge_avx512(split, planes, elements) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        (Backend::Avx2, _) => unsafe { merge_avx2(split, planes, elements) },
        _ => merge_body(split, planes, elements),
    }
}

#[inline(always)]
fn map16(elements: &[u8], plane: &mut [u8], byte: impl Fn(u16) -> u8) {
    for (pair, out) in elements.as_chunks::<2>().0.iter().zip(plane) {
        *out = byte(u16::from_le_bytes(*pair));
    }
}

#[inline(always)]
fn map32(elements: &[u8], plane: &mut [u8], byte: impl Fn(u32) -> u8) {
    for (four, out) in elements.as_chunks::<4>().0.iter().zip(plane) {
        *out = byte(u32::from_le_bytes(*four));
    }
}

#[inline(always)]
fn extract_body(kind: PlaneKind, split: Split, elements: &[u8], plane: &mut [u8]) {
    match (split, kind) {
        (Split::Bf16, PlaneKind::Exp) => map16(elements, plane, bf16::exponent),
        (Split::Bf16, _) => map16(elements, plane, bf16::sign_mantissa),
        (Split::F16, PlaneKind::Hi) => map16(elements, plane, |w| (w >> 8) as u8),
        (Split::F16, _) => map16(elements, plane, |w| w as u8),
        (Split::F32, PlaneKind::Exp) => map32(elements, plane, |w| (w >> 23) as u8),
        (Split::F32, PlaneKind::Sm2) => map32(elements, plane, |w| ((w >> 24) & 0x80) as u8 | ((w >> 16) & 0x7f) as u8),
        (Split::F32, PlaneKind::M1) => map32(elements, plane, |w| (w >> 8) as u8),
        (Split::F32, _) => map32(elements, plane, |w| w as u8),
        (Split::Bytes, _) => plane.copy_from_slice(elements),
    }
}

#[inline(always)]
fn merge_body(split: Split, planes: &[&[u8]], elements: &mut [u8]) {
    match split {
        Split::Bf16 | Split::F16 => {
            let high_low = planes[0].iter().zip(planes[1]);
            for (out, (hi, lo)) in elements.as_chunks_mut::<2>().0.iter_mut().zip(high_low) {
                *out = [*lo, *hi];
            }
        }
        Split::F32 => {
            let upper = planes[0].iter().zip(planes[1]);
            let lower = planes[2].iter().zip(planes[3]);
            for (out, ((e, sm), (m1, m0))) in elements.as_chunks_mut::<4>().0.iter_mut().zip(upper.zip(lower)) {
                let word = (u32::from(sm & 0x80) << 24)
                    | (u32::from(*e) << 23)
                    | (u32::from(sm & 0x7f) << 16)
                    | (u32::from(*m1) << 8)
                    | u32::from(*m0);
                *out = word.to_le_bytes();
            }
        }
        Split::Bytes => elements.copy_from_slice(planes[0]),
    }
}

// The loops above vectorise by themselves; compiling them once per instruction set is all that is needed.
macro_rules! per_instruction_set {
    ($features:literal, $extract:ident, $merge:ident) => {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        fn $extract(kind: PlaneKind, split: Split, elements: &[u8], plane: &mut [u8]) {
            extract_body(kind, split, elements, plane);
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = $features)]
        fn $merge(split: Split, planes: &[&[u8]], elements: &mut [u8]) {
            merge_body(split, planes, elements);
        }
    };
}
per_instruction_set!("avx2,bmi2", extract_avx2, merge_avx2);
per_instruction_set!("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi", extract_avx512, merge_avx512);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_hold_the_documented_bits() {
        let word = 0xc0a1_b2c3_u32; // 1 10000001 0100001 10110010 11000011
        for (kind, byte) in
            [(PlaneKind::Exp, 0x81), (PlaneKind::Sm2, 0xa1), (PlaneKind::M1, 0xb2), (PlaneKind::M0, 0xc3)]
        {
            let mut plane = [0];
            extract(Backend::Scalar, Split::F32, kind, &word.to_le_bytes(), &mut plane);
            assert_eq!(plane[0], byte, "{kind:?}");
        }
        let mut plane = [0];
        extract(Backend::Scalar, Split::F16, PlaneKind::Hi, &[0x34, 0x12], &mut plane);
        assert_eq!(plane[0], 0x12);
    }

    #[test]
    fn every_split_comes_back_on_every_backend() {
        let noise: Vec<u8> = (0..4 * 4099_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for backend in Backend::available() {
            for split in [Split::Bf16, Split::F16, Split::F32, Split::Bytes] {
                for length in [0, 1, 31, 32, 33, 64, 65, 4099] {
                    let elements = &noise[..length * split.element_bytes() as usize];
                    let planes: Vec<Vec<u8>> = split
                        .kinds()
                        .iter()
                        .map(|kind| {
                            let mut plane = vec![0; length];
                            extract(backend, split, *kind, elements, &mut plane);
                            plane
                        })
                        .collect();
                    let planes: Vec<&[u8]> = planes.iter().map(Vec::as_slice).collect();
                    let mut back = vec![0; elements.len()];
                    merge(backend, split, &planes, &mut back);
                    assert_eq!(back, elements, "{backend:?} {split:?} {length}");
                }
            }
        }
    }
}
