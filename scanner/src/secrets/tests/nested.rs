//! What is packed inside of files is found there, however its bytes come, and within limits.

use std::io::Write as _;

use proptest::prelude::*;

use super::samples::{HEX, WORD, noise, summed};
use super::{found, rules};
use crate::secrets::{Extent, Secrets};

/// A path, what a text is packed into there, and what that is called: git's objects and packs, gzip.
fn packed(text: &str) -> [(String, Vec<u8>, &'static str); 3] {
    let deflate = |bytes: &[u8]| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let object = deflate(format!("blob {}\0{text}", text.len()).as_bytes());
    let mut pack = b"PACK\0\0\0\x02\0\0\0\x02".to_vec();
    pack.push(0x33);
    pack.extend(deflate(b"abc"));
    // A delta against an object by name.
    let size = text.len();
    pack.extend([0xf0 | (size & 0x0f) as u8, 0x80 | (size >> 4 & 0x7f) as u8, (size >> 11) as u8]);
    pack.extend([7; 20]);
    pack.extend(deflate(text.as_bytes()));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let name = noise(38, HEX);
    [
        (format!("app/.git/objects/ab/{name}"), object, "git object"),
        (format!("app/.git/objects/pack/pack-{name}.pack"), pack, "git pack"),
        ("var/log/old.log.gz".to_owned(), gzip, "gzip"),
    ]
}

#[test]
fn git_objects_packs_and_gzip_are_looked_into() {
    for (path, content, inner) in packed(&format!("export TOKEN={}\n", summed(&format!("gh{}", "p_")))) {
        let found = found(&path, &content);
        assert_eq!(found.first().map(|found| found.rule.as_str()), Some("TW-SEC-GITHUB-TOKEN"), "{path}");
        assert_eq!(found[0].inner_path.as_deref(), Some(inner));
        let cut = &content[..content.len() / 2];
        let _ = rules(&path, cut);
    }
}

#[test]
fn what_stands_before_damage_is_searched_however_the_bytes_come() {
    let text = format!("export TOKEN={}\n{}", summed(&format!("gh{}", "p_")), noise(3000, HEX));
    let secrets = Secrets::built_in();
    for (path, mut content, inner) in packed(&text) {
        let at = content.len() * 4 / 5;
        content[at..].fill(0xb3);
        for piece in [1, 100, content.len()] {
            let mut search = secrets.search(path.as_bytes(), content.len() as u64);
            content.chunks(piece).for_each(|piece| search.feed(piece));
            let found = search.finish().found;
            assert_eq!(found.len(), 1, "{inner}, {piece} bytes at a time");
        }
    }
}

#[test]
fn i7_a_bomb_in_a_git_object_is_unpacked_only_so_far() {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..200 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let path = format!(".git/objects/ab/{}", noise(38, HEX));
    let secrets = Secrets::built_in();
    let extent = |content: &[u8]| {
        let mut search = secrets.search(path.as_bytes(), content.len() as u64);
        content.chunks(4096).for_each(|piece| search.feed(piece));
        let searched = search.finish();
        assert!(searched.found.is_empty());
        searched.extent
    };
    assert_eq!(extent(&bomb), Extent::Part);
    assert_eq!(extent(&bomb[..1000]), Extent::Whole);
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(content: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn xz(content: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

fn zip(entries: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, content) in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn files_of_archives_are_searched_under_their_own_names() {
    let token = summed(&format!("gh{}", "p_"));
    let text = format!("a\ntoken = {token}\n");
    let (stored, deflated) = (zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated);
    let class = [b"\xca\xfe\xba\xbe\0\0".as_slice(), &[7; 3000]].concat();
    let jar = zip(&[("A.class", &class), ("x.bin", &class), ("config/a.txt", text.as_bytes())], deflated);
    let spring = zip(&[("BOOT-INF/lib/in.jar", &jar), ("b.txt", b"nothing")], stored);
    let tar = tar(&[("empty", b""), ("srv/a.txt", text.as_bytes()), ("z", &class)]);
    let zstd = |content: &[u8]| zstd::encode_all(content, 3).unwrap();
    let nested = zip(&[("lib/in.jar", &jar)], deflated);
    let deep = zip(&[("logs/old.tar.gz", &gzip(&tar)), ("c.bin", &class)], deflated);
    let secrets = Secrets::built_in();
    for (path, content, inner) in [
        ("app/a.jar", jar, "config/a.txt"),
        ("app/b.jar", spring, "BOOT-INF/lib/in.jar!/config/a.txt"),
        ("app/c.zip", zip(&[("c", text.as_bytes())], stored), "c"),
        ("app/e.tgz", gzip(&tar), "srv/a.txt"),
        ("app/e.tar.bz2", bzip2(&tar), "srv/a.txt"),
        ("app/e.tar.xz", xz(&tar), "srv/a.txt"),
        ("app/e.tar.zst", zstd(&tar), "srv/a.txt"),
        ("app/d.tar", tar, "srv/a.txt"),
        ("app/f.txt.gz", gzip(text.as_bytes()), "gzip"),
        ("app/f.txt.bz2", bzip2(text.as_bytes()), "bzip2"),
        ("app/f.txt.xz", xz(text.as_bytes()), "xz"),
        ("app/f.txt.zst", zstd(text.as_bytes()), "zstd"),
        ("app/g.zip", nested, "lib/in.jar!/config/a.txt"),
        ("app/h.zip", deep, "logs/old.tar.gz!/srv/a.txt"),
    ] {
        for step in [1, 7, 1000, content.len()] {
            let mut search = secrets.search(path.as_bytes(), content.len() as u64);
            content.chunks(step).for_each(|piece| search.feed(piece));
            let found = search.finish().found;
            let places: Vec<_> =
                found.iter().map(|found| (found.inner_path.as_deref(), found.line)).collect();
            assert_eq!(places, [(Some(inner), Some(2))], "{path} by {step}");
        }
    }
}

/// What a decoder says of damage depends on how much it was given.
#[test]
fn what_is_found_in_a_broken_stream_does_not_depend_on_the_pieces() {
    let token = summed(&format!("gh{}", "p_"));
    let text = format!("{}\ntoken = {token}\n{}", noise(9000, HEX), noise(9000, WORD));
    let secrets = Secrets::built_in();
    for (name, packed) in [
        ("a.gz", gzip(text.as_bytes())),
        ("a.bz2", bzip2(text.as_bytes())),
        ("a.xz", xz(text.as_bytes())),
        ("a.zst", zstd::encode_all(text.as_bytes(), 3).unwrap()),
    ] {
        for at in (0..packed.len()).step_by(packed.len() / 7) {
            let mut broken = packed.clone();
            broken[at..].iter_mut().take(9).for_each(|byte| *byte ^= 0x5b);
            let found = |piece: usize| {
                let mut search = secrets.search(name.as_bytes(), broken.len() as u64);
                broken.chunks(piece).for_each(|piece| search.feed(piece));
                search.finish().found
            };
            assert_eq!(found(broken.len()), found(17), "{name} broken at {at}");
        }
    }
}

/// What is beyond a limit is said, whatever it is packed in.
#[test]
fn i7_archives_in_archives_are_unpacked_only_so_far() {
    let stored = zip::CompressionMethod::Stored;
    let zeros = vec![0; 8 << 20];
    let many = vec![gzip(&zeros); 9];
    let names: Vec<String> = (0..many.len()).map(|number| format!("{number}.bin")).collect();
    let bombs: Vec<(&str, &[u8])> =
        names.iter().zip(&many).map(|(name, bomb)| (name.as_str(), bomb.as_slice())).collect();
    let onion = |layers: usize| (0..layers).fold(b"nothing".to_vec(), |inner, _| gzip(&inner));
    for (path, content, expected) in [
        ("a.zip", zip(&bombs, stored), Extent::Part),
        ("a.tar.gz", gzip(&tar(&bombs)), Extent::Part),
        ("a.gz", gzip(&gzip(&zeros)), Extent::Part),
        ("a.gz", onion(6), Extent::Whole),
        ("a.gz", onion(7), Extent::Part),
        ("a.gz", onion(60), Extent::Part),
    ] {
        let secrets = Secrets::built_in();
        let mut search = secrets.search(path.as_bytes(), content.len() as u64);
        search.feed(&content);
        assert_eq!(search.finish().extent, expected, "{path} of {}", content.len());
    }
}

#[test]
fn a_compressed_file_of_settings_is_looked_at_as_settings() {
    let settings = format!("DB_PASSWORD={}\n", noise(24, WORD));
    assert_eq!(rules("srv/app.env.gz", &gzip(settings.as_bytes())), ["TW-SEC-ASSIGNMENT"]);
    assert_eq!(rules("srv/app.txt.gz", &gzip(settings.as_bytes())), [""; 0]);
}

#[test]
fn settings_in_an_archive_are_looked_at_as_settings() {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer
        .start_file("BOOT-INF/classes/application.properties", zip::write::SimpleFileOptions::default())
        .unwrap();
    writer.write_all(b"spring.datasource.password=Xk29fLq81mZpT4\n").unwrap();
    let jar = writer.finish().unwrap().into_inner();
    let secrets = Secrets::built_in();
    let mut search = secrets.search(b"app/app.jar", jar.len() as u64);
    search.feed(&jar);
    let found = search.finish().found;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].inner_path.as_deref(), Some("BOOT-INF/classes/application.properties"));
}

proptest! {
    #[test]
    fn i7_damaged_archives_end(content in proptest::collection::vec(any::<u8>(), 0..3000), step in 1_usize..700) {
        let secrets = Secrets::built_in();
        for path in ["a.zip", "a.tar", "a.tgz", "a.xz"] {
            for start in [&b""[..], b"PK\x03\x04", b"PK\x03\x04\x14\0\0\0\x08\0", b"\x1f\x8b\x08\0", b"BZh91AY&SY", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"] {
                let content = [start, &content].concat();
                let mut search = secrets.search(path.as_bytes(), content.len() as u64);
                content.chunks(step).for_each(|piece| search.feed(piece));
                search.finish();
            }
        }
    }
}
