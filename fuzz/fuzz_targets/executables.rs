//! Executables: ELF, PE and Mach-O headers, Go's build information and cargo-auditable's.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use tidewaiter_fuzz::analyzed;

const KNOWN: [&str; 8] = [
    "go-binary",
    "cargo-auditable",
    "rust-program",
    "programs",
    "dotnet-bundle",
    "native-image",
    "pe-version",
    "elf-note",
];

fuzz_target!(|input: &[u8]| analyzed::read(input, &KNOWN));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    analyzed::mutate(data, size, max_size, seed)
});
