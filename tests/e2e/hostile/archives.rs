//! Archives and documents inside of layers: jars that are bombs or two things at once, and texts that are nested too deep.

use std::io::{Cursor, Write};

use anyhow::Result;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::cases::Case;
use super::cases::Expected::{Fails, Read};
use super::cases::of_tar;
use super::layers::Tar;

pub(super) fn all() -> Result<Vec<Case>> {
    let of_file = |name, expected, path: &str, content: Vec<u8>| {
        of_tar(name, expected, Tar::new().file(path, content).finish())
    };
    let pom = ("META-INF/maven/g/a/pom.properties", b"groupId=g\nartifactId=a\nversion=1\n".to_vec());
    let honest = jar(std::slice::from_ref(&pom))?;
    let mut nested = honest.clone();
    for _ in 0..12 {
        nested = jar(&[("BOOT-INF/lib/inner.jar", nested)])?;
    }
    let bomb = jar(&[("META-INF/MANIFEST.MF", vec![b'\n'; 128 << 20])])?;
    let many: Vec<(String, Vec<u8>)> =
        (0..20_000).map(|number| (format!("c/{number}"), Vec::new())).collect();
    let many: Vec<(&str, Vec<u8>)> =
        many.iter().map(|(name, content)| (name.as_str(), content.clone())).collect();
    let deep = |open: &str| open.repeat(100_000).into_bytes();
    let laughs =
        (1..24).fold("lockfileVersion: '9.0'\na0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, level| {
            let one = format!("*a{}", level - 1);
            text + &format!("a{level}: &a{level} [{}]\n", [one.as_str(); 9].join(","))
        });
    Ok(vec![
        of_file("jar-honest", Read, "app/a.jar", honest.clone()),
        of_file("jar-bomb-128-mib", Fails(&["limit-exceeded"]), "app/a.jar", bomb),
        of_file("jar-nested-12-deep", Fails(&["limit-exceeded"]), "app/a.jar", nested),
        of_file("jar-of-20000-entries", Read, "app/a.jar", jar(&many)?),
        of_file("jar-cut", Fails(&["analyzer-failed"]), "app/a.jar", honest[..honest.len() / 2].to_vec()),
        of_file("jar-of-two-views", Fails(&["zip-view-mismatch"]), "app/a.jar", two_views(&honest)),
        of_file("jar-that-is-text", Read, "app/a.jar", b"not a jar".repeat(100)),
        of_file(
            "json-nested-100000",
            Fails(&["analyzer-failed"]),
            "app/node_modules/a/package.json",
            deep("["),
        ),
        of_file("yaml-laughs", Fails(&["analyzer-failed"]), "app/pnpm-lock.yaml", laughs.into_bytes()),
        of_file(
            "toml-nested-100000",
            Fails(&["analyzer-failed"]),
            "app/Cargo.lock",
            [b"a = ".to_vec(), deep("[")].concat(),
        ),
        of_file(
            "php-nested-100000",
            Fails(&["analyzer-failed"]),
            "usr/share/php/.registry/a.reg",
            deep("a:1:{i:0;"),
        ),
        of_file("elf-that-lies", Read, "usr/bin/app", elf_that_lies()),
    ])
}

fn jar(members: &[(&str, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, content) in members {
        archive.start_file(*name, options)?;
        archive.write_all(content)?;
    }
    Ok(archive.finish()?.into_inner())
}

/// The name in the local header is another than that in the directory at the end.
fn two_views(jar: &[u8]) -> Vec<u8> {
    let mut jar = jar.to_vec();
    jar[30..38].copy_from_slice(b"META-XXX");
    jar
}

/// A 64-bit ELF header whose section table lies beyond the end, has 2³² entries and names itself as its names.
fn elf_that_lies() -> Vec<u8> {
    let mut elf = vec![0; 4096];
    elf[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0");
    elf[40..48].copy_from_slice(&64_u64.to_le_bytes());
    elf[52..64].copy_from_slice(&[64, 0, 56, 0, 0xff, 0xff, 64, 0, 0, 0, 0xff, 0xff]);
    // The first section holds the count and the index of the names when the header cannot.
    elf[64 + 32..64 + 40].copy_from_slice(&u64::from(u32::MAX).to_le_bytes());
    elf[64 + 40..64 + 44].copy_from_slice(&u32::MAX.to_le_bytes());
    elf
}
