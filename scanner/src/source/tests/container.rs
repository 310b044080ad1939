//! The container's index, with the `tar` crate as the writer.

use std::io::Read;
use std::path::Path;

use proptest::prelude::*;
use shared::model::digest::Digest;

use super::super::container::Container;
use super::gzip;
use crate::limits::Limits;

fn tar_of(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    fill(&mut tar);
    tar.into_inner().unwrap()
}

fn add(tar: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, name, content).unwrap();
}

/// A name that the crate's safe functions would not write.
fn add_raw(tar: &mut tar::Builder<Vec<u8>>, name: &str, kind: tar::EntryType, content: &[u8]) {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

fn link(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, name: &str, target: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    tar.append_link(&mut header, name, target).unwrap();
}

fn opened(bytes: &[u8], limits: &Limits) -> Result<(tempfile::TempDir, Container), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.tar");
    std::fs::write(&path, bytes).unwrap();
    match Container::open(Path::new(&path), limits) {
        Ok(container) => Ok((directory, container)),
        Err(error) => Err(super::told(&error)),
    }
}

/// Opens the tar plainly and gzipped, and compares what is found under each name.
fn check(tar: &[u8], expected: &[(&str, Option<&[u8]>)]) {
    for bytes in [tar.to_vec(), gzip(tar)] {
        let (_directory, container) = opened(&bytes, &Limits::default()).unwrap();
        for (name, expected) in expected {
            let found = container.read(name).unwrap().map(|(size, mut reader)| {
                let mut content = Vec::new();
                reader.read_to_end(&mut content).unwrap();
                assert_eq!(content.len() as u64, size);
                content
            });
            assert_eq!(found.as_deref(), *expected, "{name}");
            if let (Some(digest), Some(content)) = (container.digest(name), *expected) {
                assert_eq!(digest, Digest::of(content), "{name}");
            }
        }
    }
}

#[test]
fn files_are_found_however_their_names_are_written() {
    let long = format!("{}/layer.tar", "d".repeat(150));
    let tar = tar_of(|tar| {
        add(tar, "a", b"first");
        add(tar, "./b/./c", &[b'x'; 600]);
        add(tar, &long, b"long");
        tar.append_pax_extensions([("path", b"pax/name".as_slice()), ("mtime", b"1.5")]).unwrap();
        add(tar, "short", b"pax");
        add(tar, "empty", b"");
        add(tar, "a", b"second");
    });
    check(
        &tar,
        &[
            ("a", Some(b"second")),
            ("b/c", Some(&[b'x'; 600])),
            (&long, Some(b"long")),
            ("pax/name", Some(b"pax")),
            ("short", None),
            ("empty", Some(b"")),
            ("missing", None),
        ],
    );
}

#[test]
fn ustar_prefixes_are_part_of_the_name() {
    let mut header = tar::Header::new_ustar();
    let name = format!("{}/{}", "p".repeat(90), "n".repeat(90));
    header.set_path(&name).unwrap();
    header.set_size(2);
    header.set_cksum();
    let tar = tar_of(|tar| tar.append(&header, b"ok".as_slice()).unwrap());
    check(&tar, &[(&name, Some(b"ok"))]);
}

#[test]
fn links_are_followed_inside_and_nowhere_else() {
    let tar = tar_of(|tar| {
        add(tar, "id1/layer.tar", b"layer");
        link(tar, tar::EntryType::Symlink, "id2/layer.tar", "../id1/layer.tar");
        link(tar, tar::EntryType::Link, "hard", "id2/layer.tar");
        link(tar, tar::EntryType::Symlink, "out", "../../etc/passwd");
        link(tar, tar::EntryType::Symlink, "absolute", "/etc/passwd");
        link(tar, tar::EntryType::Symlink, "loop", "loop");
        link(tar, tar::EntryType::Symlink, "ping", "pong");
        link(tar, tar::EntryType::Symlink, "pong", "ping");
        add_raw(tar, "../outside", tar::EntryType::Regular, b"x");
        add_raw(tar, "/root", tar::EntryType::Regular, b"x");
        add_raw(tar, "pipe", tar::EntryType::Fifo, b"");
    });
    check(
        &tar,
        &[
            ("id2/layer.tar", Some(b"layer")),
            ("hard", Some(b"layer")),
            ("out", None),
            ("absolute", None),
            ("loop", None),
            ("ping", None),
            ("../outside", None),
            ("outside", None),
            ("/root", None),
            ("root", None),
            ("pipe", None),
        ],
    );
}

#[test]
fn i7_what_is_no_tar_or_too_much_is_refused() {
    let whole = tar_of(|tar| add(tar, "a", &[b'x'; 2000]));
    let few = Limits { archive_entries: 2, header_bytes: 100, layer_bytes: 5000, ..Limits::default() };
    let refused = |bytes: &[u8], limits: &Limits| opened(bytes, limits).err().unwrap_or_default();
    assert!(refused(&whole[..1500], &few).contains("ends inside an entry"));
    assert!(refused(&whole[..300], &few).contains("ends inside a header"));
    assert!(refused(&gzip(&whole[..1500]), &few).contains("ends inside an entry"));
    assert!(refused(&gzip(&whole)[..60], &few).contains("cannot be read"));
    assert!(refused(&[b'x'; 1024], &few).contains("not a tar file"));
    let mut damaged = whole.clone();
    damaged[0] = b'b';
    assert!(refused(&damaged, &few).contains("wrong checksum"));
    let many = tar_of(|tar| (0..3).for_each(|n| add(tar, &n.to_string(), b"")));
    assert!(refused(&many, &few).contains("more than 2 entries"));
    let bomb = gzip(&tar_of(|tar| add(tar, "a", &vec![0; 100_000])));
    assert!(refused(&bomb, &few).contains("more than 5000 bytes after inflating"));
    let long = tar_of(|tar| add(tar, &"n".repeat(300), b""));
    assert!(refused(&long, &few).contains("more than 100 bytes in one header"));
}

#[test]
fn i7_a_size_that_wraps_around_is_refused() {
    let mut header = tar::Header::new_gnu();
    header.set_path("a").unwrap();
    header.set_size(u64::MAX);
    header.set_cksum();
    for bytes in [header.as_bytes().to_vec(), gzip(header.as_bytes())] {
        assert!(opened(&bytes, &Limits::default()).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_panic(at in 0_usize..3000, byte in any::<u8>(), size in any::<[u8; 12]>(), cut in 0_usize..3600) {
        let mut bytes = tar_of(|tar| {
            tar.append_pax_extensions([("path", b"pax/name".as_slice())]).unwrap();
            add(tar, &"n".repeat(120), b"content");
        });
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes[124..136].copy_from_slice(&size);
        let mut header = tar::Header::from_byte_slice(&bytes[..512]).clone();
        header.set_cksum();
        bytes[..512].copy_from_slice(header.as_bytes());
        bytes.truncate(cut.max(1));
        let _ = opened(&bytes, &Limits::default());
    }
}
