//! Planes stored as `rans12x32`, damaged: decoding them is refused or gives elements, the same on every backend and at any
//! thread count, and never crashes, hangs, writes outside its target or takes much memory.

mod fuzzing;

use fuzzing::damaged_planes::check_damaged_plane;
use lathe_kernels::lossless::split_plane::Codec;

fn main() {
    fuzzing::fuzz("rans12x32", |random, folder| check_damaged_plane(Codec::Rans12x32, random, folder));
}
