//! Tests of the coder: published vectors, the official files, bad files, and the fast paths against the plain ones.

mod bad_files;
mod official_files;
mod sweeps;
mod unit;
mod vectors;
