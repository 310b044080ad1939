//! Databases that rpm itself wrote, whole and damaged; and by hand what no tool at hand writes.
//!
//! The fixtures hold the same five headers in every form; what `rpm -qa` prints about them is beside them.

use std::io::Read as _;

use proptest::prelude::*;
use shared::model::problem::ProblemKind;

use super::*;
use crate::analyzers::Checksum;

macro_rules! fixture {
    ($name:literal) => {
        inflated(include_bytes!(concat!("../../../fixtures/rpm/", $name, ".gz")))
    };
}

fn inflated(gzip: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    flate2::read::GzDecoder::new(gzip).read_to_end(&mut content).unwrap();
    content
}

fn analyze(path: &str, content: &[u8]) -> Found {
    let file = CapturedFile { path, mode: 0o644, content };
    Rpm.analyze(&file, &Limits::default())
}

/// As `packages.expected` has it, one package a line.
fn listing(found: &Found) -> Vec<String> {
    let none = || "(none)".to_owned();
    let line = |package: &shared::model::package::Package| {
        [
            package.name.clone(),
            package.version.clone(),
            package.architecture.clone().unwrap_or_else(none),
            package.source.as_ref().map_or_else(none, |source| source.name.clone()),
            package.vendor.clone().unwrap_or_else(none),
            package.module.clone().unwrap_or_else(none),
            package.licenses.join(","),
        ]
        .join("|")
    };
    let mut lines: Vec<_> = found.packages.iter().map(|found| line(&found.package)).collect();
    lines.sort();
    lines
}

/// What rpm says, in our words: an epoch of zero is none, sources have a name.
fn expected() -> Vec<String> {
    let lines = include_str!("../../../fixtures/rpm/packages.expected").lines();
    let lines = lines.map(|line| {
        let fields: Vec<_> = line.split('|').collect();
        let [name, epoch, version, arch, source, vendor, module, license] = fields[..] else {
            panic!("{line}")
        };
        let version = match epoch {
            "-" | "0" => version.to_owned(),
            epoch => format!("{epoch}:{version}"),
        };
        let source = source.rsplitn(3, '-').last().unwrap();
        [name, &version, arch, source, vendor, module, license].join("|")
    });
    lines.collect()
}

fn check_whole(path: &str, content: &[u8]) -> Found {
    let found = analyze(path, content);
    assert_eq!(found.problems, [], "{path}");
    assert_eq!(listing(&found), expected(), "{path}");
    found
}

#[test]
fn a_database_that_rpm_wrote_is_read_whole() {
    let found = check_whole("usr/lib/sysimage/rpm/rpmdb.sqlite", &fixture!("rpmdb.sqlite"));
    let mut files = Vec::new();
    for owner in &found.owned {
        for file in &owner.files {
            let digest = match file.checksum {
                Some(Checksum::Sha256(digest)) => hex::encode(digest),
                None => String::new(),
                Some(Checksum::Md5(_) | Checksum::Sha1(_)) => panic!("{file:?}"),
            };
            files.push(format!("{}|/{}|{digest}", owner.package, file.path));
        }
    }
    files.sort();
    let expected: Vec<_> = include_str!("../../../fixtures/rpm/files.expected").lines().collect();
    assert_eq!(files, expected);
    assert_eq!(found.owned[0].architecture, found.packages[0].package.architecture);
}

#[test]
fn every_page_size_is_read_and_overflow_pages_with_it() {
    check_whole("var/lib/rpm/rpmdb.sqlite", &fixture!("page-512.sqlite"));
    check_whole("usr/share/rpm/rpmdb.sqlite", &fixture!("page-65536.sqlite"));
}

#[test]
fn berkeley_db_is_read_in_either_byte_order() {
    check_whole("var/lib/rpm/Packages", &fixture!("Packages"));
    check_whole("var/lib/rpm/Packages", &fixture!("Packages-big-endian"));
}

#[test]
fn unsorted_hash_pages_are_read_as_sorted_ones() {
    let mut content = fixture!("Packages");
    for page in content.chunks_mut(4096).skip(1).filter(|page| page[25] == 13) {
        page[25] = 2;
    }
    check_whole("var/lib/rpm/Packages", &content);
}

/// The headers of the fixture, as an NDB file would hold them.
fn headers() -> Vec<Vec<u8>> {
    let content = fixture!("Packages");
    let mut blobs = Vec::new();
    // A header's table begins with its region tag, which no other bytes look like.
    for page in content.chunks(4096).skip(1).filter(|page| page[25] == 7 && page[12..16] == [0; 4]) {
        let mut blob = Vec::new();
        let mut next = page;
        loop {
            let used = usize::from(u16::from_le_bytes([next[22], next[23]]));
            blob.extend_from_slice(&next[26..26 + used]);
            let number = u32::from_le_bytes([next[16], next[17], next[18], next[19]]) as usize;
            if number == 0 {
                break;
            }
            next = &content[number * 4096..][..4096];
        }
        blobs.push(blob);
    }
    blobs
}

/// An NDB file with one page of slots, of which every second one is free.
fn ndb(blobs: &[Vec<u8>]) -> Vec<u8> {
    let mut slots = Vec::new();
    let mut data: Vec<u8> = Vec::new();
    for (blob, number) in blobs.iter().zip(1_u32..) {
        let blocks = (16 + blob.len() + 12).div_ceil(16);
        let first = 256 + data.len() / 16;
        for words in [[0, 0, 0], [number, first as u32, blocks as u32]] {
            slots.extend_from_slice(b"Slot");
            slots.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        let mut run = b"BlbS".to_vec();
        run.extend([number, 7, blob.len() as u32].iter().flat_map(|word| word.to_le_bytes()));
        run.extend_from_slice(blob);
        run.resize(blocks * 16 - 12, 0);
        run.extend([0, blob.len() as u32].iter().flat_map(|word| word.to_le_bytes()));
        run.extend_from_slice(b"BlbE");
        data.extend(run);
    }
    let mut content = b"RpmP".to_vec();
    content.extend([0_u32, 7, 1, 9, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()));
    content.extend(slots);
    while content.len() < 4096 {
        content.extend_from_slice(b"Slot");
        content.extend([0; 12]);
    }
    content.extend(data);
    content
}

#[test]
fn ndb_is_read_around_free_slots() {
    check_whole("usr/lib/sysimage/rpm/Packages.db", &fixture!("Packages.db"));
    assert_eq!(headers().len(), 5);
    check_whole("usr/lib/sysimage/rpm/Packages.db", &ndb(&headers()));
}

/// Still all packages, and a problem that says what is wrong.
fn check_damaged(path: &str, content: &[u8], packages: usize, detail: &str) {
    let found = analyze(path, content);
    assert_eq!(found.packages.len(), packages, "{detail}");
    assert_eq!(found.problems.len(), 1, "{detail}");
    assert_eq!(found.problems[0].kind, ProblemKind::DatabaseUnreadable);
    assert!(found.problems[0].detail.contains(detail), "{}", found.problems[0].detail);
}

#[test]
fn i4_an_ndb_file_that_lies_is_read_within_bounds() {
    const PATH: &str = "var/lib/rpm/Packages.db";
    let sound = ndb(&headers());
    let changed = |at: usize, bytes: &[u8]| {
        let mut content = sound.clone();
        content[at..at + bytes.len()].copy_from_slice(bytes);
        content
    };
    let second_slot = 32 + 16;
    let huge = [0xff; 4];
    check_damaged(PATH, &changed(second_slot + 12, &huge), 4, "another size than its slot says");
    check_damaged(PATH, &changed(second_slot + 8, &huge), 3, "lies outside the file");
    check_damaged(PATH, &changed(second_slot + 4, &[9, 0, 0, 0]), 3, "is not one");
    check_damaged(PATH, &changed(second_slot + 4, &[0; 4]), 3, "slot 1 is none");
    check_damaged(PATH, &changed(second_slot, b"slot"), 3, "slot 1 is none");
    check_damaged(PATH, &changed(4096 + 12, &huge), 3, "lies outside the file");
    check_damaged(PATH, &changed(12, &huge), 0, "table of slots");
    check_damaged(PATH, &changed(12, &[0; 4]), 0, "table of slots");
    check_damaged(PATH, &changed(0, b"RPMP"), 0, "not an NDB file");
    check_damaged(PATH, b"", 0, "not an NDB file");
}

#[test]
fn i7_slots_that_share_one_blob_do_not_multiply_it() {
    let mut content = ndb(&headers()[..1]);
    let slot = content[32 + 16..32 + 32].to_vec();
    for at in (32..4096).step_by(16) {
        content[at..at + 16].copy_from_slice(&slot);
    }
    let found = analyze("var/lib/rpm/Packages.db", &content);
    assert!(found.packages.len() < 4, "{}", found.packages.len());
    assert!(found.problems[0].detail.contains("on top of each other"), "{:?}", found.problems);
}

#[test]
fn i7_cells_that_share_one_row_do_not_multiply_it() {
    let mut content = fixture!("page-65536.sqlite");
    // A leaf whose array of cells points to the first cell only, as often as there is room.
    for page in content.chunks_mut(65_536).filter(|page| page[0] == 13) {
        let first = [page[8], page[9]];
        let room = usize::from(u16::from_be_bytes([page[5], page[6]]));
        let cells = (room - 8) / 2;
        page[3..5].copy_from_slice(&(cells as u16).to_be_bytes());
        for at in 0..cells {
            page[8 + at * 2..10 + at * 2].copy_from_slice(&first);
        }
    }
    let found = analyze("var/lib/rpm/rpmdb.sqlite", &content);
    assert!(found.packages.len() < 1000, "{}", found.packages.len());
    assert_ne!(found.problems, []);
}

#[test]
fn i7_a_berkeley_db_file_that_lies_neither_hangs_nor_passes() {
    const PATH: &str = "var/lib/rpm/Packages";
    let sound = fixture!("Packages");
    let changed = |at: usize, bytes: &[u8]| {
        let mut content = sound.clone();
        content[at..at + bytes.len()].copy_from_slice(bytes);
        content
    };
    for (at, bytes, detail) in [
        (12, &[0; 4][..], "not a Berkeley DB hash file"),
        (20, &[0; 4], "page size"),
        (20, &[0, 2, 0, 1], "page size"),
        (24, &[1], "encrypted"),
        (25, &[9], "not a Berkeley DB hash file"),
    ] {
        check_damaged(PATH, &changed(at, bytes), 0, detail);
    }
    check_damaged(PATH, &changed(32, &[0xff; 4]), 4, "pages of 4294967296");
    check_damaged(PATH, b"", 0, "not a Berkeley DB hash file");
    let hash_page =
        (1..sound.len() / 4096).map(|page| page * 4096).find(|at| sound[at + 25] == 13 && sound[at + 20] > 2);
    let hash_page = hash_page.unwrap();
    check_damaged(PATH, &changed(hash_page + 20, &[sound[hash_page + 20] - 2]), 3, "lists other items");
    let hidden = analyze(PATH, &changed(hash_page + 25, &[0]));
    assert!(hidden.packages.len() < 4 && hidden.problems[0].detail.contains("belongs to no value"));
    // Every overflow page points to itself.
    let mut looping = sound.clone();
    for (number, page) in looping.chunks_mut(4096).enumerate().filter(|(_, page)| page[25] == 7) {
        page[16..20].copy_from_slice(&(number as u32).to_le_bytes());
    }
    check_damaged(PATH, &looping, 0, "chain of overflow pages");
}

#[test]
fn i4_a_database_cut_off_anywhere_says_so() {
    for (path, content) in [
        ("var/lib/rpm/rpmdb.sqlite", fixture!("page-512.sqlite")),
        ("var/lib/rpm/Packages", fixture!("Packages")),
        ("var/lib/rpm/Packages.db", ndb(&headers())),
    ] {
        let steps = (0..content.len()).step_by(61);
        for end in steps.chain((1..content.len() / 512).map(|page| page * 512)) {
            assert_ne!(analyze(path, &content[..end]).problems, [], "{path} {end}");
        }
    }
}

#[test]
fn committed_pages_of_a_log_count_and_others_do_not() {
    let (database, log) = (fixture!("logged.sqlite"), fixture!("logged.sqlite-wal"));
    let without = analyze("var/lib/rpm/rpmdb.sqlite", &database);
    assert!(!listing(&without).iter().any(|line| line.starts_with("beta|")));
    // The log commits the insertion of beta and then begins, but does not commit, to delete everything.
    check_whole("var/lib/rpm/rpmdb.sqlite", &wal::joined(&database, &log).unwrap());

    let mut torn = log.clone();
    torn[32 + 24 + 100] ^= 1;
    assert_eq!(wal::joined(&database, &torn).unwrap(), database);
    assert_eq!(wal::joined(&database, &[]).unwrap(), database);
    assert_eq!(wal::joined(&database, &log[..31]), Err(wal::WalError::Malformed));
    assert_eq!(wal::joined(&fixture!("page-512.sqlite"), &log), Err(wal::WalError::PageSize));
    assert_eq!(wal::joined(&database[..4096], &log), Err(wal::WalError::MissingPages));
}

#[test]
fn i4_a_log_with_committed_pages_says_that_its_database_lacks_them() {
    const PATH: &str = "var/lib/rpm/rpmdb.sqlite-wal";
    let log = fixture!("logged.sqlite-wal");
    let found = analyze(PATH, &log);
    assert_eq!((found.log_of.as_deref(), found.problems), (Some("rpmdb.sqlite"), Vec::new()));
    check_damaged(PATH, &log[1..], 0, "not a write-ahead log");
    assert_eq!(analyze(PATH, b""), Found::default());
    assert_eq!(analyze(PATH, &log[..32]), Found::default());
    assert_eq!(analyze(PATH, &log[..32 + 24 + 4096]), Found::default());
}

#[test]
fn a_manifest_without_a_database_is_read() {
    const PATH: &str = "var/lib/rpmmanifest/container-manifest-2";
    let text = "openssl-libs\t3.3.0-1.azl3\t1715000000\t1714000000\tMicrosoft Corporation\t(none)\t6718\tx86_64\t0\t\
        openssl-3.3.0-1.azl3.src.rpm\n\
        perl\t5.38.2-1\t1\t2\t(none)\t4\t1\tnoarch\t4\tperl-5.38.2-1.src.rpm\n\
        gpg-pubkey\t1-2\t1\t2\t(none)\t(none)\t0\t(none)\t0\t(none)\n";
    let found = analyze(PATH, text.as_bytes());
    assert_eq!(found.problems, []);
    let expected = [
        "openssl-libs|3.3.0-1.azl3|x86_64|openssl|Microsoft Corporation|(none)|",
        "perl|4:5.38.2-1|noarch|perl|(none)|(none)|",
    ];
    assert_eq!(listing(&found), expected);
    for (damaged, kept) in [("a\t1-1\n", 2), ("a\t\tx\n", 2), ("a\t1-1\t1\t2\tv\t-\t1\tnoarch\tx\ts\n", 2)] {
        check_damaged(PATH, format!("{text}{damaged}").as_bytes(), kept, "line 4");
    }
    check_damaged(PATH, &text.as_bytes()[..text.len() - 1], 2, "in the middle of a line");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn i7_no_bytes_panic(content: Vec<u8>, trigger in 0..Rpm.triggers().len()) {
        let Trigger::Path(path) = Rpm.triggers()[trigger] else { unreachable!() };
        analyze(path, &content);
    }

    #[test]
    fn i4_a_flipped_database_never_lacks_a_package_in_silence(at: prop::sample::Index, bits in 1_u8.., form in 0..4) {
        let (path, mut content) = match form {
            0 => ("var/lib/rpm/Packages", fixture!("Packages")),
            1 => ("var/lib/rpm/Packages", fixture!("Packages-big-endian")),
            2 => ("var/lib/rpm/Packages.db", fixture!("Packages.db")),
            _ => ("var/lib/rpm/rpmdb.sqlite", fixture!("page-512.sqlite")),
        };
        let at = at.index(content.len());
        content[at] ^= bits;
        let found = analyze(path, &content);
        prop_assert!(found.packages.len() >= 4 || !found.problems.is_empty(), "{path} {at}");
    }

    #[test]
    fn i7_a_flipped_log_does_not_panic(at: prop::sample::Index, bits in 1_u8..) {
        let (database, mut log) = (fixture!("logged.sqlite"), fixture!("logged.sqlite-wal"));
        let at = at.index(log.len());
        log[at] ^= bits;
        analyze("var/lib/rpm/rpmdb.sqlite-wal", &log);
        let size = wal::joined(&database, &log).map_or(0, |image| image.len());
        prop_assert!(size <= database.len() + log.len());
    }
}
