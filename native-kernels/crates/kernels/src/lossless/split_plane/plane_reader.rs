//! Reads one plane's blob item by item. Everything in it may be a lie: each length is checked before it is used.

use super::book;
use super::huff12::{self, Huff12Decoder};
use super::pal4::{self, Pal4Decoder};
use super::rans::{self, RansDecoder};
use super::{CHUNK_ELEMENTS, Codec, ITEM_ELEMENTS, Plane};
use crate::checksum::Xxh3Stream;
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result};
use crate::files::{IO_CHUNK_BYTES, InputFile, zeroed};

const ITEM_CHUNKS: usize = ITEM_ELEMENTS / CHUNK_ELEMENTS;
const CHUNK_BLOCKS: usize = CHUNK_ELEMENTS / huff12::BLOCK_ELEMENTS;

/// An open blob.
pub(super) struct PlaneReader<'a> {
    plane: &'a Plane,
    input: &'a InputFile,
    /// Where the blob starts in the file.
    start: u64,
    body: Body,
}

enum Body {
    Raw,
    Const(u8),
    /// `stream` is where what the offsets count starts, from the blob's start.
    Rans {
        decoder: RansDecoder,
        offsets: Vec<u32>,
        stream: u64,
    },
    Huff12 {
        decoder: Huff12Decoder,
        starts: Vec<u32>,
        stream: u64,
    },
    Pal4 {
        decoder: Pal4Decoder,
        fix_starts: Vec<u32>,
        nibbles: u64,
        fixes: u64,
    },
}

/// One item's bytes as they are stored, in a buffer that may be longer.
pub(super) struct StoredItem {
    pub(super) buffer: Vec<u8>,
    /// How many of them are the blob's and have not been hashed yet.
    pub(super) hashed: usize,
}

fn u32s(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<4>().0.iter().map(|four| u32::from_le_bytes(*four)).collect()
}

impl<'a> PlaneReader<'a> {
    /// Checks the description and reads the blob's head, which is fed to `xxh3`. `blob_start` is its place in the file,
    /// and the file is known to hold all of it.
    pub(super) fn open(
        context: &Context,
        backend: Backend,
        input: &'a InputFile,
        plane: &'a Plane,
        blob_start: u64,
        xxh3: &mut Xxh3Stream,
    ) -> Result<Self> {
        let mut reader = Self { plane, input, start: blob_start, body: Body::Raw };
        let chunks = plane.elements.div_ceil(CHUNK_ELEMENTS as u64);
        if plane.elements == 0 && plane.codec != Codec::Raw {
            return Err(KernelError::malformed(format!("an empty plane is {} instead of raw", plane.codec.name())));
        }
        match plane.codec {
            Codec::Raw => reader.expect_bytes(plane.elements)?,
            Codec::Const => {
                reader.expect_bytes(1)?;
                reader.body = Body::Const(reader.head(1, xxh3)?[0]);
            }
            Codec::Rans12x32 => {
                book::check_frequencies(&plane.book)?;
                let stream = 4 * (chunks + 1);
                let offsets = u32s(&reader.head(stream, xxh3)?);
                RansDecoder::check_offsets(&offsets)?;
                reader.check_table(&offsets, "rans12x32 offsets")?;
                reader.expect_bytes(stream + u64::from(offsets[offsets.len() - 1]))?;
                reader.body = Body::Rans { decoder: RansDecoder::new(backend, &plane.book), offsets, stream };
            }
            Codec::Huff12 => {
                book::check_lengths(&plane.book)?;
                let layout = huff12::Layout::of(plane.elements);
                let starts = u32s(&reader.head(4 * layout.starts, xxh3)?);
                reader.check_block_lengths(context, &layout, &starts, xxh3)?;
                let decoder = Huff12Decoder::new(&plane.book);
                reader.body = Body::Huff12 { decoder, starts, stream: layout.head_bytes };
            }
            Codec::Pal4 => {
                book::check_palette(&plane.book)?;
                let layout = pal4::Layout::of(plane.elements);
                let fix_starts = u32s(&reader.head(layout.head_bytes, xxh3)?);
                debug_assert_eq!(fix_starts.len() as u64, layout.chunks + 1);
                reader.check_table(&fix_starts, "pal4 fix-up starts")?;
                if fix_starts.windows(2).any(|pair| pair[1] - pair[0] > CHUNK_ELEMENTS as u32) {
                    return Err(KernelError::malformed("a pal4 chunk has more fix-ups than elements"));
                }
                let fixes = layout.head_bytes + layout.nibble_bytes;
                let count = u64::from(fix_starts[fix_starts.len() - 1]);
                reader.expect_bytes(fixes + pal4::FIX_BYTES as u64 * count)?;
                let decoder = Pal4Decoder::new(&plane.book);
                reader.body = Body::Pal4 { decoder, fix_starts, nibbles: layout.head_bytes, fixes };
            }
        }
        if matches!(plane.codec, Codec::Raw | Codec::Const) && !plane.book.is_empty() {
            return Err(KernelError::malformed(format!("a {} plane has a book", plane.codec.name())));
        }
        Ok(reader)
    }

    fn expect_bytes(&self, bytes: u64) -> Result<()> {
        if self.plane.bytes == bytes {
            return Ok(());
        }
        Err(KernelError::malformed(format!(
            "a {} blob of {} elements has {} bytes, {bytes} are needed",
            self.plane.codec.name(),
            self.plane.elements,
            self.plane.bytes
        )))
    }

    /// Starts at zero and never falls.
    fn check_table(&self, table: &[u32], name: &str) -> Result<()> {
        if table.first().is_some_and(|first| *first != 0) || table.windows(2).any(|pair| pair[0] > pair[1]) {
            return Err(KernelError::malformed(format!("{name} do not ascend from 0")));
        }
        Ok(())
    }

    /// The first `bytes` of the blob. Bounded by the blob's true size and, elements being at most 2^31, by 2 MiB.
    fn head(&self, bytes: u64, xxh3: &mut Xxh3Stream) -> Result<Vec<u8>> {
        if bytes > self.plane.bytes {
            return Err(KernelError::malformed(format!(
                "a {} blob of {} elements has {} bytes, its head alone needs {bytes}",
                self.plane.codec.name(),
                self.plane.elements,
                self.plane.bytes
            )));
        }
        let mut head = zeroed(bytes as usize)?;
        self.input.read_exact_at(&mut head, self.start)?;
        xxh3.update(&head);
        Ok(head)
    }

    /// Checks the block lengths of `huff12` against the start table and the blob, a piece at a time.
    fn check_block_lengths(
        &self,
        context: &Context,
        layout: &huff12::Layout,
        starts: &[u32],
        xxh3: &mut Xxh3Stream,
    ) -> Result<()> {
        if layout.head_bytes > self.plane.bytes {
            return Err(KernelError::malformed("a huff12 blob is shorter than its block lengths"));
        }
        let mut buffer = zeroed(layout.head_bytes.min(IO_CHUNK_BYTES as u64) as usize)?;
        let (mut at, mut block, mut sum) = (4 * layout.starts, 0_u64, 0_u64);
        while at < layout.head_bytes {
            context.control.check()?;
            let length = (layout.head_bytes - at).min(IO_CHUNK_BYTES as u64) as usize;
            let piece = &mut buffer[..length];
            self.input.read_exact_at(piece, self.start + at)?;
            xxh3.update(piece);
            for byte in piece.iter() {
                if block < layout.blocks {
                    let is_start = block.is_multiple_of(huff12::BLOCKS_PER_START as u64);
                    if is_start && u64::from(starts[(block / huff12::BLOCKS_PER_START as u64) as usize]) != sum {
                        return Err(KernelError::malformed(format!("the start of huff12 block {block} is not {sum}")));
                    }
                    if !(1..=huff12::MAX_BLOCK_BYTES).contains(&usize::from(*byte)) {
                        return Err(KernelError::malformed(format!("huff12 block {block} has {byte} bytes")));
                    }
                    sum += u64::from(*byte);
                    block += 1;
                } else if *byte != 0 {
                    return Err(KernelError::malformed("the bytes after the huff12 block lengths are not zero"));
                }
            }
            at += length as u64;
        }
        self.expect_bytes(layout.head_bytes + sum)
    }

    /// Reads item `index` of `elements` elements into `stored` and, unless the plane is raw, decodes it to `symbols`. Of
    /// a raw plane the stored bytes are the symbols.
    pub(super) fn read_item(
        &self,
        index: u64,
        elements: usize,
        stored: &mut StoredItem,
        symbols: &mut [u8],
        take: impl Fn(usize) -> Result<Vec<u8>>,
    ) -> Result<()> {
        let mut read = |from: u64, bytes: usize, slack: usize| -> Result<()> {
            stored.buffer = take(bytes + slack)?;
            stored.hashed = bytes;
            self.input.read_exact_at(&mut stored.buffer[..bytes], self.start + from)
        };
        let first_chunk = index as usize * ITEM_CHUNKS;
        let chunks = elements.div_ceil(CHUNK_ELEMENTS);
        match &self.body {
            Body::Raw => read(index * ITEM_ELEMENTS as u64, elements, 0),
            Body::Const(value) => {
                symbols.fill(*value);
                Ok(())
            }
            Body::Rans { decoder, offsets, stream } => {
                let offsets = &offsets[first_chunk..=first_chunk + chunks];
                let bytes = (offsets[chunks] - offsets[0]) as usize;
                read(stream + u64::from(offsets[0]), bytes, rans::SLACK_BYTES)?;
                decoder.decode(&stored.buffer, offsets, symbols)
            }
            Body::Huff12 { decoder, starts, stream } => {
                let first_block = first_chunk * CHUNK_BLOCKS;
                let mut lengths = vec![0; elements.div_ceil(huff12::BLOCK_ELEMENTS)];
                self.input.read_exact_at(&mut lengths, self.start + 4 * starts.len() as u64 + first_block as u64)?;
                // Checked when opened, and again, because the file may have changed since.
                if lengths.iter().any(|length| !(1..=huff12::MAX_BLOCK_BYTES).contains(&usize::from(*length))) {
                    return Err(KernelError::malformed("a huff12 block length changed while it was being read"));
                }
                let bytes = lengths.iter().map(|length| usize::from(*length)).sum();
                read(stream + u64::from(starts[first_block / huff12::BLOCKS_PER_START]), bytes, huff12::SLACK_BYTES)?;
                decoder.decode(&stored.buffer, &lengths, symbols)
            }
            Body::Pal4 { decoder, fix_starts, nibbles, fixes } => {
                let from = index * ITEM_ELEMENTS as u64 / 2;
                let bytes = elements.div_ceil(2).next_multiple_of(4);
                read(nibbles + from, bytes, 0)?;
                let nibbles = &stored.buffer[..bytes];
                decoder.decode(nibbles, symbols)?;
                let starts = &fix_starts[first_chunk..=first_chunk + chunks];
                let mut list = zeroed((starts[chunks] - starts[0]) as usize * pal4::FIX_BYTES)?;
                self.input
                    .read_exact_at(&mut list, self.start + fixes + u64::from(starts[0]) * pal4::FIX_BYTES as u64)?;
                let nibbles = nibbles.chunks(CHUNK_ELEMENTS / 2);
                for ((chunk, nibbles), pair) in symbols.chunks_mut(CHUNK_ELEMENTS).zip(nibbles).zip(starts.windows(2)) {
                    let from = (pair[0] - starts[0]) as usize * pal4::FIX_BYTES;
                    let to = (pair[1] - starts[0]) as usize * pal4::FIX_BYTES;
                    Pal4Decoder::fix(&list[from..to], nibbles, chunk)?;
                }
                Ok(())
            }
        }
    }

    /// Whether the stored bytes are the symbols.
    pub(super) fn is_raw(&self) -> bool {
        matches!(self.body, Body::Raw)
    }

    /// Feeds what lies behind the items to `xxh3` and compares it with the description.
    pub(super) fn finish(&self, context: &Context, mut xxh3: Xxh3Stream) -> Result<()> {
        if let Body::Pal4 { fixes, .. } = &self.body {
            hash_blob(context, self.input, self.start + fixes, self.plane.bytes - fixes, &mut xxh3)?;
        }
        check_xxh3(self.plane, &xxh3, self.start, self.input)
    }
}

/// Feeds a range of the file to `xxh3`.
pub(super) fn hash_blob(
    context: &Context,
    input: &InputFile,
    start: u64,
    bytes: u64,
    xxh3: &mut Xxh3Stream,
) -> Result<()> {
    let mut buffer = zeroed(bytes.min(IO_CHUNK_BYTES as u64) as usize)?;
    let mut done = 0;
    while done < bytes {
        context.control.check()?;
        let length = (bytes - done).min(IO_CHUNK_BYTES as u64) as usize;
        input.read_exact_at(&mut buffer[..length], start + done)?;
        xxh3.update(&buffer[..length]);
        done += length as u64;
    }
    Ok(())
}

/// Compares a blob's checksum with the one recorded.
pub(super) fn check_xxh3(plane: &Plane, xxh3: &Xxh3Stream, start: u64, input: &InputFile) -> Result<()> {
    let found = xxh3.hex();
    if found == plane.xxh3 {
        return Ok(());
    }
    Err(KernelError::new(
        crate::Status::ChecksumMismatch,
        format!("the stored plane \"{}\" has the checksum {found}, {} was recorded", plane.kind.name(), plane.xxh3),
    )
    .at_path(input.path())
    .at_offset(start))
}
