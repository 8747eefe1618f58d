//! The grids that blocks' scales make, and new codes under the same scales.

use super::super::code_grid::{CodeGrid, Iq4};
use super::super::pack_blocks::{fifth_bits, pack_bit, pack_nibbles, pack_pairs, pack_q6k, pack_wide_nibbles};
use crate::blocks::GgmlType;
use crate::blocks::block_layouts::{
    BlockIq4Xs, BlockQ2K, BlockQ3K, BlockQ4K, BlockQ6K, Layout, half, iq4xs_scale, q3k_scales, scale_and_minimum,
};

/// Weights of a sub-block.
pub fn sub_block_elements(ggml_type: GgmlType) -> usize {
    match ggml_type {
        GgmlType::Q2K | GgmlType::Q3K | GgmlType::Q6K => 16,
        _ => 32,
    }
}

/// The lowest and the highest level of a format.
pub fn level_range(ggml_type: GgmlType) -> (f32, f32) {
    match ggml_type {
        GgmlType::Q8_0 => (-127.0, 127.0),
        GgmlType::Q4_0 => (-8.0, 7.0),
        GgmlType::Q5_0 => (-16.0, 15.0),
        GgmlType::Q3K => (-4.0, 3.0),
        GgmlType::Q6K => (-32.0, 31.0),
        GgmlType::Iq4Nl | GgmlType::Iq4Xs => (-127.0, 113.0),
        GgmlType::Q2K => (0.0, 3.0),
        GgmlType::Q5_1 | GgmlType::Q5K => (0.0, 31.0),
        _ => (0.0, 15.0),
    }
}

/// Whether 0 is a weight that every block of the format can hold.
pub fn has_zero(ggml_type: GgmlType) -> bool {
    matches!(ggml_type, GgmlType::Q8_0 | GgmlType::Q4_0 | GgmlType::Q5_0 | GgmlType::Q3K | GgmlType::Q6K)
}

/// Scale and offset of sub-block `j` of a block: weight = scale · level + offset.
pub fn stored_grid(ggml_type: GgmlType, block: &[u8], j: usize) -> (f32, f32) {
    let at = |place: usize| half([block[place], block[place + 1]]);
    match ggml_type {
        GgmlType::Q2K => {
            let block = BlockQ2K::blocks(block)[0];
            let (scale, minimum) = (block.scales[j] & 15, block.scales[j] >> 4);
            (half(block.d) * f32::from(scale), -half(block.dmin) * f32::from(minimum))
        }
        GgmlType::Q3K => {
            let block = BlockQ3K::blocks(block)[0];
            (half(block.d) * f32::from(q3k_scales(&block.scales)[j]), 0.0)
        }
        GgmlType::Q4K | GgmlType::Q5K => {
            // Both begin alike.
            let mut head = [0; size_of::<BlockQ4K>()];
            head.copy_from_slice(&block[..size_of::<BlockQ4K>()]);
            let block = BlockQ4K::blocks(&head)[0];
            let (scale, minimum) = scale_and_minimum(j, &block.scales);
            (half(block.d) * f32::from(scale), -half(block.dmin) * f32::from(minimum))
        }
        GgmlType::Q6K => {
            let block = BlockQ6K::blocks(block)[0];
            (half(block.d) * f32::from(block.scales[j]), 0.0)
        }
        GgmlType::Iq4Xs => {
            let block = BlockIq4Xs::blocks(block)[0];
            (half(block.d) * iq4xs_scale(j, &block) as f32, 0.0)
        }
        GgmlType::Q4_1 | GgmlType::Q5_1 => (at(0), at(2)),
        _ => (at(0), 0.0),
    }
}

/// Puts other levels into a block; its scales stay.
pub fn replace_levels(ggml_type: GgmlType, levels: &[f32], block: &mut [u8]) {
    let (low, _) = level_range(ggml_type);
    let mut codes = [0_u8; 256];
    let codes = &mut codes[..levels.len()];
    for (level, code) in levels.iter().zip(&mut *codes) {
        *code = match ggml_type {
            GgmlType::Iq4Nl | GgmlType::Iq4Xs => Iq4.code(*level),
            GgmlType::Q8_0 => *level as i8 as u8,
            _ => (level - low) as u8,
        };
    }
    match (ggml_type, codes.first_chunk::<256>()) {
        (GgmlType::Q8_0, _) => block[2..].copy_from_slice(codes),
        (GgmlType::Q4_1, _) => pack_nibbles(codes, &mut block[4..]),
        (GgmlType::Q5_0, _) => {
            block[2..6].copy_from_slice(&fifth_bits(codes));
            pack_nibbles(codes, &mut block[6..]);
        }
        (GgmlType::Q5_1, _) => {
            block[4..8].copy_from_slice(&fifth_bits(codes));
            pack_nibbles(codes, &mut block[8..]);
        }
        (GgmlType::Iq4Xs, _) => pack_nibbles(codes, &mut block[8..]),
        (GgmlType::Q2K, Some(codes)) => pack_pairs(codes, block[16..].first_chunk_mut().expect("64 bytes")),
        (GgmlType::Q3K, Some(codes)) => {
            pack_bit(codes, 2, block.first_chunk_mut().expect("32 bytes"));
            pack_pairs(codes, block[32..].first_chunk_mut().expect("64 bytes"));
        }
        (GgmlType::Q4K, Some(codes)) => pack_wide_nibbles(codes, block[16..].first_chunk_mut().expect("128 bytes")),
        (GgmlType::Q5K, Some(codes)) => {
            pack_bit(codes, 4, block[16..].first_chunk_mut().expect("32 bytes"));
            pack_wide_nibbles(codes, block[48..].first_chunk_mut().expect("128 bytes"));
        }
        (GgmlType::Q6K, Some(codes)) => {
            let (low, rest) = block.split_first_chunk_mut::<128>().expect("210 bytes");
            pack_q6k(codes, low, rest.first_chunk_mut().expect("64 bytes"));
        }
        _ => pack_nibbles(codes, &mut block[2..]),
    }
}
