//! Some blocks of a unit in memory: code bits in, exponents out, every index entry counted again.
//!
//! Several blocks are read at once by turns: the next code word of one stream is known only when the last one's length
//! is, and the other streams' work fills that wait. The plain judge of this file is `reference.rs`.

use super::lookup::{INDEX_BITS, Lookup};
use super::{BLOCK_BITS, WINDOW_BITS, WINDOWS_PER_BLOCK};
use crate::cpu::Backend;
use crate::error::{KernelError, Result};

/// Blocks read by turns.
pub const LANES: usize = 4;
/// Bytes that must follow a block's 4096 in the buffer: the rest of its last code word, and what a load of 8 takes.
pub const STREAM_SLACK: usize = 16;
/// Bytes behind a block's exponents that are overwritten.
pub const EXPONENT_SLACK: usize = 16;
/// A window's first start may be noted for the window after the block's last.
const FOUND_GAPS: usize = WINDOWS_PER_BLOCK + 8;
/// Lookups of 12 bits that one load of 8 bytes (57 bits at least) serves.
const LOOKUPS_PER_LOAD: usize = 4;
/// Elements, and bits, that one load may yield.
const ELEMENTS_PER_LOAD: u32 = LOOKUPS_PER_LOAD as u32 * super::lookup::MAX_SYMBOLS;
const BITS_PER_LOAD: u32 = LOOKUPS_PER_LOAD as u32 * INDEX_BITS;

/// A block to read.
pub struct Block<'a> {
    /// Its bytes and at least [`STREAM_SLACK`] more, of the next block or 0.
    pub stream: &'a [u8],
    /// Its 320 bytes of `gaps`.
    pub gaps: &'a [u8],
    /// Receives its exponents, and [`EXPONENT_SLACK`] bytes of nonsense behind them.
    pub exponents: &'a mut [u8],
    /// Code words that start in it, without the end mark.
    pub elements: u32,
    /// Its bits: 32,768, or for the unit's last block 8 for each byte that is there.
    pub bits: u32,
    /// Whether it is the unit's last.
    pub is_last: bool,
    /// Its number in the unit, for messages.
    pub number: u64,
    /// Where the first code word that isn't its own starts, in bits from its own first: the answer.
    pub end_bit: u32,
}

/// A block's place of reading.
struct Lane {
    bit: u32,
    element: u32,
    found: [u8; FOUND_GAPS],
}

/// Reads blocks and checks them: every window's first start must be its gap, and the elements must be all that start
/// in the block. (That a block starts where the one before ends is the caller's to check, with `end_bit`.)
///
/// Errors: [`crate::Status::Malformed`], naming the field.
pub fn unpack_blocks(backend: Backend, lookup: &Lookup, blocks: &mut [Block<'_>]) -> Result<()> {
    for block in blocks.iter_mut() {
        assert!(block.stream.len() >= (block.bits as usize).div_ceil(8) + STREAM_SLACK);
        assert!(block.exponents.len() >= block.elements as usize + EXPONENT_SLACK);
        assert!(u64::from(block.bits) <= BLOCK_BITS && block.gaps.len() == super::GAP_BYTES_PER_BLOCK as usize);
    }
    for blocks in blocks.chunks_mut(LANES) {
        let mut lanes: [Lane; LANES] = std::array::from_fn(|_| Lane { bit: 0, element: 0, found: [0; FOUND_GAPS] });
        for (lane, block) in lanes.iter_mut().zip(blocks.iter()) {
            lane.bit = u32::from(block.gaps[0] >> 3);
        }
        if let Ok(all) = <&mut [Block<'_>; LANES]>::try_from(&mut *blocks) {
            run(backend, lookup, all, &mut lanes)?;
        }
        for (lane, block) in lanes.iter_mut().zip(blocks.iter_mut()) {
            run(backend, lookup, std::array::from_mut(block), std::array::from_mut(lane))?;
            finish(lookup, block, lane)?;
        }
    }
    Ok(())
}

fn run<const N: usize>(
    backend: Backend,
    lookup: &Lookup,
    blocks: &mut [Block<'_>; N],
    lanes: &mut [Lane; N],
) -> Result<()> {
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions (BMI2 is part of both).
        Backend::Avx2 | Backend::Avx512 => unsafe { run_bmi2(lookup, blocks, lanes) },
        _ => run_body(lookup, blocks, lanes),
    }
}

// Shifts by a register that leave the flags alone: the same code, compiled for them.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn run_bmi2<const N: usize>(lookup: &Lookup, blocks: &mut [Block<'_>; N], lanes: &mut [Lane; N]) -> Result<()> {
    run_body(lookup, blocks, lanes)
}

/// Reads all lanes by turns until one is within a load of its last element or last bit.
#[inline(always)]
fn run_body<const N: usize>(lookup: &Lookup, blocks: &mut [Block<'_>; N], lanes: &mut [Lane; N]) -> Result<()> {
    let entries = lookup.entries();
    let mut bit: [u32; N] = std::array::from_fn(|i| lanes[i].bit);
    let mut element: [u32; N] = std::array::from_fn(|i| lanes[i].element);
    let last_bit: [Option<u32>; N] = std::array::from_fn(|i| blocks[i].bits.checked_sub(BITS_PER_LOAD));
    let last_element: [Option<u32>; N] = std::array::from_fn(|i| blocks[i].elements.checked_sub(ELEMENTS_PER_LOAD));
    if last_bit.iter().chain(&last_element).any(Option::is_none) {
        return Ok(());
    }
    let last_bit = last_bit.map(|bit| bit.unwrap_or(0));
    let last_element = last_element.map(|element| element.unwrap_or(0));
    while (0..N).all(|i| bit[i] <= last_bit[i] && element[i] <= last_element[i]) {
        let mut word: [u64; N] = std::array::from_fn(|i| load(blocks[i].stream, bit[i]));
        let mut stuck = false;
        for lookup_number in 0..LOOKUPS_PER_LOAD {
            for i in 0..N {
                let entry = entries[(word[i] >> (64 - INDEX_BITS)) as usize];
                let at = element[i] as usize;
                blocks[i].exponents[at..at + 4].copy_from_slice(&entry.exponents().to_le_bytes());
                // How far behind the border of the next window the first code word ends. As long as none reaches it
                // this is nonsense, and noted again by the next lookup.
                let to_border = bit[i].wrapping_neg() & 63;
                lanes[i].found[(bit[i] / 64) as usize + 1] = (entry.ends() >> (to_border & 31)).trailing_zeros() as u8;
                element[i] += entry.count();
                bit[i] += entry.bits();
                word[i] <<= entry.bits();
                if lookup_number == LOOKUPS_PER_LOAD - 1 {
                    stuck |= entry.count() == 0;
                }
            }
        }
        if stuck {
            // The longest code words, one in thousands. Lanes that aren't stuck take a step too: it does no harm.
            for i in 0..N {
                if bit[i] < blocks[i].bits && element[i] < blocks[i].elements {
                    step(lookup, &mut blocks[i], &mut lanes[i], &mut bit[i], &mut element[i])?;
                }
            }
        }
    }
    for i in 0..N {
        lanes[i].bit = bit[i];
        lanes[i].element = element[i];
    }
    Ok(())
}

/// 57 bits or more from a bit on, left-aligned.
#[inline(always)]
fn load(stream: &[u8], bit: u32) -> u64 {
    let byte = (bit / 8) as usize;
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&stream[byte..byte + 8]);
    u64::from_be_bytes(bytes) << (bit % 8)
}

/// Reads one code word through the stored tables.
fn step(lookup: &Lookup, block: &mut Block<'_>, lane: &mut Lane, bit: &mut u32, element: &mut u32) -> Result<()> {
    let (exponent, length) = lookup.exponent((load(block.stream, *bit) >> 32) as u32).ok_or_else(|| {
        KernelError::malformed(format!(
            "\"encoded_exponent\" has, at bit {bit} of block {}, a code word that \"luts\" does not decode",
            block.number
        ))
    })?;
    block.exponents[*element as usize] = exponent;
    let window = *bit / WINDOW_BITS as u32;
    *bit += length;
    *element += 1;
    if *bit / WINDOW_BITS as u32 != window {
        lane.found[window as usize + 1] = (*bit % WINDOW_BITS as u32) as u8;
    }
    Ok(())
}

/// Reads the block's last code words and checks its index.
fn finish(lookup: &Lookup, block: &mut Block<'_>, lane: &mut Lane) -> Result<()> {
    let number = block.number;
    let (mut bit, mut element) = (lane.bit, lane.element);
    while element < block.elements && bit < block.bits {
        step(lookup, block, lane, &mut bit, &mut element)?;
    }
    let starts_elsewhere = block.is_last || u64::from(bit) >= BLOCK_BITS;
    if element < block.elements || !starts_elsewhere {
        return Err(KernelError::malformed(format!(
            "\"output_positions\" gives block {number} {} elements, but {} code words start in it",
            block.elements,
            if starts_elsewhere { "fewer" } else { "more" }
        )));
    }
    block.end_bit = bit;
    // Of a last block in which nothing starts, the caller knows where the stream ends.
    let starts_nothing = block.is_last && block.elements == 0;
    if block.is_last && !starts_nothing && bit.div_ceil(8) * 8 != block.bits {
        return Err(KernelError::malformed(format!(
            "\"encoded_exponent\" has {} bytes in block {number}, its last code word ends in byte {}",
            block.bits / 8,
            bit.div_ceil(8)
        )));
    }
    if block.is_last {
        // Behind the end nothing starts; at the end, only the end mark, if it is written.
        let unreached = if starts_nothing { 1 } else { bit.div_ceil(WINDOW_BITS as u32) as usize };
        lane.found[unreached..].fill(0);
        let reached = unreached.saturating_sub(1);
        if bit.is_multiple_of(8) && reached > 0 && u32::from(lane.found[reached]) == bit - 64 * reached as u32 {
            lane.found[reached] = 0;
        }
    }
    check_gaps(block, &mut lane.found)
}

fn check_gaps(block: &Block<'_>, found: &mut [u8; FOUND_GAPS]) -> Result<()> {
    // The block's own start, which the caller checks.
    found[0] = block.gaps[0] >> 3;
    for (group, (packed, found)) in block.gaps.as_chunks::<5>().0.iter().zip(found.as_chunks::<8>().0).enumerate() {
        let [a, b, c, d, e] = *packed;
        let packed = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
        let stored: [u8; 8] = std::array::from_fn(|i| (packed >> (35 - 5 * i)) as u8 & 31);
        if let Some(i) = (0..8).find(|i| stored[*i] != found[*i]) {
            return Err(KernelError::malformed(format!(
                "\"gaps\" says {} for window {} of block {}, its first code word starts at bit {}",
                stored[i],
                8 * group + i,
                block.number,
                found[i]
            )));
        }
    }
    Ok(())
}
