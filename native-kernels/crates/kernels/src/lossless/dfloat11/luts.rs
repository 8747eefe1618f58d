//! The hierarchical lookup tables of a code book, as they are stored.
//!
//! Source: arXiv:2504.11651, "Hierarchical lookup tables", in the layout of the official compressor 0.5.0: decoding
//! rows of 256 bytes, one for each run of whole bytes that begins a longer code word, then a row of code lengths.

use std::collections::{BTreeMap, BTreeSet};

use super::huffman::{Code, PrefixCode};
use super::{FIRST_POINTER, MAX_DECODE_ROWS};
use crate::error::{KernelError, Result, Status};

/// Decoding rows and whether they are filled as the official compressor fills them.
pub(super) struct DecodeRows {
    pub rows: Vec<[u8; 256]>,
    pub official: bool,
}

/// The decoding rows of a code.
///
/// A row's unused entries take the value before them. Officially that value runs on from row to row, so that a row may
/// begin with the last value of the one before; where the official compressor fails (row 0 has no entry 0, or a
/// row between two others has no code word that ends in it), each row begins with the shortest code word's exponent.
///
/// Errors: [`Status::Unrepresentable`] if more than 17 rows are needed.
pub(super) fn decode_rows(code: &PrefixCode) -> Result<DecodeRows> {
    let used: Vec<(u8, Code)> =
        (0..=255_u8).zip(code.exponents.iter().copied()).filter(|(_, code)| code.length > 0).collect();
    // (bytes, value) of each prefix; sorted so, they are in the official order.
    let ends: BTreeSet<(u8, u32)> = used.iter().map(|(_, code)| prefix(*code, (code.length - 1) / 8)).collect();
    let mut all = ends.clone();
    all.insert((0, 0));
    for (_, code) in &used {
        (1..=(code.length - 1) / 8).for_each(|bytes| {
            all.insert(prefix(*code, bytes));
        });
    }
    if all.len() > MAX_DECODE_ROWS {
        return Err(KernelError::new(
            Status::Unrepresentable,
            format!("the exponent code needs {} table rows, DFloat11 has room for {MAX_DECODE_ROWS}", all.len()),
        ));
    }
    let row_of: BTreeMap<(u8, u32), usize> = all.iter().enumerate().map(|(row, prefix)| (*prefix, row)).collect();
    let mut entries = vec![[None; 256]; all.len()];
    for (symbol, code) in &used {
        let depth = (code.length - 1) / 8;
        for bytes in 0..depth {
            let next = prefix(*code, bytes + 1);
            let key = (next.1 & 0xff) as usize;
            entries[row_of[&prefix(*code, bytes)]][key] = Some((256 - row_of[&next]) as u8);
        }
        let key = (code.bits << (8 * (depth + 1) - code.length)) & 0xff;
        entries[row_of[&prefix(*code, depth)]][key as usize] = Some(*symbol);
    }
    let skips_a_level = all.iter().any(|prefix| *prefix != (0, 0) && !ends.contains(prefix));
    let official = !skips_a_level && entries[0][0].is_some();
    let shortest = used.iter().filter(|(symbol, _)| *symbol < FIRST_POINTER).min_by_key(|(_, code)| code.length);
    let safe_value = shortest.map_or(0, |(symbol, _)| *symbol);
    let mut value = safe_value;
    let rows = entries
        .iter()
        .map(|row| {
            if !official {
                value = safe_value;
            }
            row.map(|entry| {
                value = entry.unwrap_or(value);
                value
            })
        })
        .collect();
    Ok(DecodeRows { rows, official })
}

/// The first `bytes` bytes of a code word that is longer than that.
fn prefix(code: Code, bytes: u8) -> (u8, u32) {
    (bytes, if bytes == 0 { 0 } else { code.bits >> (code.length - 8 * bytes) })
}
