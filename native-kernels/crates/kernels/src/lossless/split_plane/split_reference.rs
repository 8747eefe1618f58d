//! The judge: each codec as the format page words it, one element at a time, a whole blob at once. Slow and plain.

use super::BookEntry;

/// Frequency and exclusive prefix sum of a symbol.
fn frequency(book: &[BookEntry], symbol: u8) -> (u32, u32) {
    let mut c = 0;
    for (s, f) in book {
        if *s == symbol {
            return (u32::from(*f), c);
        }
        c += u32::from(*f);
    }
    panic!("symbol {symbol} is not in the book");
}

/// A `rans12x32` blob.
pub(super) fn rans_encode(symbols: &[u8], book: &[BookEntry]) -> Vec<u8> {
    let (mut offsets, mut payload) = (vec![0_u32], Vec::new());
    for chunk in symbols.chunks(65536) {
        let mut states = [1_u32 << 15; 32];
        let mut emitted = Vec::new();
        for i in (0..chunk.len()).rev() {
            let (f, c) = frequency(book, chunk[i]);
            let mut x = states[i % 32];
            if u64::from(x) >= u64::from(f) << 19 {
                emitted.push(x as u16);
                x >>= 16;
            }
            states[i % 32] = ((x / f) << 12) + x % f + c;
        }
        states.iter().for_each(|state| payload.extend(state.to_le_bytes()));
        emitted.iter().rev().for_each(|word| payload.extend(word.to_le_bytes()));
        payload.resize(payload.len().next_multiple_of(4), 0);
        offsets.push(payload.len() as u32);
    }
    offsets.iter().flat_map(|offset| offset.to_le_bytes()).chain(payload).collect()
}

/// The symbols of a valid `rans12x32` blob.
pub(super) fn rans_decode(blob: &[u8], book: &[BookEntry], elements: usize) -> Vec<u8> {
    let chunks = elements.div_ceil(65536);
    let u32_at = |at: usize| u32::from_le_bytes(blob[at..at + 4].try_into().unwrap());
    let slots: Vec<u8> = book.iter().flat_map(|(s, f)| std::iter::repeat_n(*s, usize::from(*f))).collect();
    let mut symbols = Vec::new();
    for chunk in 0..chunks {
        let start = 4 * (chunks + 1) + u32_at(4 * chunk) as usize;
        let end = 4 * (chunks + 1) + u32_at(4 * chunk + 4) as usize;
        let mut states: Vec<u32> = (0..32).map(|lane| u32_at(start + 4 * lane)).collect();
        let mut at = start + 128;
        for i in 0..(elements - chunk * 65536).min(65536) {
            let x = states[i % 32];
            let symbol = slots[(x & 4095) as usize];
            let (f, c) = frequency(book, symbol);
            let mut x = f * (x >> 12) + (x & 4095) - c;
            if x < 1 << 15 {
                x = (x << 16) | u32::from(u16::from_le_bytes([blob[at], blob[at + 1]]));
                at += 2;
            }
            states[i % 32] = x;
            symbols.push(symbol);
        }
        assert!(states.iter().all(|state| *state == 1 << 15) && at.next_multiple_of(4) == end);
    }
    symbols
}

/// The code of each symbol as text of zeros and ones.
fn canonical(book: &[BookEntry]) -> Vec<(u8, String)> {
    let mut order = book.to_vec();
    order.sort_by_key(|(symbol, length)| (*length, *symbol));
    let (mut code, mut previous) = (0_u32, 0);
    order
        .iter()
        .enumerate()
        .map(|(i, (symbol, length))| {
            code = if i == 0 { 0 } else { (code + 1) << (length - previous) };
            previous = *length;
            (*symbol, format!("{code:0width$b}", width = usize::from(*length)))
        })
        .collect()
}

/// A `huff12` blob.
pub(super) fn huff12_encode(symbols: &[u8], book: &[BookEntry]) -> Vec<u8> {
    let codes = canonical(book);
    let (mut starts, mut lengths, mut stream) = (Vec::new(), Vec::new(), Vec::new());
    for (index, block) in symbols.chunks(128).enumerate() {
        if index % 32 == 0 {
            starts.extend((stream.len() as u32).to_le_bytes());
        }
        let mut bits: String =
            block.iter().map(|symbol| codes.iter().find(|(s, _)| s == symbol).unwrap().1.as_str()).collect();
        while !bits.len().is_multiple_of(8) {
            bits.push('0');
        }
        lengths.push((bits.len() / 8) as u8);
        stream.extend(
            bits.as_bytes().chunks(8).map(|byte| byte.iter().fold(0_u8, |value, bit| (value << 1) | (bit - b'0'))),
        );
    }
    let mut blob = starts;
    blob.extend(lengths);
    blob.resize(blob.len().next_multiple_of(4), 0);
    blob.extend(stream);
    blob
}

/// A `pal4` blob.
pub(super) fn pal4_encode(symbols: &[u8], book: &[BookEntry]) -> Vec<u8> {
    let mut starts = vec![0_u32];
    let mut nibbles = vec![0_u8; symbols.len().div_ceil(2)];
    let mut fixes = Vec::new();
    for (i, symbol) in symbols.iter().enumerate() {
        match book.iter().position(|(s, _)| s == symbol) {
            Some(nibble) => nibbles[i / 2] |= (nibble as u8) << (4 * (i % 2)),
            None => fixes.extend([(i % 65536) as u8, (i % 65536 / 256) as u8, *symbol, 0]),
        }
        if i % 65536 == 65535 || i + 1 == symbols.len() {
            starts.push((fixes.len() / 4) as u32);
        }
    }
    nibbles.resize(nibbles.len().next_multiple_of(4), 0);
    starts.iter().flat_map(|start| start.to_le_bytes()).chain(nibbles).chain(fixes).collect()
}
