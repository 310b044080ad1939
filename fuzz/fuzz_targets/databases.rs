//! Binary package databases: rpm's in SQLite, NDB and Berkeley DB, FreeBSD's, and write-ahead logs joined with them.
//!
//! `wal N` as the first line takes the next N bytes for a database and the rest for the log beside it.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use scanner::analyzers::sqlite::wal;
use tidewaiter_fuzz::analyzed;

const READERS: &[&str] = &["rpm", "freebsd", "dnf-history"];

fuzz_target!(|input: &[u8]| match pair(input) {
    Some((database, log)) => {
        let Ok(joined) = wal::joined(database, log) else { return };
        assert!(joined.len() <= database.len() + log.len() + 1, "a join is no larger than its parts");
        analyzed::read(&[b"rpm var/lib/rpm/rpmdb.sqlite\n", &joined[..]].concat(), READERS);
    }
    None => analyzed::read(input, READERS),
});

fn pair(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = input.strip_prefix(b"wal ")?;
    let end = rest.iter().take(10).position(|byte| *byte == b'\n')?;
    let length: usize = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
    rest[end + 1..].split_at_checked(length)
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    analyzed::mutate(data, size, max_size, seed)
});
