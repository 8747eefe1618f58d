//! Writes one plane's blob: the head that only the end of the coding knows, the main stream, and (`pal4`) the fix-ups.

use super::book;
use super::huff12::{self, Huff12Encoder};
use super::pal4::{self, Pal4Encoder};
use super::rans::{self, RansEncoder};
use super::{BookEntry, CHUNK_ELEMENTS, Codec};
use crate::checksum::Xxh3Stream;
use crate::cpu::Backend;
use crate::error::Result;
use crate::files::{IO_CHUNK_BYTES, InputFile, OutputFile, zeroed};

/// Blobs predicted to be smaller than this are held in memory until they are complete, and written at once.
const HELD_BYTES: u64 = 8 << 20;

/// What coding one item gives.
#[derive(Default)]
pub(super) struct Piece {
    /// The plane's bytes of this item.
    pub(super) symbols: Vec<u8>,
    /// Scratch of the coder.
    scratch: Vec<u8>,
    /// Bytes of the main stream.
    main: Vec<u8>,
    /// Bytes of the second stream.
    extra: Vec<u8>,
    /// What the head is made from: lengths of chunks or blocks, counts of fix-ups.
    index: Vec<u8>,
}

impl Piece {
    /// The main stream with `slack` bytes behind it, and the index.
    pub(super) fn coded(&self, slack: usize) -> (Vec<u8>, Vec<u8>) {
        let mut main = self.main.clone();
        main.resize(main.len() + slack, 0);
        (main, self.index.clone())
    }
}

/// The coder of one plane.
pub(super) enum PlaneCoder {
    Raw,
    Rans(Box<RansEncoder>),
    Huff12(Box<Huff12Encoder>),
    Pal4(Box<Pal4Encoder>),
}

impl PlaneCoder {
    pub(super) fn new(backend: Backend, codec: Codec, book: &[BookEntry]) -> Self {
        match codec {
            Codec::Rans12x32 => Self::Rans(Box::new(RansEncoder::new(backend, book))),
            Codec::Huff12 => Self::Huff12(Box::new(Huff12Encoder::new(book))),
            Codec::Pal4 => Self::Pal4(Box::new(Pal4Encoder::new(book))),
            Codec::Raw | Codec::Const => Self::Raw,
        }
    }

    /// Codes the symbols of a piece.
    pub(super) fn encode(&self, piece: &mut Piece) -> Result<()> {
        let Piece { symbols, scratch, main, extra, index } = piece;
        main.clear();
        extra.clear();
        index.clear();
        match self {
            Self::Raw => Ok(()),
            Self::Rans(coder) => {
                if scratch.len() < 2 * rans::WORDS_BYTES {
                    *scratch = zeroed(2 * rans::WORDS_BYTES)?;
                }
                coder.encode(symbols, scratch, main, index)
            }
            Self::Huff12(coder) => coder.encode(symbols, main, index),
            Self::Pal4(coder) => {
                coder.encode(symbols, main, extra, index);
                Ok(())
            }
        }
    }

    /// Bytes of the head of a blob of so many elements.
    fn head_bytes(&self, elements: u64) -> u64 {
        match self {
            Self::Raw => 0,
            Self::Rans(_) => 4 * (elements.div_ceil(CHUNK_ELEMENTS as u64) + 1),
            Self::Huff12(_) => huff12::Layout::of(elements).head_bytes,
            Self::Pal4(_) => pal4::Layout::of(elements).head_bytes,
        }
    }

    /// The head, or `None` if an offset does not fit 32 bits.
    fn head(&self, index: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Raw => Some(Vec::new()),
            Self::Rans(_) | Self::Pal4(_) => {
                let mut head = vec![0; 4];
                let mut end = 0_u32;
                for length in index.as_chunks::<4>().0 {
                    end = end.checked_add(u32::from_le_bytes(*length))?;
                    head.extend_from_slice(&end.to_le_bytes());
                }
                Some(head)
            }
            Self::Huff12(_) => Huff12Encoder::head(index),
        }
    }
}

/// Receives a plane's pieces in order.
pub(super) struct BlobWriter<'a> {
    output: &'a OutputFile,
    /// Where the blob starts in the file.
    start: u64,
    /// The whole blob, if it is small.
    held: Option<Vec<u8>>,
    head_bytes: u64,
    main_at: u64,
    extra_at: u64,
    index: Vec<u8>,
    /// Of raw planes, which need no second look.
    xxh3: Xxh3Stream,
}

/// A finished blob.
pub(super) struct Blob {
    pub(super) bytes: u64,
    pub(super) xxh3: String,
}

impl<'a> BlobWriter<'a> {
    pub(super) fn new(output: &'a OutputFile, start: u64, coder: &PlaneCoder, elements: u64, predicted: u64) -> Self {
        let head_bytes = coder.head_bytes(elements);
        let extra_at = match coder {
            PlaneCoder::Pal4(_) => head_bytes + pal4::Layout::of(elements).nibble_bytes,
            _ => 0,
        };
        let is_held = predicted < HELD_BYTES && !matches!(coder, PlaneCoder::Raw);
        Self {
            output,
            start,
            held: is_held.then(|| Vec::with_capacity(predicted as usize)),
            head_bytes,
            main_at: head_bytes,
            extra_at,
            index: Vec::new(),
            xxh3: Xxh3Stream::default(),
        }
    }

    /// Takes the next piece.
    pub(super) fn put(&mut self, coder: &PlaneCoder, piece: &Piece) -> Result<()> {
        if matches!(coder, PlaneCoder::Raw) {
            self.xxh3.update(&piece.symbols);
            self.write(self.main_at, &piece.symbols)?;
            self.main_at += piece.symbols.len() as u64;
            return Ok(());
        }
        self.write(self.main_at, &piece.main)?;
        self.main_at += piece.main.len() as u64;
        self.write(self.extra_at, &piece.extra)?;
        self.extra_at += piece.extra.len() as u64;
        self.index.extend_from_slice(&piece.index);
        Ok(())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match &mut self.held {
            None => self.output.write_all_at(bytes, self.start + at),
            Some(blob) => {
                let at = at as usize;
                if blob.len() < at {
                    blob.resize(at, 0);
                }
                if blob.len() == at {
                    blob.extend_from_slice(bytes);
                } else {
                    let end = at + bytes.len();
                    if blob.len() < end {
                        blob.resize(end, 0);
                    }
                    blob[at..end].copy_from_slice(bytes);
                }
                Ok(())
            }
        }
    }

    /// Completes the blob if it has at most `limit` bytes; otherwise takes back what was written past `keep` bytes (the
    /// raw plane that will stand here instead) and answers `None`.
    pub(super) fn finish(mut self, coder: &PlaneCoder, limit: u64, keep: u64) -> Result<Option<Blob>> {
        let bytes = self.main_at.max(self.extra_at);
        if matches!(coder, PlaneCoder::Raw) {
            return Ok(Some(Blob { bytes, xxh3: self.xxh3.hex() }));
        }
        let head = if bytes <= limit { coder.head(&self.index) } else { None };
        let Some(head) = head else {
            if self.held.is_none() && bytes > keep {
                write_zeros(self.output, self.start + keep, bytes - keep)?;
            }
            return Ok(None);
        };
        debug_assert_eq!(head.len() as u64, self.head_bytes);
        self.write(0, &head)?;
        let mut xxh3 = Xxh3Stream::default();
        match &self.held {
            Some(blob) => {
                xxh3.update(blob);
                self.output.write_all_at(blob, self.start)?;
            }
            None => {
                let input = InputFile::open(self.output.path())?;
                let mut buffer = zeroed(IO_CHUNK_BYTES)?;
                let mut done = 0;
                while done < bytes {
                    let length = (bytes - done).min(IO_CHUNK_BYTES as u64) as usize;
                    input.read_exact_at(&mut buffer[..length], self.start + done)?;
                    xxh3.update(&buffer[..length]);
                    done += length as u64;
                }
            }
        }
        Ok(Some(Blob { bytes, xxh3: xxh3.hex() }))
    }
}

/// Writes `bytes` zeros at `offset`.
pub(super) fn write_zeros(output: &OutputFile, offset: u64, bytes: u64) -> Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut done = 0;
    while done < bytes {
        let length = (bytes - done).min(ZEROS.len() as u64);
        output.write_all_at(&ZEROS[..length as usize], offset + done)?;
        done += length;
    }
    Ok(())
}

/// The codec and book for a plane with this histogram, and the predicted size of its blob.
pub(super) fn choose(
    choice: super::CoderChoice,
    histogram: &super::Histogram,
    elements: u64,
) -> (Codec, Vec<BookEntry>, u64) {
    let present = histogram.iter().filter(|count| **count > 0).count();
    let raw = (Codec::Raw, Vec::new(), elements);
    if present < 2 {
        return if elements == 0 { raw } else { (Codec::Const, Vec::new(), 1) };
    }
    let candidates: &[Codec] = match choice {
        super::CoderChoice::Only(codec) => &[codec],
        // Past a few chunks the Huffman code's index is always longer than the states.
        super::CoderChoice::Smallest if elements > 4 * CHUNK_ELEMENTS as u64 => &[Codec::Rans12x32, Codec::Pal4],
        super::CoderChoice::Smallest => &[Codec::Rans12x32, Codec::Huff12, Codec::Pal4],
    };
    let mut best = raw;
    for codec in candidates {
        let (book, predicted) = predict(*codec, histogram, elements);
        if is_worth_it(predicted, book.len(), elements) && (best.0 == Codec::Raw || predicted < best.2) {
            best = (*codec, book, predicted);
        }
    }
    best
}

/// A plane is coded if that saves one percent of it, three bytes of JSON counted for each book entry.
pub(super) fn is_worth_it(blob: u64, book_entries: usize, elements: u64) -> bool {
    u128::from(blob + 3 * book_entries as u64) * 100 <= u128::from(elements) * 99
}

/// The largest blob that [`is_worth_it`].
pub(super) fn worthy_limit(book_entries: usize, elements: u64) -> u64 {
    ((u128::from(elements) * 99 / 100) as u64).saturating_sub(3 * book_entries as u64)
}

/// The book of a codec and the size its blob will have: exact for `pal4`, within a few bytes a chunk for the others.
fn predict(codec: Codec, histogram: &super::Histogram, elements: u64) -> (Vec<BookEntry>, u64) {
    match codec {
        Codec::Rans12x32 => {
            let book = book::frequencies(histogram);
            let chunks = elements.div_ceil(CHUNK_ELEMENTS as u64);
            let bytes = book::coded_bits(histogram, &book).div_ceil(8);
            // The final states hold 8 bits each on average that need not become words; padding is one byte on average.
            let words = bytes.saturating_sub(chunks * (rans::LANES as u64 - 1));
            (book, 4 * (chunks + 1) + chunks * rans::STATE_BYTES as u64 + words)
        }
        Codec::Huff12 => {
            let book = book::code_lengths(histogram);
            let layout = huff12::Layout::of(elements);
            let bits: u64 =
                book.iter().map(|(symbol, length)| histogram[usize::from(*symbol)] * u64::from(*length)).sum();
            // Half a byte less a half bit is lost in each block.
            (book, layout.head_bytes + (2 * bits + 7 * layout.blocks).div_ceil(16))
        }
        Codec::Pal4 => {
            let book = book::palette(histogram);
            let layout = pal4::Layout::of(elements);
            let mut inside = [false; 256];
            book.iter().for_each(|entry| inside[usize::from(entry.0)] = true);
            let fixes: u64 =
                histogram.iter().zip(inside).filter(|(_, is_inside)| !is_inside).map(|(count, _)| count).sum();
            (book, layout.head_bytes + layout.nibble_bytes + pal4::FIX_BYTES as u64 * fixes)
        }
        Codec::Raw | Codec::Const => (Vec::new(), elements),
    }
}
