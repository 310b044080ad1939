//! Every analyzer against every file: it returns, whatever it is given.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use scanner::analyzers::ALL;
use tidewaiter_fuzz::analyzed;

fuzz_target!(|input: &[u8]| {
    let names: Vec<&str> = ALL.iter().map(|analyzer| analyzer.name()).collect();
    analyzed::read(input, &names);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    analyzed::mutate(data, size, max_size, seed)
});
