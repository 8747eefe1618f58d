//! What `lathe inspect --statistics` says of a tensor: its exponents, its range, its zeros and what is not a number.
//!
//! Sums are taken in eight fixed lanes a chunk and chunk after chunk, so that every figure is the same at any thread
//! count and on every processor.

use crate::context::Context;
use crate::cpu::Backend;
use crate::error::{KernelError, Result};
use crate::files::{ByteRange, Source, zeroed};
use crate::lossless::split_plane::{
    Histogram, PlaneHistograms, PlaneKind, Split, count_bytes, extract_plane, predicted_bytes,
};
use crate::pipeline::ordered;

/// Bytes of a chunk: a multiple of every element's size, and small enough for a second-level cache.
const CHUNK_BYTES: usize = 256 << 10;

/// Independent sums: a vector of f64, so that additions need not wait for each other.
const LANES: usize = 8;

/// What the elements of a tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// 8 exponent bits, 7 mantissa bits.
    Bf16,
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
    /// 4 exponent bits, 3 mantissa bits, no infinity, NaN 0x7f and 0xff.
    F8E4M3,
    /// 5 exponent bits, 2 mantissa bits, as IEEE.
    F8E5M2,
    /// Powers of two 2^(byte - 127), NaN 0xff.
    F8E8M0,
    /// Signed bytes.
    I8,
    /// Bytes.
    U8,
    /// Signed 16-bit integers.
    I16,
    /// 16-bit integers.
    U16,
    /// Signed 32-bit integers.
    I32,
    /// 32-bit integers.
    U32,
    /// Signed 64-bit integers.
    I64,
    /// 64-bit integers.
    U64,
    /// One byte each, 0 or 1.
    Bool,
    /// Bytes without a meaning known here.
    Opaque,
}

impl ElementType {
    /// The type of a safetensors dtype.
    pub fn of_dtype(dtype: &str) -> Self {
        match dtype {
            "BF16" => Self::Bf16,
            "F16" => Self::F16,
            "F32" => Self::F32,
            "F64" => Self::F64,
            "F8_E4M3" => Self::F8E4M3,
            "F8_E5M2" => Self::F8E5M2,
            "F8_E8M0" => Self::F8E8M0,
            "I8" => Self::I8,
            "U8" => Self::U8,
            "I16" => Self::I16,
            "U16" => Self::U16,
            "I32" => Self::I32,
            "U32" => Self::U32,
            "I64" => Self::I64,
            "U64" => Self::U64,
            "BOOL" => Self::Bool,
            _ => Self::Opaque,
        }
    }

    /// Bytes of one element; 1 for opaque bytes.
    pub fn element_bytes(self) -> u64 {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::Bf16 | Self::F16 | Self::I16 | Self::U16 => 2,
            _ => 1,
        }
    }

    /// The planes that split-plane stores.
    fn split(self) -> Split {
        match self {
            Self::Bf16 => Split::Bf16,
            Self::F16 => Split::F16,
            Self::F32 => Split::F32,
            _ => Split::Bytes,
        }
    }
}

/// Figures of one tensor. Those that a type does not have, and those of an empty tensor, are `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorStatistics {
    /// Elements counted (bytes, if opaque).
    pub elements: u64,
    /// How often each exponent field occurs: 8 bits for BF16, F32 and F8_E8M0, 5 for F16 and F8_E5M2, 4 for F8_E4M3;
    /// `None` for other types (F64's 11 bits do not fit).
    pub exponents: Option<Box<[u64; 256]>>,
    /// Shannon entropy of `exponents` in bits.
    pub exponent_entropy_bits: Option<f64>,
    /// The exponent field of the last element of a BF16 tensor.
    pub last_exponent: Option<u8>,
    /// The least finite value (64-bit integers rounded to f64).
    pub min: Option<f64>,
    /// The greatest finite value.
    pub max: Option<f64>,
    /// Square root of the mean square of the finite values; `None` if the squares overflow.
    pub rms: Option<f64>,
    /// Fraction (0 to 1) of elements that are zero, negative zero included.
    pub zero_fraction: Option<f64>,
    /// Elements that are not a number.
    pub nan_count: Option<u64>,
    /// Elements that are infinite.
    pub infinite_count: Option<u64>,
    /// Stored bytes that split-plane is predicted to need, right to about 0.1 %.
    pub split_plane_bytes: u64,
}

/// What one chunk tells.
struct Partial {
    /// How often each byte occurs in each plane of [`ElementType::split`].
    planes: Vec<Histogram>,
    /// Of types of more than one byte; of the others everything follows from the counts.
    moments: Moments,
    last_exponent: Option<u8>,
}

impl Partial {
    fn new(dtype: ElementType) -> Self {
        Self { planes: vec![[0; 256]; dtype.split().kinds().len()], moments: Moments::NONE, last_exponent: None }
    }
}

#[derive(Clone, Copy)]
struct Moments {
    min: f64,
    max: f64,
    squares: f64,
    zeros: u64,
    nans: u64,
    infinities: u64,
}

impl Moments {
    const NONE: Self =
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY, squares: 0.0, zeros: 0, nans: 0, infinities: 0 };

    fn add(&mut self, other: &Self) {
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.squares += other.squares;
        self.zeros += other.zeros;
        self.nans += other.nans;
        self.infinities += other.infinities;
    }

    /// `count` elements of one value.
    fn add_value(&mut self, value: f64, count: u64) {
        let finite = value.is_finite();
        self.add(&Self {
            min: if finite { value } else { f64::INFINITY },
            max: if finite { value } else { f64::NEG_INFINITY },
            squares: if finite { value * value * count as f64 } else { 0.0 },
            zeros: if value == 0.0 { count } else { 0 },
            nans: if value.is_nan() { count } else { 0 },
            infinities: if value.is_infinite() { count } else { 0 },
        });
    }
}

/// Reads a tensor once and sums it up. Progress advances by the source's length.
///
/// Fails with [`crate::Status::BadArgument`] if the source is not whole elements.
pub fn tensor_statistics(context: &Context, source: &[ByteRange], dtype: ElementType) -> Result<TensorStatistics> {
    let source = Source::open(source)?;
    let (total, size) = (source.bytes(), dtype.element_bytes());
    if !total.is_multiple_of(size) {
        return Err(KernelError::bad_argument(format!("{total} bytes are not whole {dtype:?} elements")));
    }
    let backend = Backend::best();
    let mut sum = Partial::new(dtype);
    ordered(
        context,
        total.div_ceil(CHUNK_BYTES as u64),
        |index| {
            let start = index * CHUNK_BYTES as u64;
            let mut chunk = zeroed((total - start).min(CHUNK_BYTES as u64) as usize)?;
            source.read(start, &mut chunk)?;
            let partial = partial(backend, dtype, &chunk)?;
            context.control.advance(chunk.len() as u64);
            Ok(partial)
        },
        |_, partial| {
            for (sum, counts) in sum.planes.iter_mut().zip(&partial.planes) {
                sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            }
            sum.moments.add(&partial.moments);
            sum.last_exponent = partial.last_exponent;
            Ok(())
        },
    )?;
    Ok(finished(dtype, total / size, sum))
}

fn partial(backend: Backend, dtype: ElementType, chunk: &[u8]) -> Result<Partial> {
    let mut partial = Partial::new(dtype);
    let split = dtype.split();
    if split == Split::Bytes {
        count_bytes(chunk, &mut partial.planes[0]);
    } else {
        let mut plane = zeroed(chunk.len() / split.kinds().len())?;
        for (kind, histogram) in split.kinds().iter().zip(&mut partial.planes) {
            extract_plane(backend, split, *kind, chunk, &mut plane);
            count_bytes(&plane, histogram);
            if dtype == ElementType::Bf16 && *kind == PlaneKind::Exp {
                partial.last_exponent = plane.last().copied();
            }
        }
    }
    if dtype.element_bytes() > 1 {
        partial.moments = moments(backend, dtype, chunk);
    }
    Ok(partial)
}

/// How often each exponent field occurs, given the first plane's counts.
fn exponents(dtype: ElementType, counts: &Histogram) -> Option<Box<Histogram>> {
    let (shift, mask) = match dtype {
        ElementType::Bf16 | ElementType::F32 | ElementType::F8E8M0 => (0, 255),
        ElementType::F16 => (2, 31),
        ElementType::F8E4M3 => (3, 15),
        ElementType::F8E5M2 => (2, 31),
        _ => return None,
    };
    let mut exponents = Box::new([0; 256]);
    for (byte, count) in counts.iter().enumerate() {
        exponents[(byte >> shift) & mask] += count;
    }
    Some(exponents)
}

fn finished(dtype: ElementType, elements: u64, sum: Partial) -> TensorStatistics {
    let Partial { planes, mut moments, last_exponent } = sum;
    if dtype.element_bytes() == 1 {
        for (byte, count) in planes[0].iter().enumerate().filter(|(_, count)| **count > 0) {
            moments.add_value(byte_value(dtype, byte as u8), *count);
        }
    }
    let exponents = if elements == 0 { None } else { exponents(dtype, &planes[0]) };
    let kinds = dtype.split().kinds();
    let histograms =
        PlaneHistograms { elements: planes[0].iter().sum(), planes: kinds.iter().copied().zip(planes).collect() };
    let is_known = dtype != ElementType::Opaque && elements > 0;
    let finite = elements - if is_known { moments.nans + moments.infinities } else { 0 };
    let has_finite = is_known && finite > 0;
    let rms = (moments.squares / finite.max(1) as f64).sqrt();
    TensorStatistics {
        elements,
        exponent_entropy_bits: exponents.as_ref().map(|exponents| entropy_bits(exponents)),
        exponents,
        last_exponent,
        min: has_finite.then_some(moments.min),
        max: has_finite.then_some(moments.max),
        rms: (has_finite && rms.is_finite()).then_some(rms),
        zero_fraction: is_known.then(|| moments.zeros as f64 / elements as f64),
        nan_count: is_known.then_some(moments.nans),
        infinite_count: is_known.then_some(moments.infinities),
        split_plane_bytes: predicted_bytes(&histograms),
    }
}

fn entropy_bits(histogram: &Histogram) -> f64 {
    let total = histogram.iter().sum::<u64>() as f64;
    let bits = |count: u64| count as f64 / total * (total / count as f64).log2();
    histogram.iter().filter(|count| **count > 0).map(|count| bits(*count)).sum()
}

/// The value of a one-byte element.
fn byte_value(dtype: ElementType, byte: u8) -> f64 {
    let sign = if byte & 0x80 == 0 { 1.0 } else { -1.0 };
    // A float of `mantissa_bits` and exponent bias `bias`, without special values.
    let ordinary = |mantissa_bits: u32, bias: i32| {
        let field = i32::from((byte & 0x7f) >> mantissa_bits);
        let mantissa = f64::from(u32::from(byte) & ((1 << mantissa_bits) - 1)) / f64::from(1 << mantissa_bits);
        match field {
            0 => sign * mantissa * 2_f64.powi(1 - bias),
            _ => sign * (1.0 + mantissa) * 2_f64.powi(field - bias),
        }
    };
    match dtype {
        ElementType::F8E4M3 if byte & 0x7f == 0x7f => f64::NAN,
        ElementType::F8E4M3 => ordinary(3, 7),
        ElementType::F8E5M2 if byte & 0x7f == 0x7c => sign * f64::INFINITY,
        ElementType::F8E5M2 if byte & 0x7f > 0x7c => f64::NAN,
        ElementType::F8E5M2 => ordinary(2, 15),
        ElementType::F8E8M0 if byte == 0xff => f64::NAN,
        ElementType::F8E8M0 => 2_f64.powi(i32::from(byte) - 127),
        ElementType::I8 => f64::from(byte as i8),
        _ => f64::from(byte),
    }
}

/// The value of an IEEE half.
#[inline(always)]
fn half_value(word: u16) -> f64 {
    let magnitude = u32::from(word & 0x7fff);
    // Exponent and mantissa moved to single precision's places, then scaled by the difference of the biases; that makes
    // subnormals right as well, and only infinities and NaN need the largest exponent.
    let scaled = f32::from_bits(magnitude << 13) * f32::from_bits(0x7780_0000);
    let special = f32::from_bits((magnitude << 13) | 0x7f80_0000);
    let value = if magnitude >= 0x7c00 { special } else { scaled };
    f64::from(if word & 0x8000 == 0 { value } else { -value })
}

fn moments(backend: Backend, dtype: ElementType, chunk: &[u8]) -> Moments {
    match backend {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the backend is only handed out where the processor has its instructions.
        Backend::Avx512 => unsafe { moments_avx512(dtype, chunk) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Backend::Avx2 => unsafe { moments_avx2(dtype, chunk) },
        _ => moments_body(dtype, chunk),
    }
}

// The same loops, compiled once per instruction set; they vectorise by themselves.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn moments_avx2(dtype: ElementType, chunk: &[u8]) -> Moments {
    moments_body(dtype, chunk)
}
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi")]
fn moments_avx512(dtype: ElementType, chunk: &[u8]) -> Moments {
    moments_body(dtype, chunk)
}

#[inline(always)]
fn moments_body(dtype: ElementType, chunk: &[u8]) -> Moments {
    match dtype {
        ElementType::Bf16 => moments_of(chunk, |b| f64::from(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))),
        ElementType::F16 => moments_of(chunk, |b| half_value(u16::from_le_bytes(b))),
        ElementType::F32 => moments_of(chunk, |b| f64::from(f32::from_le_bytes(b))),
        ElementType::F64 => moments_of(chunk, f64::from_le_bytes),
        ElementType::I16 => moments_of(chunk, |b| f64::from(i16::from_le_bytes(b))),
        ElementType::U16 => moments_of(chunk, |b| f64::from(u16::from_le_bytes(b))),
        ElementType::I32 => moments_of(chunk, |b| f64::from(i32::from_le_bytes(b))),
        ElementType::U32 => moments_of(chunk, |b| f64::from(u32::from_le_bytes(b))),
        ElementType::I64 => moments_of(chunk, |b| i64::from_le_bytes(b) as f64),
        ElementType::U64 => moments_of(chunk, |b| u64::from_le_bytes(b) as f64),
        _ => Moments::NONE,
    }
}

#[inline(always)]
fn moments_of<const SIZE: usize>(chunk: &[u8], value: impl Fn([u8; SIZE]) -> f64) -> Moments {
    let (elements, _) = chunk.as_chunks::<SIZE>();
    let (rows, rest) = elements.as_chunks::<LANES>();
    let mut min = [f64::INFINITY; LANES];
    let mut max = [f64::NEG_INFINITY; LANES];
    let mut squares = [0.0; LANES];
    let (mut zeros, mut nans, mut specials) = ([0_u64; LANES], [0_u64; LANES], [0_u64; LANES]);
    for row in rows {
        for lane in 0..LANES {
            let v = value(row[lane]);
            let finite = v.abs() < f64::INFINITY;
            let clean = if finite { v } else { 0.0 };
            squares[lane] += clean * clean;
            min[lane] = if finite && v < min[lane] { v } else { min[lane] };
            max[lane] = if finite && v > max[lane] { v } else { max[lane] };
            zeros[lane] += u64::from(v == 0.0);
            specials[lane] += u64::from(!finite);
            nans[lane] += u64::from(v.is_nan());
        }
    }
    let mut all = Moments::NONE;
    for lane in 0..LANES {
        all.add(&Moments {
            min: min[lane],
            max: max[lane],
            squares: squares[lane],
            zeros: zeros[lane],
            nans: nans[lane],
            infinities: specials[lane] - nans[lane],
        });
    }
    rest.iter().for_each(|element| all.add_value(value(*element), 1));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(dtype: ElementType, bytes: &[u8], threads: usize) -> TensorStatistics {
        let path = std::env::temp_dir().join(format!(
            "lathe-statistics-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&path, bytes).unwrap();
        let context = Context::with_threads(threads).unwrap();
        let range = ByteRange { path: path.clone(), offset: 0, bytes: bytes.len() as u64 };
        let statistics = tensor_statistics(&context, &[range], dtype).unwrap();
        assert_eq!(context.control.done_bytes(), bytes.len() as u64);
        std::fs::remove_file(&path).unwrap();
        statistics
    }

    #[test]
    fn sums_up_a_few_known_weights() {
        let words: [u16; 7] = [0x3f80, 0xc000, 0x0000, 0x8000, 0x7f80, 0x7fc1, 0xff80];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let found = of(ElementType::Bf16, &bytes, 1);
        assert_eq!((found.min, found.max, found.rms), (Some(-2.0), Some(1.0), Some(1.25_f64.sqrt())));
        assert_eq!((found.nan_count, found.infinite_count), (Some(1), Some(2)));
        assert_eq!((found.zero_fraction, found.last_exponent), (Some(2.0 / 7.0), Some(255)));
        let exponents = found.exponents.unwrap();
        assert_eq!((exponents[0], exponents[127], exponents[128], exponents[255]), (2, 1, 1, 3));
        let entropy = 2.0 / 7.0 * (3.5_f64).log2() + 2.0 / 7.0 * 7_f64.log2() + 3.0 / 7.0 * (7.0 / 3.0_f64).log2();
        assert!((found.exponent_entropy_bits.unwrap() - entropy).abs() < 1e-12);
    }

    #[test]
    fn knows_every_type() {
        let le = |values: &[f64]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
        let found = of(ElementType::F64, &le(&[1.0, -3.0, f64::NAN, 0.0]), 1);
        assert_eq!((found.min, found.max, found.exponents, found.nan_count), (Some(-3.0), Some(1.0), None, Some(1)));
        let found = of(ElementType::I8, &[0x80, 0, 127], 1);
        assert_eq!((found.min, found.max, found.zero_fraction), (Some(-128.0), Some(127.0), Some(1.0 / 3.0)));
        let found = of(ElementType::F8E4M3, &[0x7e, 0xff, 0x01, 0x38], 1);
        assert_eq!((found.min, found.max, found.nan_count), (Some(2_f64.powi(-9)), Some(448.0), Some(1)));
        assert_eq!(found.exponents.unwrap()[7], 1);
        let found = of(ElementType::F8E5M2, &[0x7b, 0xfc, 0x7d], 1);
        assert_eq!((found.max, found.infinite_count, found.nan_count), (Some(57344.0), Some(1), Some(1)));
        let found = of(ElementType::F8E8M0, &[127, 128, 255], 1);
        assert_eq!((found.min, found.max, found.nan_count), (Some(1.0), Some(2.0), Some(1)));
        let found = of(ElementType::U64, &u64::MAX.to_le_bytes(), 1);
        assert_eq!(found.max, Some(2_f64.powi(64)));
        let found = of(ElementType::I16, &[0xff, 0xff, 2, 0], 1);
        assert_eq!((found.min, found.max), (Some(-1.0), Some(2.0)));
        let found = of(ElementType::Opaque, &[1, 2, 3], 1);
        assert_eq!((found.elements, found.min, found.zero_fraction, found.nan_count), (3, None, None, None));
        let found = of(ElementType::F32, &[], 1);
        assert_eq!((found.elements, found.max, found.exponent_entropy_bits), (0, None, None));
        for dtype in ["BF16", "F16", "F32", "F64", "I64", "BOOL", "U8", "F8_E4M3"] {
            assert_ne!(ElementType::of_dtype(dtype), ElementType::Opaque);
        }
        let other = Source::open(&[]).unwrap();
        assert_eq!(other.bytes(), 0);
    }

    #[test]
    fn every_half_has_its_value() {
        for word in 0..=u16::MAX {
            let (field, mantissa) = (i32::from((word >> 10) & 31), f64::from(word & 1023) / 1024.0);
            let sign = if word >> 15 == 0 { 1.0 } else { -1.0 };
            let expected = match field {
                31 if mantissa == 0.0 => sign * f64::INFINITY,
                31 => f64::NAN,
                0 => sign * mantissa * 2_f64.powi(-14),
                _ => sign * (1.0 + mantissa) * 2_f64.powi(field - 15),
            };
            let found = half_value(word);
            assert!(found == expected || (found.is_nan() && expected.is_nan()), "{word:04x}: {found} {expected}");
        }
    }

    #[test]
    fn figures_do_not_depend_on_threads_or_backend() {
        let bytes: Vec<u8> = (0..1_000_003_u32 * 2).map(|i| (i.wrapping_mul(2_654_435_761) >> 17) as u8).collect();
        for dtype in [ElementType::Bf16, ElementType::F16, ElementType::F8E4M3] {
            let one = of(dtype, &bytes, 1);
            for threads in [2, 3] {
                assert_eq!(of(dtype, &bytes, threads), one);
            }
        }
        for backend in Backend::available() {
            for dtype in [ElementType::Bf16, ElementType::F16, ElementType::F32, ElementType::F64, ElementType::I64] {
                for length in [8, 64, 72, 1000] {
                    let plain = moments(Backend::Scalar, dtype, &bytes[..length]);
                    let fast = moments(backend, dtype, &bytes[..length]);
                    assert_eq!(
                        (plain.squares.to_bits(), plain.min.to_bits(), plain.max.to_bits(), plain.nans, plain.zeros),
                        (fast.squares.to_bits(), fast.min.to_bits(), fast.max.to_bits(), fast.nans, fast.zeros),
                    );
                }
            }
        }
    }
}
