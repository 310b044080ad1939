//! One header blob in, one package and its files out.
//!
//! Names of tags and their meaning: rpm's documentation, "Tags". The version is `version-release`, with
//! `epoch:` before it if the epoch is not zero. Nothing in a binary's header tells the epoch of its source.

use shared::model::package::{Evidence, Package, PackageKind, SourcePackage};

use super::header::{Header, HeaderDamage, Tag};
use crate::analyzers::ledger::{Ledger, text};
use crate::analyzers::{Checksum, OwnedFile, OwnedFiles};

/// What rpm prints and stores for a value that is not there.
const NONE: &str = "(none)";

/// Keys that rpm trusts are kept as if they were packages.
const KEY: &[u8] = b"gpg-pubkey";

/// Enters the package of a header and its files, or the damage.
pub(super) fn enter(blob: &[u8], ledger: &mut Ledger<'_>) {
    match read(blob, ledger) {
        Ok(()) => {}
        Err(damage) => ledger.damage(format_args!("rpm database: {damage}")),
    }
}

fn read(blob: &[u8], ledger: &mut Ledger<'_>) -> Result<(), HeaderDamage> {
    let header = Header::open(blob)?;
    if header.required(Tag::Name)? == KEY {
        return Ok(());
    }
    let package = package(&header)?;
    let owner = (package.name.clone(), package.architecture.clone());
    ledger.package(package);
    let files = files(&header, ledger)?;
    ledger.owner(OwnedFiles { package: owner.0, architecture: owner.1, files });
    Ok(())
}

pub(super) fn package(header: &Header<'_>) -> Result<Package, HeaderDamage> {
    let stated = |tag| header.string(tag).map(|value| value.map(text).and_then(present));
    let name = text(header.required(Tag::Name)?);
    let epoch = header.numbers(Tag::Epoch)?.next().unwrap_or(0);
    let version = text(header.required(Tag::Version)?);
    let version_and_release = format!("{version}-{}", text(header.required(Tag::Release)?));
    Ok(Package {
        kind: PackageKind::Rpm,
        namespace: None,
        name,
        version: full_version(epoch, &version_and_release),
        architecture: stated(Tag::Arch)?,
        source: stated(Tag::SourceRpm)?.as_deref().and_then(|file| source(file, &version_and_release)),
        vendor: stated(Tag::Vendor)?,
        module: stated(Tag::ModularityLabel)?,
        qualifiers: std::collections::BTreeMap::new(),
        licenses: stated(Tag::License)?.into_iter().collect(),
        evidence: Evidence::Installed,
    })
}

/// `epoch:version-release`, where an epoch of zero is the same as none.
pub(super) fn full_version(epoch: u32, version_and_release: &str) -> String {
    match epoch {
        0 => version_and_release.to_owned(),
        epoch => format!("{epoch}:{version_and_release}"),
    }
}

/// A value, unless it says that there is none.
pub(super) fn present(value: String) -> Option<String> {
    (!value.is_empty() && value != NONE).then_some(value)
}

/// `name-version-release.src.rpm`, taken apart from the right, beside the same two of the binary.
///
/// Its epoch is not known: it is taken for the binary's, unless the binary has a version of its own, as many parts of Perl
/// have (`perl-Errno` 1.37 of `perl` 5.38.2). Then its version is what the name says.
pub(super) fn source(file: &str, binary: &str) -> Option<SourcePackage> {
    let stem = file.strip_suffix(".src.rpm").or_else(|| file.strip_suffix(".nosrc.rpm"))?;
    let (version, _release) = stem.rsplit_once('-')?;
    let (name, _version) = version.rsplit_once('-')?;
    let stated = &stem[name.len() + 1..];
    let version = (stated != binary).then(|| stated.to_owned());
    (!name.is_empty()).then(|| SourcePackage { name: name.to_owned(), version })
}

/// The files: directory names are kept once, and each file has the number of its own.
fn files(header: &Header<'_>, ledger: &mut Ledger<'_>) -> Result<Vec<OwnedFile>, HeaderDamage> {
    let directories = header.strings(Tag::DirNames)?.collect::<Result<Vec<_>, _>>()?;
    let algorithm = header.numbers(Tag::FileDigestAlgorithm)?.next().unwrap_or(MD5);
    let count = header.count(Tag::BaseNames)?;
    let digests = header.count(Tag::FileDigests)?;
    if header.count(Tag::DirIndexes)? != count || (digests != 0 && digests != count) {
        return Err(HeaderDamage::Files);
    }
    let mut digests = header.strings(Tag::FileDigests)?;
    let mut files = Vec::new();
    for (name, directory) in header.strings(Tag::BaseNames)?.zip(header.numbers(Tag::DirIndexes)?) {
        if ledger.is_full() {
            break;
        }
        let directory = usize::try_from(directory).ok().and_then(|index| directories.get(index));
        let directory = directory.ok_or(HeaderDamage::Files)?;
        let digest = digests.next().transpose()?.unwrap_or_default();
        files.extend(ledger.file(directory, name?, checksum(algorithm, digest)));
    }
    Ok(files)
}

/// The numbers that OpenPGP gave to hashes; a header without one is from the time of MD5.
const MD5: u32 = 1;
const SHA1: u32 = 2;
const SHA256: u32 = 8;

/// The digest of a file in hexadecimal. Directories, links and files that are made later have none.
fn checksum(algorithm: u32, digest: &[u8]) -> Option<Checksum> {
    if digest.iter().all(|digit| *digit == b'0') {
        return None;
    }
    match algorithm {
        MD5 => decoded(digest).map(Checksum::Md5),
        SHA1 => decoded(digest).map(Checksum::Sha1),
        SHA256 => decoded(digest).map(Checksum::Sha256),
        _ => None,
    }
}

fn decoded<const N: usize>(digest: &[u8]) -> Option<[u8; N]> {
    let mut raw = [0; N];
    hex::decode_to_slice(digest, &mut raw).ok().map(|()| raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_named_from_the_right() {
        for (file, expected) in [
            ("a-1.37-2.azl3.src.rpm", Some(("a", None))),
            ("perl-5.38.2-2.azl3.src.rpm", Some(("perl", Some("5.38.2-2.azl3")))),
            (
                "java-1.8.0-openjdk-1.8.0.402.b06-2.el8.src.rpm",
                Some(("java-1.8.0-openjdk", Some("1.8.0.402.b06-2.el8"))),
            ),
            ("firmware-1-2.nosrc.rpm", Some(("firmware", Some("1-2")))),
            ("a-1.src.rpm", None),
            ("-1-2.src.rpm", None),
            ("a-1-2.x86_64.rpm", None),
            ("(none)", None),
            ("", None),
        ] {
            let source = source(file, "1.37-2.azl3");
            let found = source.as_ref().map(|source| (source.name.as_str(), source.version.as_deref()));
            assert_eq!(found, expected, "{file}");
        }
    }

    #[test]
    fn an_epoch_of_zero_is_none() {
        assert_eq!(full_version(0, "1-2"), "1-2");
        assert_eq!(full_version(4, "1-2"), "4:1-2");
    }

    #[test]
    fn digests_of_nothing_are_no_checksums() {
        assert_eq!(checksum(SHA256, b""), None);
        assert_eq!(checksum(SHA256, &[b'0'; 64]), None);
        assert_eq!(checksum(SHA256, &[b'f'; 64]), Some(Checksum::Sha256([0xff; 32])));
        assert_eq!(checksum(MD5, &[b'f'; 64]), None);
        assert_eq!(checksum(MD5, &[b'f'; 32]), Some(Checksum::Md5([0xff; 16])));
        assert_eq!(checksum(10, &[b'f'; 128]), None);
    }
}
