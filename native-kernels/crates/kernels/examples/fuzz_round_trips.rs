//! Random data, coded twice at several thread counts: the same stored bytes, and every bit back.

mod fuzzing;

use fuzzing::{Folder, Random, fuzz};
use lathe_kernels::checksum::Sha256Stream;
use lathe_kernels::files::{ByteRange, InputFile, OutputFile, Target};
use lathe_kernels::lossless::dfloat11::{self, UnitFields};
use lathe_kernels::lossless::split_plane::{self, Codec, CoderChoice, EncodedTensor, Split};
use lathe_kernels::{Context, KernelError, Status};

fn main() {
    fuzz("round_trips", |random, folder| {
        let split = [Split::Bf16, Split::F16, Split::F32, Split::Bytes][random.below(4)];
        let choices = [CoderChoice::Smallest].into_iter().chain(Codec::ALL.map(CoderChoice::Only));
        let choice = choices.collect::<Vec<_>>()[random.below(6)];
        let elements = random.length(400_000);
        let source = folder.store("source", &random_elements(random, split, elements));
        let threads = [1, 2 + random.below(6)];
        let ranges = cut(random, &source);
        check_split_plane(folder, &ranges, split, choice, threads).map_err(|error| error.to_string())??;
        if split == Split::Bf16 {
            check_dfloat11(folder, &ranges, threads).map_err(|error| error.to_string())??;
        }
        Ok(())
    });
}

/// Each byte of the elements from a distribution of its own.
fn random_elements(random: &mut Random, split: Split, elements: usize) -> Vec<u8> {
    let size = split.element_bytes() as usize;
    let mut bytes = vec![0; size * elements];
    for lane in 0..size {
        for (element, byte) in bytes.chunks_exact_mut(size).zip(random.symbols(elements)) {
            element[lane] = byte;
        }
    }
    bytes
}

/// The same bytes as up to four ranges.
fn cut(random: &mut Random, whole: &ByteRange) -> Vec<ByteRange> {
    let mut borders = vec![0, whole.bytes];
    borders.extend((0..random.below(4)).map(|_| random.below(whole.bytes as usize + 1) as u64));
    borders.sort_unstable();
    let range = |pair: &[u64]| ByteRange { path: whole.path.clone(), offset: pair[0], bytes: pair[1] - pair[0] };
    borders.windows(2).map(range).collect()
}

type Outcome = Result<Result<(), String>, KernelError>;

fn check_split_plane(
    folder: &Folder,
    source: &[ByteRange],
    split: Split,
    choice: CoderChoice,
    threads: [usize; 2],
) -> Outcome {
    let bytes: u64 = source.iter().map(|range| range.bytes).sum();
    let mut coded: Vec<(EncodedTensor, Vec<u8>)> = Vec::new();
    for threads in threads {
        let context = Context::with_threads(threads)?;
        let _ = std::fs::remove_file(folder.path("coded"));
        let output = OutputFile::open(&folder.path("coded"))?;
        let mut also = Sha256Stream::default();
        let tensor = split_plane::encode(&context, source, split, choice, &output, 64, 128, Some(&mut also))?;
        if context.control.done_bytes() != bytes {
            return Ok(Err(format!("progress ends at {} of {bytes} bytes", context.control.done_bytes())));
        }
        let input = InputFile::open(&folder.path("coded"))?;
        let target = Target::compare(source)?;
        let mut sha = Sha256Stream::default();
        split_plane::decode(&context, &input, 64, &tensor.planes, split, bytes, &target, Some(&mut sha))?;
        if sha.hex() != tensor.sha256 || also.hex() != tensor.sha256 {
            return Ok(Err("the hashes differ".to_owned()));
        }
        coded.push((tensor, folder.read("coded")));
    }
    Ok(if coded[0] == coded[1] { Ok(()) } else { Err(format!("{threads:?} threads code differently")) })
}

fn check_dfloat11(folder: &Folder, source: &[ByteRange], threads: [usize; 2]) -> Outcome {
    let mut coded = Vec::new();
    for threads in threads {
        let context = Context::with_threads(threads)?;
        let plan = match dfloat11::measure(&context, source) {
            Err(error) if error.status == Status::Unrepresentable => return Ok(Ok(())),
            plan => plan?,
        };
        let predicted = dfloat11::plan_from_histogram(&plan.histogram, plan.last_exponent)?;
        if plan.origin == predicted.origin && plan.stored_bytes() != predicted.stored_bytes() {
            return Ok(Err("the predicted size differs".to_owned()));
        }
        let _ = std::fs::remove_file(folder.path("unit"));
        let mut end = 0;
        let mut place = |bytes: u64| {
            end += bytes;
            ByteRange { path: folder.path("unit"), offset: end - bytes, bytes }
        };
        let fields = UnitFields {
            luts: place(plan.luts_bytes()),
            encoded_exponent: place(plan.stream_bytes),
            sign_mantissa: place(plan.elements),
            output_positions: place(plan.positions_bytes()),
            gaps: place(plan.gaps_bytes()),
        };
        dfloat11::encode(&context, source, &plan, &fields)?;
        dfloat11::decode(&context, &fields, plan.elements, &Target::compare(source)?)?;
        let unit = folder.read("unit");
        if unit.len() as u64 != plan.stored_bytes() {
            return Ok(Err(format!("{} bytes are stored, the plan says {}", unit.len(), plan.stored_bytes())));
        }
        coded.push(unit);
    }
    Ok(if coded[0] == coded[1] { Ok(()) } else { Err(format!("{threads:?} threads code differently")) })
}
