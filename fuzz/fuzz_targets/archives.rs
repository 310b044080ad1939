//! Archives, and archives in archives: jars, wheels, deb and rpm files that nobody installed.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use tidewaiter_fuzz::analyzed;

fuzz_target!(|input: &[u8]| analyzed::read(input, &["java", "zipped", "archived"]));

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    analyzed::mutate(data, size, max_size, seed)
});
