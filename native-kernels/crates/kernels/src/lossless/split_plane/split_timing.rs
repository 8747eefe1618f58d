//! The coders alone, without files and hashes, for the benchmark.

use std::time::Instant;

use super::plane_writer::{Piece, PlaneCoder};
use super::rans::{self, RansDecoder};
use super::{CHUNK_ELEMENTS, Codec, Histogram, ITEM_ELEMENTS, PlaneKind, Split, book, histogram, huff12, pal4, planes};
use crate::cpu::Backend;
use crate::error::{KernelError, Result};

/// Seconds of the runs, shortest first.
#[derive(Debug, Default)]
pub struct CodingTimes {
    /// Split, histogram, and coding of the exponent plane.
    pub encode: Vec<f64>,
    /// Decoding of the exponent plane and joining with the other.
    pub decode: Vec<f64>,
}

/// Times the in-memory coding of BF16 words with one backend, after checking that they come back.
#[doc(hidden)]
pub fn time_item_coding(backend: Backend, codec: Codec, words: &[u8], runs: usize) -> Result<CodingTimes> {
    let items: Vec<&[u8]> = words.chunks(2 * ITEM_ELEMENTS).collect();
    let mut pieces: Vec<Piece> = items.iter().map(|_| Piece::default()).collect();
    let mut signs: Vec<Vec<u8>> = items.iter().map(|item| vec![0; item.len() / 2]).collect();
    let mut times = CodingTimes::default();
    let mut code_book = Vec::new();
    for _ in 0..=runs {
        let start = Instant::now();
        let mut counts: Histogram = [0; 256];
        for (piece, item) in pieces.iter_mut().zip(&items) {
            piece.symbols.resize(item.len() / 2, 0);
            planes::extract(backend, Split::Bf16, PlaneKind::Exp, item, &mut piece.symbols);
            histogram::count(&piece.symbols, &mut counts);
        }
        code_book = match codec {
            Codec::Rans12x32 => book::frequencies(&counts),
            Codec::Huff12 => book::code_lengths(&counts),
            _ => book::palette(&counts),
        };
        let coder = PlaneCoder::new(backend, codec, &code_book);
        for ((piece, item), sign) in pieces.iter_mut().zip(&items).zip(&mut signs) {
            planes::extract(backend, Split::Bf16, PlaneKind::Exp, item, &mut piece.symbols);
            coder.encode(piece)?;
            planes::extract(backend, Split::Bf16, PlaneKind::Sm, item, sign);
        }
        times.encode.push(start.elapsed().as_secs_f64());
    }
    let slack = rans::SLACK_BYTES.max(huff12::SLACK_BYTES);
    let coded: Vec<(Vec<u8>, Vec<u8>)> = pieces.iter().map(|piece| piece.coded(slack)).collect();
    let mut back = vec![0; 2 * ITEM_ELEMENTS];
    let mut symbols = vec![0; ITEM_ELEMENTS];
    let mut is_same = true;
    let rans = (codec == Codec::Rans12x32).then(|| RansDecoder::new(backend, &code_book));
    let huff = (codec == Codec::Huff12).then(|| huff12::Huff12Decoder::new(&code_book));
    let pal = (codec == Codec::Pal4).then(|| pal4::Pal4Decoder::new(&code_book));
    for run in 0..=runs {
        let start = Instant::now();
        for (((stored, index), item), sign) in coded.iter().zip(&items).zip(&signs) {
            let symbols = &mut symbols[..item.len() / 2];
            if let Some(decoder) = &rans {
                let mut offsets = vec![0];
                for length in index.as_chunks::<4>().0 {
                    offsets.push(offsets[offsets.len() - 1] + u32::from_le_bytes(*length));
                }
                decoder.decode(stored, &offsets, symbols)?;
            } else if let Some(decoder) = &huff {
                decoder.decode(stored, index, symbols)?;
            } else if let Some(decoder) = &pal {
                decoder.decode(&stored[..symbols.len().div_ceil(2).next_multiple_of(4)], symbols)?;
            }
            let back = &mut back[..item.len()];
            planes::merge(backend, Split::Bf16, &[symbols, sign], back);
            if run == 0 && codec != Codec::Pal4 {
                is_same &= &*back == *item;
            }
        }
        times.decode.push(start.elapsed().as_secs_f64());
    }
    if !is_same {
        return Err(KernelError::bad_argument(format!("{CHUNK_ELEMENTS}-element chunks came back different")));
    }
    times.encode.remove(0);
    times.decode.remove(0);
    times.encode.sort_by(f64::total_cmp);
    times.decode.sort_by(f64::total_cmp);
    Ok(times)
}
