//! Codes one tensor: a first pass hashes the bytes and counts them plane by plane, further passes code one plane each.
//!
//! Small tensors are held in memory between the passes; of large ones the source is read again, which the operating
//! system's page cache makes cheap.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::buffers::Buffers;
use super::plane_writer::{self, Blob, BlobWriter, Piece, PlaneCoder};
use super::{
    Codec, CoderChoice, EncodedTensor, Histogram, ITEM_ELEMENTS, PART_ELEMENTS, Plane, PlaneKind, Split, aligned,
    histogram, planes,
};
use crate::checksum::{Sha256Stream, update_both};
use crate::context::{Context, Control};
use crate::cpu::Backend;
use crate::error::{KernelError, Result};
use crate::files::{ByteRange, IO_CHUNK_BYTES, OutputFile, Source, zeroed};
use crate::pipeline::ordered;

/// Tensors up to this size are read once and held.
const HELD_SOURCE_BYTES: u64 = 16 << 20;

/// Codes a tensor into blobs at `data_start + offset` and following multiples of 64 of `output`.
///
/// `source` is the tensor's bytes, `offset` (a multiple of 64) counts from `data_start`. `also_hash` is fed the same
/// bytes in order. Progress advances by exactly the source's length.
///
/// Fails with [`crate::Status::BadArgument`] if the source is not whole elements or `offset` is not aligned, and with
/// [`crate::Status::SourceChanged`] if the source is seen to change between the passes (a change may also go unseen here; the
/// decoded bytes then differ from `sha256`).
#[allow(clippy::too_many_arguments, reason = "one call a tensor; a struct of these would only be taken apart again")]
pub fn encode(
    context: &Context,
    source: &[ByteRange],
    split: Split,
    choice: CoderChoice,
    output: &OutputFile,
    data_start: u64,
    offset: u64,
    also_hash: Option<&mut Sha256Stream>,
) -> Result<EncodedTensor> {
    let settings = Settings { backend: Backend::best(), part_elements: PART_ELEMENTS, held_bytes: HELD_SOURCE_BYTES };
    encode_with(context, &settings, source, split, choice, output, data_start, offset, also_hash)
}

/// What tests vary.
pub(super) struct Settings {
    pub(super) backend: Backend,
    /// A multiple of [`ITEM_ELEMENTS`].
    pub(super) part_elements: u64,
    pub(super) held_bytes: u64,
}

#[allow(clippy::too_many_arguments, reason = "as above")]
pub(super) fn encode_with(
    context: &Context,
    settings: &Settings,
    source: &[ByteRange],
    split: Split,
    choice: CoderChoice,
    output: &OutputFile,
    data_start: u64,
    offset: u64,
    also_hash: Option<&mut Sha256Stream>,
) -> Result<EncodedTensor> {
    let source = Source::open(source)?;
    let bytes = source.bytes();
    if !bytes.is_multiple_of(split.element_bytes()) || !offset.is_multiple_of(super::BLOB_ALIGNMENT) {
        return Err(KernelError::bad_argument(format!(
            "{bytes} bytes of {split:?} elements at offset {offset}: whole elements at multiples of 64 are needed"
        )));
    }
    let passes = 1 + split.kinds().len() as u64;
    let job = Job {
        context,
        backend: settings.backend,
        split,
        elements: bytes / split.element_bytes(),
        part_elements: settings.part_elements,
        bytes: Bytes::open(context, source, settings.held_bytes)?,
        buffers: Buffers::default(),
        meter: Meter { control: &context.control, bytes, work: bytes * passes, state: Mutex::new((0, 0)) },
    };
    let mut hashes = Hashes { own: Sha256Stream::default(), also: also_hash };
    let (planes, end) = if context.threads() == 1 {
        let statistics = job.count(Some(&mut hashes))?;
        job.write_planes(statistics, choice, output, data_start, offset)?
    } else {
        let (hashed, coded) = context.pool.install(|| {
            rayon::join(
                || job.hash(&mut hashes),
                || job.write_planes(job.count(None)?, choice, output, data_start, offset),
            )
        });
        hashed?;
        coded?
    };
    job.meter.finish();
    Ok(EncodedTensor { planes, end, sha256: hashes.own.hex() })
}

/// The tensor's own hash and the caller's.
struct Hashes<'a> {
    own: Sha256Stream,
    also: Option<&'a mut Sha256Stream>,
}

impl Hashes<'_> {
    fn update(&mut self, bytes: &[u8]) {
        match &mut self.also {
            Some(also) => update_both(&mut self.own, also, bytes),
            None => self.own.update(bytes),
        }
    }
}

/// The tensor's bytes, held or read when wanted.
enum Bytes {
    Held(Vec<u8>),
    Streamed(Source),
}

impl Bytes {
    fn open(context: &Context, source: Source, held_bytes: u64) -> Result<Self> {
        if source.bytes() > held_bytes {
            return Ok(Self::Streamed(source));
        }
        let mut held = zeroed(source.bytes() as usize)?;
        for (index, part) in held.chunks_mut(IO_CHUNK_BYTES).enumerate() {
            context.control.check()?;
            source.read((index * IO_CHUNK_BYTES) as u64, part)?;
        }
        Ok(Self::Held(held))
    }
}

/// An item's bytes, borrowed or read into a buffer.
enum Loaded<'a> {
    Held(&'a [u8]),
    Read(Vec<u8>),
}

impl std::ops::Deref for Loaded<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Held(bytes) => bytes,
            Self::Read(bytes) => bytes,
        }
    }
}

/// Turns work over several passes into progress that adds up to the source's bytes.
struct Meter<'a> {
    control: &'a Control,
    bytes: u64,
    work: u64,
    /// Work done, bytes told.
    state: Mutex<(u64, u64)>,
}

impl Meter<'_> {
    fn worked(&self, bytes: u64) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.0 = (state.0 + bytes).min(self.work);
        let told = (u128::from(self.bytes) * u128::from(state.0) / u128::from(self.work.max(1))) as u64;
        self.control.advance(told - state.1);
        state.1 = told;
    }

    fn finish(&self) {
        self.worked(self.work);
    }
}

/// What the first pass learns of one part of one plane.
enum PlaneStatistics {
    Counted(Box<Histogram>),
    /// The one value of all elements, if there is one; for planes that are not worth counting.
    Single(Option<u8>),
}

struct Job<'a> {
    context: &'a Context,
    backend: Backend,
    split: Split,
    elements: u64,
    part_elements: u64,
    bytes: Bytes,
    buffers: Buffers,
    meter: Meter<'a>,
}

/// One run of elements that is worked on at a time.
struct Item {
    first: u64,
    elements: usize,
}

impl Job<'_> {
    fn parts(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let count = self.elements.div_ceil(self.part_elements).max(1);
        (0..count).map(|part| {
            let first = part * self.part_elements;
            (first, (self.elements - first).min(self.part_elements))
        })
    }

    fn item(first: u64, elements: u64, index: u64) -> Item {
        let start = index * ITEM_ELEMENTS as u64;
        Item { first: first + start, elements: (elements - start).min(ITEM_ELEMENTS as u64) as usize }
    }

    /// The tensor's bytes `start .. start + length`; to be given back by [`Self::unload`].
    fn load(&self, start: u64, length: usize) -> Result<Loaded<'_>> {
        match &self.bytes {
            Bytes::Held(bytes) => Ok(Loaded::Held(&bytes[start as usize..start as usize + length])),
            Bytes::Streamed(source) => {
                let mut buffer = self.buffers.take(length)?;
                source.read(start, &mut buffer)?;
                Ok(Loaded::Read(buffer))
            }
        }
    }

    fn unload(&self, loaded: Loaded<'_>) {
        if let Loaded::Read(buffer) = loaded {
            self.buffers.give(buffer);
        }
    }

    fn load_item(&self, item: &Item) -> Result<Loaded<'_>> {
        let size = self.split.element_bytes();
        self.load(item.first * size, item.elements * size as usize)
    }

    /// Hashes everything, beside the coding.
    fn hash(&self, hashes: &mut Hashes<'_>) -> Result<()> {
        let total = self.elements * self.split.element_bytes();
        let mut done = 0;
        while done < total {
            self.context.control.check()?;
            let length = (total - done).min(IO_CHUNK_BYTES as u64) as usize;
            let bytes = self.load(done, length)?;
            hashes.update(&bytes);
            self.unload(bytes);
            done += length as u64;
        }
        Ok(())
    }

    /// The first pass: statistics by part and plane.
    fn count(&self, mut hashes: Option<&mut Hashes<'_>>) -> Result<Vec<Vec<PlaneStatistics>>> {
        let kinds = self.split.kinds();
        let mut all = Vec::new();
        for (first, elements) in self.parts() {
            let mut statistics: Vec<PlaneStatistics> = Vec::with_capacity(kinds.len());
            for kind in kinds {
                statistics.push(match kind.is_coded() {
                    true => PlaneStatistics::Counted(Box::new([0; 256])),
                    false => PlaneStatistics::Single(None),
                });
            }
            // Once a plane is known to vary, its items need not be looked at; the answer is the same either way.
            let is_hashed = hashes.is_some();
            let varies: Vec<AtomicBool> = kinds.iter().map(|_| AtomicBool::new(false)).collect();
            ordered(
                self.context,
                elements.div_ceil(ITEM_ELEMENTS as u64),
                |index| {
                    let item = Self::item(first, elements, index);
                    let bytes = self.load_item(&item)?;
                    let mut plane = self.buffers.take(item.elements)?;
                    let mut found = Vec::with_capacity(kinds.len());
                    for (kind, varies) in kinds.iter().zip(&varies) {
                        if !kind.is_coded() && varies.load(Ordering::Relaxed) {
                            found.push(PlaneStatistics::Single(None));
                            continue;
                        }
                        planes::extract(self.backend, self.split, *kind, &bytes, &mut plane);
                        found.push(if kind.is_coded() {
                            let mut histogram = Box::new([0; 256]);
                            histogram::count(&plane, &mut histogram);
                            PlaneStatistics::Counted(histogram)
                        } else {
                            let single = histogram::single_value(&plane);
                            varies.fetch_or(single.is_none(), Ordering::Relaxed);
                            PlaneStatistics::Single(single)
                        });
                    }
                    self.buffers.give(plane);
                    if is_hashed {
                        return Ok((item, found, Some(bytes)));
                    }
                    self.unload(bytes);
                    Ok((item, found, None))
                },
                |index, (item, found, bytes)| {
                    for (total, found) in statistics.iter_mut().zip(found) {
                        match (total, found) {
                            (PlaneStatistics::Counted(total), PlaneStatistics::Counted(found)) => {
                                total.iter_mut().zip(found.iter()).for_each(|(total, found)| *total += found);
                            }
                            (PlaneStatistics::Single(total), PlaneStatistics::Single(found)) => {
                                *total = if index == 0 || *total == found { found } else { None };
                            }
                            _ => {}
                        }
                    }
                    if let (Some(hashes), Some(bytes)) = (&mut hashes, bytes) {
                        hashes.update(&bytes);
                        self.unload(bytes);
                    }
                    self.meter.worked(item.elements as u64 * self.split.element_bytes());
                    Ok(())
                },
            )?;
            all.push(statistics);
        }
        Ok(all)
    }

    /// The further passes: kind by kind, part by part.
    fn write_planes(
        &self,
        statistics: Vec<Vec<PlaneStatistics>>,
        choice: CoderChoice,
        output: &OutputFile,
        data_start: u64,
        offset: u64,
    ) -> Result<(Vec<Plane>, u64)> {
        let mut planes = Vec::new();
        let mut end = offset;
        for (position, kind) in self.split.kinds().iter().enumerate() {
            for ((first, elements), statistics) in self.parts().zip(&statistics) {
                let offset = aligned(end);
                plane_writer::write_zeros(output, data_start + end, offset - end)?;
                let plane = self.write_plane(
                    *kind,
                    first,
                    elements,
                    &statistics[position],
                    choice,
                    output,
                    data_start,
                    offset,
                )?;
                end = offset + plane.bytes;
                planes.push(plane);
            }
        }
        Ok((planes, end))
    }

    #[allow(clippy::too_many_arguments, reason = "as above")]
    fn write_plane(
        &self,
        kind: PlaneKind,
        first: u64,
        elements: u64,
        statistics: &PlaneStatistics,
        choice: CoderChoice,
        output: &OutputFile,
        data_start: u64,
        offset: u64,
    ) -> Result<Plane> {
        let (codec, book, predicted) = match statistics {
            PlaneStatistics::Counted(histogram) => plane_writer::choose(choice, histogram, elements),
            PlaneStatistics::Single(Some(_)) => (Codec::Const, Vec::new(), 1),
            PlaneStatistics::Single(None) => (Codec::Raw, Vec::new(), elements),
        };
        let start = data_start + offset;
        let plane = |codec, blob: Blob, book| Plane {
            kind,
            codec,
            offset,
            bytes: blob.bytes,
            elements,
            first,
            xxh3: blob.xxh3,
            book,
        };
        if codec == Codec::Const {
            let value = match statistics {
                PlaneStatistics::Single(value) => value.unwrap_or(0),
                PlaneStatistics::Counted(histogram) => histogram.iter().position(|count| *count > 0).unwrap_or(0) as u8,
            };
            output.write_all_at(&[value], start)?;
            let mut xxh3 = crate::checksum::Xxh3Stream::default();
            xxh3.update(&[value]);
            self.meter.worked(elements * self.split.element_bytes());
            return Ok(plane(codec, Blob { bytes: 1, xxh3: xxh3.hex() }, book));
        }
        if codec != Codec::Raw {
            let limit = plane_writer::worthy_limit(book.len(), elements);
            let coder = PlaneCoder::new(self.backend, codec, &book);
            let writer = BlobWriter::new(output, start, &coder, elements, predicted);
            let writer = self.code_plane(kind, first, elements, &coder, writer)?;
            if let Some(blob) = writer.finish(&coder, limit, elements)? {
                return Ok(plane(codec, blob, book));
            }
        }
        let coder = PlaneCoder::Raw;
        let writer = BlobWriter::new(output, start, &coder, elements, elements);
        let writer = self.code_plane(kind, first, elements, &coder, writer)?;
        let blob = writer.finish(&coder, u64::MAX, elements)?;
        let blob = blob.ok_or_else(|| KernelError::bad_argument("a raw plane was refused"))?;
        Ok(plane(Codec::Raw, blob, Vec::new()))
    }

    fn code_plane<'o>(
        &self,
        kind: PlaneKind,
        first: u64,
        elements: u64,
        coder: &PlaneCoder,
        mut writer: BlobWriter<'o>,
    ) -> Result<BlobWriter<'o>> {
        let pieces: Mutex<Vec<Piece>> = Mutex::default();
        ordered(
            self.context,
            elements.div_ceil(ITEM_ELEMENTS as u64),
            |index| {
                let item = Self::item(first, elements, index);
                let mut piece =
                    pieces.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop().unwrap_or_default();
                if piece.symbols.len() < item.elements {
                    piece.symbols = zeroed(item.elements)?;
                }
                piece.symbols.truncate(item.elements);
                let bytes = self.load_item(&item)?;
                planes::extract(self.backend, self.split, kind, &bytes, &mut piece.symbols);
                self.unload(bytes);
                coder.encode(&mut piece)?;
                Ok(piece)
            },
            |_, piece| {
                writer.put(coder, &piece)?;
                self.meter.worked(piece.symbols.len() as u64 * self.split.element_bytes());
                pieces.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(piece);
                Ok(())
            },
        )?;
        Ok(writer)
    }
}
