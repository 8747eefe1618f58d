//! `rans12x32`: 32 interleaved rANS states over 12-bit frequencies, chunks of 65,536 elements.
//!
//! ```text
//! blob   u32 offsets[chunks + 1] | chunk | chunk | ...      offsets count from the end of the table
//! chunk  u32 state[32] | u16 words ... | 0 or 2 zero bytes  element i belongs to lane i mod 32
//! ```
//! States live in [2^15, 2^31). An encoder walks the elements backwards from states of 2^15 and fills its words from the
//! end of a scratch buffer towards the front, so that they come to lie in reading order.

use super::book::FREQUENCY_SUM;
use super::{BookEntry, CHUNK_ELEMENTS};
use crate::cpu::Backend;
use crate::error::{KernelError, Result};

/// Interleaved states.
pub(super) const LANES: usize = 32;

/// Bytes of a chunk's states.
pub(super) const STATE_BYTES: usize = 4 * LANES;

/// The lower end of a state's interval, and the state of a lane before its first and after its last element.
pub(super) const LOWEST: u32 = 1 << 15;

/// The upper end of a state's interval.
const HIGHEST: u32 = 1 << 31;

/// Bytes a vector body may read behind a chunk, or write before its words: one row of words.
pub(super) const SLACK_BYTES: usize = 2 * LANES;

/// Room for the words of one chunk: an element emits at most one.
pub(super) const WORDS_BYTES: usize = 2 * CHUNK_ELEMENTS + SLACK_BYTES;

/// The longest chunk a valid blob can have.
const MAX_CHUNK_BYTES: usize = STATE_BYTES + 2 * CHUNK_ELEMENTS + 2;

/// Fraction bits of [`EncodeTables::reciprocal`].
const RECIPROCAL_BITS: u32 = 44;

/// What an encoder knows of each symbol; a frequency of 0 marks those without a code.
pub(super) struct EncodeTables {
    pub(super) frequency: [u32; 256],
    pub(super) start: [u32; 256],
    /// ceil(2^44 / f). For x < f 2^19 the quotient floor(x / f) is exactly (x * this) >> 44: the excess of the
    /// reciprocal, below f 2^-44 <= 2^-32 of it, moves x / f up by less than 1 / f as long as x * f < 2^44.
    pub(super) reciprocal: [u64; 256],
}

impl EncodeTables {
    fn new(book: &[BookEntry]) -> Self {
        let mut tables = Self { frequency: [0; 256], start: [0; 256], reciprocal: [0; 256] };
        let mut start = 0;
        for (symbol, f) in book {
            let (index, f) = (usize::from(*symbol), u32::from(*f));
            tables.frequency[index] = f;
            tables.start[index] = start;
            tables.reciprocal[index] = (1_u64 << RECIPROCAL_BITS).div_ceil(u64::from(f));
            start += f;
        }
        tables
    }
}

/// Codes planes with one book.
pub(super) struct RansEncoder {
    tables: EncodeTables,
    #[cfg(target_arch = "x86_64")]
    wide: Option<super::rans_x86::EncodeRegisters>,
}

impl RansEncoder {
    /// The book must have passed [`super::book::check_frequencies`].
    pub(super) fn new(backend: Backend, book: &[BookEntry]) -> Self {
        let tables = EncodeTables::new(book);
        #[cfg(target_arch = "x86_64")]
        let wide = (backend == Backend::Avx512).then(|| super::rans_x86::EncodeRegisters::new(&tables, book));
        #[cfg(not(target_arch = "x86_64"))]
        let _ = backend;
        Self {
            tables,
            #[cfg(target_arch = "x86_64")]
            wide,
        }
    }

    /// Appends the chunks of `symbols` (which start at a chunk border) to `out` and their lengths, u32 each, to
    /// `lengths`. `scratch` holds the words of two chunks, `2 * WORDS_BYTES`.
    pub(super) fn encode(
        &self,
        symbols: &[u8],
        scratch: &mut [u8],
        out: &mut Vec<u8>,
        lengths: &mut Vec<u8>,
    ) -> Result<()> {
        let mut states = [[LOWEST; LANES]; 2];
        let mut chunks = symbols.chunks(CHUNK_ELEMENTS).peekable();
        while let Some(first) = chunks.next() {
            states[0] = [LOWEST; LANES];
            states[1] = [LOWEST; LANES];
            let (words_a, words_b) = scratch.split_at_mut(WORDS_BYTES);
            match chunks.next_if(|second| second.len() == first.len()) {
                Some(second) => {
                    let at =
                        self.encode_chunks([first, second], &mut states, [words_a, &mut words_b[..WORDS_BYTES]])?;
                    append_chunk(&states[0], &words_a[at[0]..], out, lengths);
                    append_chunk(&states[1], &words_b[at[1]..WORDS_BYTES], out, lengths);
                }
                None => {
                    let states: &mut [[u32; LANES]; 1] = states.first_chunk_mut().expect("two states");
                    let at = self.encode_chunks([first], states, [words_a])?;
                    append_chunk(&states[0], &words_a[at[0]..], out, lengths);
                }
            }
        }
        Ok(())
    }

    /// Codes chunks of equal length side by side; answers where each one's words start in its buffer.
    fn encode_chunks<const N: usize>(
        &self,
        chunks: [&[u8]; N],
        states: &mut [[u32; LANES]; N],
        words: [&mut [u8]; N],
    ) -> Result<[usize; N]> {
        let mut at = [WORDS_BYTES; N];
        #[allow(unused_mut, reason = "changed on x86 only")]
        let mut words = words;
        #[allow(unused_mut, reason = "changed on x86 only")]
        let mut left = chunks[0].len();
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = &self.wide {
            let whole_rows = left - left % LANES;
            for k in 0..N {
                at[k] = encode_body(&self.tables, chunks[k], whole_rows..left, &mut states[k], words[k], at[k])?;
            }
            // SAFETY: the registers are only made for the AVX-512 backend, which is only handed out where it runs.
            unsafe { super::rans_x86::encode_rows(wide, chunks, whole_rows, states, &mut words, &mut at) }
                .map_err(|()| super::source_changed())?;
            left = 0;
        }
        for k in 0..N {
            at[k] = encode_body(&self.tables, chunks[k], 0..left, &mut states[k], words[k], at[k])?;
        }
        Ok(at)
    }
}

/// Rows from the last to the first. Whether an element emits a word is a coin toss to the branch predictor, so a word is
/// always written and only counted if it is wanted.
fn encode_body(
    tables: &EncodeTables,
    symbols: &[u8],
    range: std::ops::Range<usize>,
    states: &mut [u32; LANES],
    words: &mut [u8],
    mut at: usize,
) -> Result<usize> {
    debug_assert!(range.start.is_multiple_of(LANES));
    let mut is_absent = false;
    for row in symbols[range].chunks(LANES).rev() {
        let window: &mut [u8; SLACK_BYTES] =
            words[..at].last_chunk_mut().ok_or_else(|| KernelError::bad_argument("no room for a row of words"))?;
        let mut left = LANES;
        for (state, symbol) in states.iter_mut().zip(row).rev() {
            let symbol = usize::from(*symbol);
            let (f, x) = (tables.frequency[symbol], *state);
            is_absent |= f == 0;
            let place = 2 * ((left - 1) % LANES);
            [window[place], window[place + 1]] = (x as u16).to_le_bytes();
            let emits = x >= f << 19;
            left -= usize::from(emits);
            let x = x >> (16 * u32::from(emits));
            let quotient = ((u64::from(x) * tables.reciprocal[symbol]) >> RECIPROCAL_BITS) as u32;
            *state = x + quotient * (FREQUENCY_SUM - f) + tables.start[symbol];
        }
        at -= 2 * (LANES - left);
    }
    if is_absent { Err(super::source_changed()) } else { Ok(at) }
}

fn append_chunk(states: &[u32; LANES], words: &[u8], out: &mut Vec<u8>, lengths: &mut Vec<u8>) {
    let before = out.len();
    states.iter().for_each(|state| out.extend_from_slice(&state.to_le_bytes()));
    out.extend_from_slice(words);
    out.resize(before + (out.len() - before).next_multiple_of(4), 0);
    lengths.extend_from_slice(&((out.len() - before) as u32).to_le_bytes());
}

/// Decodes planes with one book.
pub(super) struct RansDecoder {
    backend: Backend,
    /// By slot: symbol << 24 | frequency << 12 | slot - start. Two symbols or more have frequencies below 2^12.
    table: Vec<u32>,
    /// A book of one symbol: no words at all.
    single: Option<u8>,
}

/// Where a decoder stands in one chunk: `at` is the next word, `end` the end of the words.
#[derive(Clone, Copy)]
pub(super) struct Cursor {
    pub(super) at: usize,
    pub(super) end: usize,
}

impl RansDecoder {
    /// The book must have passed [`super::book::check_frequencies`].
    pub(super) fn new(backend: Backend, book: &[BookEntry]) -> Self {
        let single = (book.len() == 1).then(|| book[0].0);
        let mut table = Vec::with_capacity(FREQUENCY_SUM as usize);
        for (symbol, f) in book.iter().filter(|_| single.is_none()) {
            table.extend((0..u32::from(*f)).map(|i| (u32::from(*symbol) << 24) | (u32::from(*f) << 12) | i));
        }
        Self { backend, table, single }
    }

    /// Checks the lengths of the chunks of an item; the last one holds `last_elements`.
    pub(super) fn check_offsets(offsets: &[u32]) -> Result<()> {
        for pair in offsets.windows(2) {
            let length = pair[1].checked_sub(pair[0]).map_or(0, |length| length as usize);
            if !(STATE_BYTES..=MAX_CHUNK_BYTES).contains(&length) || length % 4 != 0 {
                return Err(KernelError::malformed(format!(
                    "a rans12x32 chunk lies at {} .. {}; {STATE_BYTES} to {MAX_CHUNK_BYTES} bytes, a multiple of 4, are possible",
                    pair[0], pair[1]
                )));
            }
        }
        Ok(())
    }

    /// Decodes consecutive chunks. `stored` holds them and then [`SLACK_BYTES`] more bytes of any content; `offsets`
    /// (checked by [`Self::check_offsets`]) bracket them, the first one being where `stored` starts.
    pub(super) fn decode(&self, stored: &[u8], offsets: &[u32], symbols: &mut [u8]) -> Result<()> {
        let mut chunks = symbols.chunks_mut(CHUNK_ELEMENTS).peekable();
        let mut k = 0;
        let bounds = |k: usize| (offsets[k] - offsets[0]) as usize..(offsets[k + 1] - offsets[0]) as usize;
        while let Some(first) = chunks.next() {
            match chunks.next_if(|second| second.len() == first.len()) {
                Some(second) => {
                    self.decode_chunks(stored, [bounds(k), bounds(k + 1)], [first, second])?;
                    k += 2;
                }
                None => {
                    self.decode_chunks(stored, [bounds(k)], [first])?;
                    k += 1;
                }
            }
        }
        Ok(())
    }

    fn decode_chunks<const N: usize>(
        &self,
        stored: &[u8],
        bounds: [std::ops::Range<usize>; N],
        mut symbols: [&mut [u8]; N],
    ) -> Result<()> {
        let mut states = [[0; LANES]; N];
        let mut cursors = [Cursor { at: 0, end: 0 }; N];
        for k in 0..N {
            let chunk = &stored[bounds[k].clone()];
            let (fours, _) = chunk[..STATE_BYTES].as_chunks::<4>();
            states[k] = std::array::from_fn(|lane| u32::from_le_bytes(fours[lane]));
            if states[k].iter().any(|state| !(LOWEST..HIGHEST).contains(state)) {
                return Err(KernelError::malformed("a rans12x32 state lies outside its interval"));
            }
            cursors[k] = Cursor { at: bounds[k].start + STATE_BYTES, end: bounds[k].end };
        }
        let mut done = 0;
        if let Some(symbol) = self.single {
            symbols.iter_mut().for_each(|chunk| chunk.fill(symbol));
            done = symbols[0].len();
        }
        #[cfg(target_arch = "x86_64")]
        if self.backend == Backend::Avx512 && self.single.is_none() {
            done = symbols[0].len() - symbols[0].len() % LANES;
            // SAFETY: the backend is only handed out where the processor has its instructions.
            unsafe { super::rans_x86::decode_rows(&self.table, stored, &mut states, &mut cursors, &mut symbols, done) }
                .map_err(|()| overrun())?;
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = self.backend;
        for k in 0..N {
            decode_body(&self.table, stored, &mut states[k], &mut cursors[k], symbols[k], done)?;
            check_end(stored, &states[k], cursors[k])?;
        }
        Ok(())
    }
}

fn overrun() -> KernelError {
    KernelError::malformed("a rans12x32 chunk has fewer words than its symbols need")
}

/// All words used but for two zero bytes of padding, all states back at their start.
fn check_end(stored: &[u8], states: &[u32; LANES], cursor: Cursor) -> Result<()> {
    if cursor.at > cursor.end {
        return Err(overrun());
    }
    let rest = &stored[cursor.at..cursor.end];
    if rest.len() > 2 || rest.iter().any(|byte| *byte != 0) {
        return Err(KernelError::malformed(format!("a rans12x32 chunk has {} unused bytes", rest.len())));
    }
    if states.iter().any(|state| *state != LOWEST) {
        return Err(KernelError::malformed("a rans12x32 chunk does not end in its start states"));
    }
    Ok(())
}

/// Rows in order. As in [`encode_body`], a word is always read and only counted if it was wanted; `stored` has the slack
/// for that, and the count is checked after each row.
fn decode_body(
    table: &[u32],
    stored: &[u8],
    states: &mut [u32; LANES],
    cursor: &mut Cursor,
    symbols: &mut [u8],
    from: usize,
) -> Result<()> {
    let (Some(table), false) = (table.first_chunk::<{ FREQUENCY_SUM as usize }>(), from == symbols.len()) else {
        return Ok(());
    };
    let mut at = cursor.at;
    for row in symbols[from..].chunks_mut(LANES) {
        let window: &[u8; SLACK_BYTES] = stored.get(at..).and_then(|rest| rest.first_chunk()).ok_or_else(overrun)?;
        let mut used = 0;
        for (state, symbol) in states.iter_mut().zip(row) {
            let entry = table[(*state & (FREQUENCY_SUM - 1)) as usize];
            *symbol = (entry >> 24) as u8;
            let x = ((entry >> 12) & 0xfff) * (*state >> 12) + (entry & 0xfff);
            let place = 2 * (used % LANES);
            let word = u32::from(u16::from_le_bytes([window[place], window[place + 1]]));
            let wants = x < LOWEST;
            used += usize::from(wants);
            *state = std::hint::select_unpredictable(wants, (x << 16) | word, x);
        }
        at += 2 * used;
        if at > cursor.end {
            return Err(overrun());
        }
    }
    cursor.at = at;
    Ok(())
}
