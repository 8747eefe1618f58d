//! The split-plane v1 coders: a tensor's bytes fall into byte planes, and each plane is stored by the codec that is
//! smallest for it. The format is `docs/formats/split-plane.md`; this module codes tensors, it knows nothing of the
//! JSON header.
//!
//! [`encode`] and [`decode`] stream: memory stays bounded whatever the tensor's size, and the stored bytes depend
//! neither on the thread count nor on the instruction set.

mod book;
mod buffers;
mod histogram;
mod huff12;
mod pal4;
mod plane_reader;
mod plane_writer;
mod planes;
mod rans;
#[cfg(target_arch = "x86_64")]
mod rans_x86;
mod split_decode;
mod split_encode;
mod split_measure;
#[cfg(test)]
mod split_reference;
#[cfg(test)]
mod split_tests;
mod split_timing;

pub use split_decode::decode;
#[doc(hidden)]
pub use split_decode::decode_on;
pub use split_encode::encode;
pub use split_measure::{PlaneHistograms, measure, predicted_bytes};
#[doc(hidden)]
pub use split_timing::{CodingTimes, time_item_coding};

pub(crate) use histogram::{Histogram, count as count_bytes};
pub(crate) use planes::extract as extract_plane;

/// Blobs start at multiples of this many bytes.
pub const BLOB_ALIGNMENT: u64 = 64;

/// Planes longer than this are cut into parts of this length, so that every offset inside a blob fits 32 bits.
pub const PART_ELEMENTS: u64 = 1 << 31;

/// Elements of one independently decodable chunk of `rans12x32` and `pal4`.
pub(crate) const CHUNK_ELEMENTS: usize = 1 << 16;

/// Elements worked on at a time by one thread: two chunks, because two interleaved decoders hide each other's latency,
/// and no more, so that an item's planes and words stay in a second-level cache of a megabyte.
pub(crate) const ITEM_ELEMENTS: usize = 2 * CHUNK_ELEMENTS;

/// How one plane's bytes are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// The bytes themselves.
    Raw,
    /// One byte that stands for all.
    Const,
    /// 32 interleaved rANS states, 12-bit frequencies.
    Rans12x32,
    /// Canonical Huffman code of at most 12 bits in blocks of 128 elements.
    Huff12,
    /// A palette of 16 symbols and a list of exceptions.
    Pal4,
}

impl Codec {
    /// Every codec.
    pub const ALL: [Self; 5] = [Self::Raw, Self::Const, Self::Rans12x32, Self::Huff12, Self::Pal4];

    /// The name in the file's JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Const => "const",
            Self::Rans12x32 => "rans12x32",
            Self::Huff12 => "huff12",
            Self::Pal4 => "pal4",
        }
    }

    /// The codec of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }
}

/// Which bits of each element a plane holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlaneKind {
    /// The 8 exponent bits of BF16 or F32.
    Exp,
    /// Sign and mantissa of BF16.
    Sm,
    /// The high byte of F16: sign, 5 exponent bits, 2 mantissa bits.
    Hi,
    /// The low byte of F16.
    Lo,
    /// Sign and the upper 7 mantissa bits of F32.
    Sm2,
    /// Mantissa bits 15 to 8 of F32.
    M1,
    /// Mantissa bits 7 to 0 of F32.
    M0,
    /// Every byte, as it comes.
    Bytes,
}

impl PlaneKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [Self::Exp, Self::Sm, Self::Hi, Self::Lo, Self::Sm2, Self::M1, Self::M0, Self::Bytes];

    /// The name in the file's JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exp => "exp",
            Self::Sm => "sm",
            Self::Hi => "hi",
            Self::Lo => "lo",
            Self::Sm2 => "sm2",
            Self::M1 => "m1",
            Self::M0 => "m0",
            Self::Bytes => "bytes",
        }
    }

    /// The kind of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether a writer tries to code the plane. Signs and upper mantissa bits are noise in trained weights.
    pub fn is_coded(self) -> bool {
        !matches!(self, Self::Sm | Self::Lo | Self::Sm2)
    }
}

/// How a tensor's bytes fall into planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// `exp` and `sm`.
    Bf16,
    /// `hi` and `lo`.
    F16,
    /// `exp`, `sm2`, `m1` and `m0`.
    F32,
    /// One plane of all bytes: every other element type.
    Bytes,
}

impl Split {
    /// The split of a safetensors dtype; whatever is not BF16, F16 or F32 is stored as bytes.
    pub fn of_dtype(dtype: &str) -> Self {
        match dtype {
            "BF16" => Self::Bf16,
            "F16" => Self::F16,
            "F32" => Self::F32,
            _ => Self::Bytes,
        }
    }

    /// The split of that name (`bf16`, `f16`, `f32`, `bytes`), if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "bf16" => Some(Self::Bf16),
            "f16" => Some(Self::F16),
            "f32" => Some(Self::F32),
            "bytes" => Some(Self::Bytes),
            _ => None,
        }
    }

    /// The planes, in the order they are stored.
    pub fn kinds(self) -> &'static [PlaneKind] {
        match self {
            Self::Bf16 => &[PlaneKind::Exp, PlaneKind::Sm],
            Self::F16 => &[PlaneKind::Hi, PlaneKind::Lo],
            Self::F32 => &[PlaneKind::Exp, PlaneKind::Sm2, PlaneKind::M1, PlaneKind::M0],
            Self::Bytes => &[PlaneKind::Bytes],
        }
    }

    /// Bytes of one element; each plane holds one of them.
    pub fn element_bytes(self) -> u64 {
        self.kinds().len() as u64
    }
}

/// A symbol and its frequency (`rans12x32`), its code length (`huff12`) or 0 (`pal4`).
pub type BookEntry = (u8, u16);

/// One stored plane, or one part of a plane of more than [`PART_ELEMENTS`] elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    /// Which bits of the elements.
    pub kind: PlaneKind,
    /// How they are stored.
    pub codec: Codec,
    /// Where the blob starts, from the data start; a multiple of [`BLOB_ALIGNMENT`].
    pub offset: u64,
    /// Length of the blob in bytes.
    pub bytes: u64,
    /// Elements in the plane or part.
    pub elements: u64,
    /// Index of the first element in the tensor.
    pub first: u64,
    /// XXH3-64 of the blob, 16 lower-case hex digits.
    pub xxh3: String,
    /// The code book; empty for `raw` and `const`.
    pub book: Vec<BookEntry>,
}

/// Which codec a writer uses for the planes worth coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoderChoice {
    /// The one with the smallest predicted size.
    Smallest,
    /// This one, where it saves at least one percent; constant planes are `const` all the same.
    Only(Codec),
}

/// What [`encode`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedTensor {
    /// The planes, kind by kind in the split's order, each kind's parts ascending.
    pub planes: Vec<Plane>,
    /// Offset from the data start after the last blob, not yet aligned.
    pub end: u64,
    /// SHA-256 of the tensor's original bytes, 64 lower-case hex digits.
    pub sha256: String,
}

/// A symbol appeared that the histogram pass did not see.
fn source_changed() -> crate::KernelError {
    crate::KernelError::new(
        crate::Status::SourceChanged,
        "the source changed while it was being compressed: a value appeared that was not there",
    )
}

/// The next multiple of [`BLOB_ALIGNMENT`].
pub(crate) fn aligned(offset: u64) -> u64 {
    offset.next_multiple_of(BLOB_ALIGNMENT)
}
