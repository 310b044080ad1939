//! The `tar` crate writes, and reads for comparison; what it cannot write is made by hand.

use std::io::Read;

use proptest::prelude::*;

use super::*;

const LIMITS: TarLimits = TarLimits { header_bytes: 1 << 20, name_bytes: 64 << 10, hole_bytes: 512 << 10 };

/// Name, type, and content of every member, or the error that ends them.
fn read(bytes: &[u8]) -> Result<Vec<(String, String, Vec<u8>)>, String> {
    let mut archive = Archive::new(bytes, LIMITS);
    let mut members = Vec::new();
    while let Some(member) = archive.next_member().map_err(|error| error.to_string())? {
        let mut content = Vec::new();
        let whole = archive.by_ref().take(1 << 20).read_to_end(&mut content);
        whole.map_err(|error| error.to_string())?;
        if content.len() < 1 << 20 && member.kind == MemberKind::File {
            assert_eq!(member.size, content.len() as u64);
        }
        let kind = match member.kind {
            MemberKind::File => "file".to_owned(),
            MemberKind::Hardlink { target } => format!("hardlink {}", String::from_utf8_lossy(&target)),
            MemberKind::Symlink { target } => format!("symlink {}", String::from_utf8_lossy(&target)),
            MemberKind::Directory => "directory".to_owned(),
            MemberKind::Special => "special".to_owned(),
            MemberKind::Unknown { flag } => format!("unknown {}", char::from(flag)),
        };
        members.push((String::from_utf8_lossy(&member.name).into_owned(), kind, content));
    }
    Ok(members)
}

fn names(bytes: &[u8]) -> Vec<String> {
    read(bytes).unwrap().into_iter().map(|(name, ..)| name).collect()
}

/// One header and its content, padded.
fn member(flag: u8, name: &str, content: &[u8]) -> Vec<u8> {
    member_with(flag, name, content, |_| {})
}

fn member_with(flag: u8, name: &str, content: &[u8], change: impl FnOnce(&mut tar::Header)) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[156] = flag;
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    change(&mut header);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        block.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
    }
    block
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

#[test]
fn pax_size_decides_how_much_is_skipped() {
    let lying = member_with(b'0', "a", &[b'x'; 1024], |header| header.set_size(0));
    let bytes = [member(b'x', "", &pax(&[("size", "1024")])), lying, member(b'0', "b", b"B"), end()].concat();
    let members = read(&bytes).unwrap();
    assert_eq!(members.len(), 2);
    assert_eq!(members[0].2.len(), 1024);
    assert_eq!(members[1].0, "b");
}

#[test]
fn long_names_come_from_pax_before_gnu_before_the_header() {
    let long = "d/".repeat(100) + "name";
    let gnu = member(b'L', "././@LongLink", format!("{long}\0").as_bytes());
    let gnu_link = member(b'K', "././@LongLink", b"target\0");
    let own = member(b'x', "", &pax(&[("path", "from/pax"), ("linkpath", "pax/link")]));
    assert_eq!(names(&[gnu.clone(), member(b'0', "h", b""), end()].concat()), [&*long]);
    assert_eq!(names(&[own.clone(), member(b'0', "h", b""), end()].concat()), ["from/pax"]);
    let both = [gnu, own.clone(), member(b'0', "h", b""), end()].concat();
    assert_eq!(names(&both), ["from/pax"]);
    let mut archive = Archive::new(&both[..], LIMITS);
    archive.next_member().unwrap();
    assert_eq!(archive.ambiguity(), Some(Ambiguity::TwoNames));
    let links =
        [gnu_link.clone(), own, member(b'2', "l", b""), gnu_link, member(b'2', "m", b""), end()].concat();
    let kinds: Vec<String> = read(&links).unwrap().into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, ["symlink pax/link", "symlink target"]);
}

#[test]
fn global_records_apply_and_steering_ones_are_noted() {
    let harmless = [member(b'g', "", &pax(&[("comment", "git")])), member(b'0', "a", b""), end()].concat();
    let mut archive = Archive::new(&harmless[..], LIMITS);
    assert_eq!(archive.next_member().unwrap().unwrap().name, b"a");
    assert_eq!(archive.ambiguity(), None);
    let steering = [member(b'g', "", &pax(&[("path", "g")])), member(b'0', "a", b""), end()].concat();
    let mut archive = Archive::new(&steering[..], LIMITS);
    assert_eq!(archive.next_member().unwrap().unwrap().name, b"g");
    assert_eq!(archive.ambiguity(), Some(Ambiguity::SteeringGlobal));
}

#[test]
fn capabilities_are_seen_and_binary_attributes_may_hold_nul() {
    let own = member(b'x', "", &pax(&[("SCHILY.xattr.security.capability", "\u{1}\0\0\u{2}")]));
    let bytes = [own, member(b'0', "ping", b""), end()].concat();
    assert!(Archive::new(&bytes[..], LIMITS).next_member().unwrap().unwrap().capability);
}

#[test]
fn what_readers_disagree_about_is_an_error() {
    let good = member(b'0', "a", b"content");
    let mut broken_sum = good.clone();
    broken_sum[0] = b'b';
    let base_256_negative = member_with(b'0', "a", b"", |header| {
        header.as_old_mut().size = [0xff; 12];
    });
    for (bytes, expected) in [
        (broken_sum, "wrong checksum"),
        (good[..700].to_vec(), ""),
        (good[..514].to_vec(), "inside a member"),
        (good[..100].to_vec(), "inside a member"),
        ([good.clone(), vec![0; 512], good.clone()].concat(), "lone zero block"),
        (base_256_negative, "invalid size"),
        ([member(b'x', "", b"99 path=a\n"), good.clone(), end()].concat(), "malformed"),
        ([member(b'x', "", &pax(&[("path", "a\0b")])), good.clone(), end()].concat(), "malformed"),
        ([member(b'x', "", &pax(&[("path", "b")])), end()].concat(), "inside a member"),
    ] {
        match read(&bytes) {
            Ok(_) => assert!(expected.is_empty(), "should be refused: {expected}"),
            Err(error) => assert!(!expected.is_empty() && error.contains(expected), "{error}"),
        }
    }
}

#[test]
fn i7_extended_headers_are_capped_before_they_are_read() {
    for flag in [b'x', b'g', b'L', b'K'] {
        let huge = member_with(flag, "", b"", |header| header.set_size(1 << 33));
        let error = read(&[huge, end()].concat()).unwrap_err();
        assert!(error.contains("the limit is"), "{error}");
    }
}

#[test]
fn the_end_may_lack_zeros_and_what_follows_is_seen() {
    let good = member(b'0', "a", b"");
    assert_eq!(names(&good), ["a"]);
    assert_eq!(names(&[good.clone(), vec![0; 512]].concat()), ["a"]);
    for (after, tail) in [(vec![0; 5000], Tail::Clean), (good.clone(), Tail::NonZero)] {
        let bytes = [good.clone(), end(), after].concat();
        let mut archive = Archive::new(&bytes[..], LIMITS);
        while archive.next_member().unwrap().is_some() {}
        assert_eq!(archive.drain().unwrap(), tail);
    }
}

#[test]
fn old_types_mean_what_they_meant() {
    let bytes = [
        member(0, "dir/", b""),
        member(0, "file", b"1"),
        member(b'7', "contiguous", b"2"),
        member_with(b'1', "hard", b"", |header| header.set_size(5)),
        member(b'3', "device", b""),
        member(b'Z', "odd", b"skipped"),
        member(b'0', "after", b"3"),
        end(),
    ]
    .concat();
    let kinds: Vec<_> = read(&bytes).unwrap().into_iter().map(|(name, kind, _)| (name, kind)).collect();
    let expected = [
        ("dir/", "directory"),
        ("file", "file"),
        ("contiguous", "file"),
        ("hard", "hardlink "),
        ("device", "special"),
        ("odd", "unknown Z"),
        ("after", "file"),
    ];
    assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
}

#[test]
fn sparse_files_of_all_four_formats_expand_to_the_same() {
    // 3 bytes at 2, 2 bytes at 10, 16 in all.
    let expected = b"\0\0abc\0\0\0\0\0de\0\0\0\0".to_vec();
    let old = member_with(b'S', "old", b"abcde", |header| {
        let bytes = header.as_mut_bytes();
        bytes[257..265].copy_from_slice(b"ustar  \0");
        for (position, number) in [2, 3, 10, 2].into_iter().enumerate() {
            let at = 386 + 12 * position;
            bytes[at..at + 12].copy_from_slice(format!("{number:011o}\0").as_bytes());
        }
        bytes[483..495].copy_from_slice(b"00000000020\0");
    });
    let zero = [
        member(
            b'x',
            "",
            &pax(&[
                ("GNU.sparse.size", "16"),
                ("GNU.sparse.numblocks", "2"),
                ("GNU.sparse.offset", "2"),
                ("GNU.sparse.numbytes", "3"),
                ("GNU.sparse.offset", "10"),
                ("GNU.sparse.numbytes", "2"),
            ]),
        ),
        member(b'0', "zero", b"abcde"),
    ]
    .concat();
    let one = [
        member(
            b'x',
            "",
            &pax(&[
                ("GNU.sparse.size", "16"),
                ("GNU.sparse.numblocks", "2"),
                ("GNU.sparse.name", "one"),
                ("GNU.sparse.map", "2,3,10,2"),
            ]),
        ),
        member(b'0', "GNUSparseFile.0/one", b"abcde"),
    ]
    .concat();
    let mut map = b"2\n2\n3\n10\n2\n".to_vec();
    map.resize(512, 0);
    map.extend_from_slice(b"abcde");
    let current = [
        member(
            b'x',
            "",
            &pax(&[
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.name", "current"),
                ("GNU.sparse.realsize", "16"),
            ]),
        ),
        member(b'0', "GNUSparseFile.0/current", &map),
    ]
    .concat();
    let bytes = [old, zero, one, current, member(b'0', "after", b"."), end()].concat();
    let members = read(&bytes).unwrap();
    let names: Vec<&str> = members.iter().map(|(name, ..)| &**name).collect();
    assert_eq!(names, ["old", "zero", "one", "current", "after"]);
    for (name, _, content) in &members[..4] {
        assert_eq!(*content, expected, "{name}");
    }
    let mut archive = Archive::new(&bytes[..], LIMITS);
    let mut skipped = 0;
    while archive.next_member().unwrap().is_some() {
        skipped += 1;
    }
    assert_eq!(skipped, 5, "unread sparse contents are skipped whole");
}

#[test]
fn sparse_maps_that_lie_are_refused() {
    for (map, size) in [
        ("2,3,4,2", "16"),
        ("10,2,2,3", "16"),
        ("2,3,10,3", "16"),
        ("2,3,10,2", "11"),
        ("2,3,10", "16"),
        ("2,3,18446744073709551615,2", "16"),
    ] {
        let records = pax(&[("GNU.sparse.size", size), ("GNU.sparse.map", map)]);
        let bytes = [member(b'x', "", &records), member(b'0', "a", b"abcde"), end()].concat();
        assert!(read(&bytes).unwrap_err().contains("sparse"), "{map} of {size}");
    }
}

/// A file of `size` bytes that stores its last five.
fn mostly_hole(size: u64) -> Vec<u8> {
    let map = format!("{},5", size - 5);
    let records = pax(&[("GNU.sparse.size", &size.to_string()), ("GNU.sparse.map", &map)]);
    [member(b'x', "", &records), member(b'0', "hole", b"abcde")].concat()
}

#[test]
fn i7_holes_are_expanded_within_their_budget_and_passed_over_whatever_their_length() {
    let huge = [mostly_hole(1 << 60), member(b'0', "after", b"."), end()].concat();
    assert!(read(&huge).unwrap_err().contains("holes"));
    let several = [mostly_hole(300 << 10), mostly_hole(300 << 10), end()].concat();
    assert!(read(&several).unwrap_err().contains("holes"), "they are counted together");

    let mut archive = Archive::new(&huge[..], LIMITS);
    archive.next_member().unwrap().unwrap();
    archive.shorten_holes();
    let mut content = Vec::new();
    archive.read_to_end(&mut content).unwrap();
    assert!(content.len() < 1024 && content.ends_with(b"\0abcde"), "{} bytes", content.len());
    assert_eq!(archive.next_member().unwrap().unwrap().name, b"after");
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..1500)
}

proptest! {
    #[test]
    fn the_tar_crate_and_we_read_the_same(
        files in proptest::collection::vec(("[a-z]{1,60}(/[a-z]{1,90}){0,3}", content(), any::<bool>()), 0..8),
    ) {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content, is_gnu) in &files {
            let mut header = if *is_gnu { tar::Header::new_gnu() } else { tar::Header::new_ustar() };
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, path, &content[..]).unwrap();
        }
        let bytes = builder.into_inner().unwrap();
        let expected: Vec<_> = files
            .iter()
            .map(|(path, content, _)| (path.clone(), "file".to_owned(), content.clone()))
            .collect();
        prop_assert_eq!(read(&bytes).unwrap(), expected);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_flipped_byte_panics(at in 0_usize..4096, byte in any::<u8>(), fix in any::<bool>()) {
        let mut map = b"1\n0\n5\n".to_vec();
        map.resize(512, 0);
        map.extend_from_slice(b"abcde");
        let records = [("GNU.sparse.major", "1"), ("GNU.sparse.realsize", "16"), ("path", "p")];
        let mut bytes = [
            member(b'x', "", &pax(&records)),
            member(b'0', "a", &map),
            member(b'S', "b", b""),
            end(),
        ]
        .concat();
        let at = at % bytes.len();
        bytes[at] = byte;
        if fix {
            // With right checksums the damage reaches what lies behind them.
            let block = at / 512 * 512;
            let mut header = tar::Header::from_byte_slice(&bytes[block..block + 512]).clone();
            header.set_cksum();
            bytes[block..block + 512].copy_from_slice(header.as_bytes());
        }
        let _ = read(&bytes);
    }
}
