//! Every reader of the gates against every body: it returns, whatever it is given.
//!
//! The first byte of the input chooses the reader, so that one corpus serves all.

#![no_main]

use api::gates::readers::ALL;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    let (_, read) = ALL[usize::from(*choice) % ALL.len()];
    read(body);
});
