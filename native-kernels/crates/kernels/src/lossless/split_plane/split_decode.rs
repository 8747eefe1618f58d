//! Decodes one tensor: checks its description, then reads, decodes and joins its planes item by item.

use super::buffers::Buffers;
use super::plane_reader::{PlaneReader, StoredItem, check_xxh3, hash_blob};
use super::{BLOB_ALIGNMENT, ITEM_ELEMENTS, PART_ELEMENTS, Plane, Split, planes as joined};
use crate::checksum::{Sha256Stream, Xxh3Stream};
use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result, Status};
use crate::files::{InputFile, Target};
use crate::pipeline::ordered;

/// Decodes a tensor of `bytes` bytes from its planes into `target`, and feeds its bytes to `hash` in order.
///
/// Nothing in the file or in `planes` is trusted: descriptions, tables and streams that contradict themselves or each
/// other give [`Status::Malformed`], stored bytes without their recorded checksum give [`Status::ChecksumMismatch`]
/// (also where they would be malformed as well). Bytes may already have reached the target by then. A target of another
/// length is [`Status::BadArgument`]. Progress advances by the decoded bytes.
#[allow(clippy::too_many_arguments, reason = "one call a tensor; a struct of these would only be taken apart again")]
pub fn decode(
    context: &Context,
    input: &InputFile,
    data_start: u64,
    planes: &[Plane],
    split: Split,
    bytes: u64,
    target: &Target,
    hash: Option<&mut Sha256Stream>,
) -> Result<()> {
    decode_with(context, Backend::best(), PART_ELEMENTS, input, data_start, planes, split, bytes, target, hash)
}

/// [`decode`] on a chosen backend, which never changes the result, without a hash: for fuzz targets.
#[doc(hidden)]
#[allow(clippy::too_many_arguments, reason = "as above")]
pub fn decode_on(
    context: &Context,
    backend: Backend,
    input: &InputFile,
    data_start: u64,
    planes: &[Plane],
    split: Split,
    bytes: u64,
    target: &Target,
) -> Result<()> {
    decode_with(context, backend, PART_ELEMENTS, input, data_start, planes, split, bytes, target, None)
}

#[allow(clippy::too_many_arguments, reason = "as above")]
pub(super) fn decode_with(
    context: &Context,
    backend: Backend,
    part_elements: u64,
    input: &InputFile,
    data_start: u64,
    planes: &[Plane],
    split: Split,
    bytes: u64,
    target: &Target,
    mut hash: Option<&mut Sha256Stream>,
) -> Result<()> {
    if target.bytes() != bytes {
        return Err(KernelError::bad_argument(format!("{bytes} bytes to decode into a target of {}", target.bytes())));
    }
    let parts = checked_parts(planes, split, bytes, part_elements)?;
    let starts = blob_starts(input, data_start, planes)?;
    let start_of = |plane: &Plane| {
        // The planes of `parts` are those of `planes`, whose places were checked.
        data_start + plane.offset
    };
    debug_assert_eq!(starts, planes.len());
    for part in &parts {
        let result = decode_part(context, backend, input, part, split, target, hash.as_deref_mut(), &start_of);
        match result {
            Err(error) if error.status == Status::Malformed => {
                // Damaged bytes are the likelier cause, and the better message.
                for plane in part {
                    let mut xxh3 = Xxh3Stream::default();
                    hash_blob(context, input, start_of(plane), plane.bytes, &mut xxh3)?;
                    check_xxh3(plane, &xxh3, start_of(plane), input)?;
                }
                return Err(error.at_path(input.path()));
            }
            other => other?,
        }
    }
    Ok(())
}

/// The planes part by part, each part in the split's order, if they are exactly those of a tensor of `bytes` bytes.
fn checked_parts(planes: &[Plane], split: Split, bytes: u64, part_elements: u64) -> Result<Vec<Vec<&Plane>>> {
    let size = split.element_bytes();
    if !bytes.is_multiple_of(size) {
        return Err(KernelError::malformed(format!("{bytes} bytes are not whole {split:?} elements")));
    }
    let elements = bytes / size;
    let part_count = elements.div_ceil(part_elements).max(1);
    if part_count.checked_mul(size) != Some(planes.len() as u64) {
        return Err(KernelError::malformed(format!(
            "{} planes are described, a {split:?} tensor of {bytes} bytes has {part_count} parts of {size}",
            planes.len()
        )));
    }
    let mut parts = vec![Vec::with_capacity(size as usize); part_count as usize];
    for kind in split.kinds() {
        let mut of_kind = planes.iter().filter(|plane| plane.kind == *kind);
        for (index, part) in parts.iter_mut().enumerate() {
            let first = index as u64 * part_elements;
            let wanted = (elements - first).min(part_elements);
            match of_kind.next() {
                Some(plane) if plane.first == first && plane.elements == wanted => part.push(plane),
                _ => {
                    return Err(KernelError::malformed(format!(
                        "no plane \"{}\" holds elements {first} to {}",
                        kind.name(),
                        first + wanted
                    )));
                }
            }
        }
    }
    Ok(parts)
}

/// Checks that every blob lies in the file; answers how many there are.
fn blob_starts(input: &InputFile, data_start: u64, planes: &[Plane]) -> Result<usize> {
    let size = input.size()?;
    for plane in planes {
        let end = data_start.checked_add(plane.offset).and_then(|start| start.checked_add(plane.bytes));
        if !plane.offset.is_multiple_of(BLOB_ALIGNMENT) || end.is_none_or(|end| plane.bytes > 0 && end > size) {
            return Err(KernelError::malformed(format!(
                "the plane \"{}\" should be {} bytes at offset {} of the data, a multiple of {BLOB_ALIGNMENT}, in a file of {size} bytes",
                plane.kind.name(),
                plane.bytes,
                plane.offset
            ))
            .at_path(input.path()));
        }
    }
    Ok(planes.len())
}

#[allow(clippy::too_many_arguments, reason = "as above")]
fn decode_part(
    context: &Context,
    backend: Backend,
    input: &InputFile,
    part: &[&Plane],
    split: Split,
    target: &Target,
    mut hash: Option<&mut Sha256Stream>,
    start_of: &(dyn Fn(&Plane) -> u64 + Sync),
) -> Result<()> {
    let mut readers = Vec::with_capacity(part.len());
    let mut checksums = Vec::with_capacity(part.len());
    for plane in part {
        let mut xxh3 = Xxh3Stream::default();
        let reader =
            PlaneReader::open(context, backend, input, plane, start_of(plane), &mut xxh3).map_err(|error| {
                KernelError { what: format!("plane \"{}\": {}", plane.kind.name(), error.what), ..error }
            })?;
        readers.push(reader);
        checksums.push(xxh3);
    }
    let (first, elements) = (part[0].first, part[0].elements);
    let size = split.element_bytes();
    let buffers = Buffers::default();
    let wants_bytes = hash.is_some();
    ordered(
        context,
        elements.div_ceil(ITEM_ELEMENTS as u64),
        |index| {
            let start = index * ITEM_ELEMENTS as u64;
            let count = (elements - start).min(ITEM_ELEMENTS as u64) as usize;
            let mut stored = Vec::with_capacity(readers.len());
            let mut decoded = Vec::with_capacity(readers.len());
            for reader in &readers {
                let mut item = StoredItem { buffer: Vec::new(), hashed: 0 };
                let mut symbols = if reader.is_raw() { Vec::new() } else { buffers.take(count)? };
                reader.read_item(index, count, &mut item, &mut symbols, |length| buffers.take(length))?;
                stored.push(item);
                decoded.push(symbols);
            }
            let planes: Vec<&[u8]> = stored
                .iter()
                .zip(&decoded)
                .zip(&readers)
                .map(|((item, symbols), reader)| if reader.is_raw() { &item.buffer[..count] } else { &symbols[..] })
                .collect();
            let place = (first + start) * size;
            let mut whole = None;
            if let [only] = planes[..] {
                target.put(place, only)?;
                if wants_bytes {
                    let mut copy = buffers.take(only.len())?;
                    copy.copy_from_slice(only);
                    whole = Some(copy);
                }
            } else {
                let mut out = buffers.take(count * size as usize)?;
                joined::merge(backend, split, &planes, &mut out);
                target.put(place, &out)?;
                whole = Some(out);
            }
            context.control.advance(count as u64 * size);
            decoded.into_iter().for_each(|buffer| buffers.give(buffer));
            if !wants_bytes && let Some(out) = whole.take() {
                buffers.give(out);
            }
            Ok((stored, whole))
        },
        |_, (stored, whole)| {
            for (item, xxh3) in stored.into_iter().zip(&mut checksums) {
                xxh3.update(&item.buffer[..item.hashed]);
                buffers.give(item.buffer);
            }
            if let (Some(hash), Some(whole)) = (&mut hash, whole) {
                hash.update(&whole);
                buffers.give(whole);
            }
            Ok(())
        },
    )?;
    readers.iter().zip(checksums).try_for_each(|(reader, xxh3)| reader.finish(context, xxh3))
}
