//! A package out of its purl, as far as advisories ask for it. Specification: package-url/purl-spec.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use shared::model::package::{Evidence, Level, Package, PackageKind, SourcePackage};

use super::super::lock;
use super::listing::Gap;
use crate::advisories::{ecosystems, names};

/// The package that a purl names, or why it names none. `stated` is the version that its document states beside it, for
/// purls without one.
///
/// Of an OS package the namespace is left out, because the image's distribution decides it; `epoch` of an rpm goes
/// into its version, and `upstream`, with which syft names the source, becomes the source package.
pub(super) fn package(purl: &str, stated: Option<&str>, evidence: Evidence) -> Result<Package, Gap> {
    let purl = purl.strip_prefix("pkg:").ok_or(Gap::UnreadablePurl)?.trim_start_matches('/');
    let purl = purl.split_once('#').map_or(purl, |(purl, _)| purl);
    let (purl, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
    let (kind, path) = purl.split_once('/').ok_or(Gap::UnreadablePurl)?;
    let kind: PackageKind = kind.to_ascii_lowercase().parse().map_err(|_| Gap::UnknownType)?;
    let versioned = path.rsplit_once('@').filter(|(_, version)| !version.contains('/'));
    let (path, version) = versioned.unwrap_or((path, ""));
    let path = decoded(path).ok_or(Gap::UnreadablePurl)?;
    let version = decoded(version).ok_or(Gap::UnreadablePurl)?;
    let (namespace, name) = match path.trim_matches('/').rsplit_once('/') {
        Some((namespace, name)) if kind != PackageKind::Golang => (Some(namespace), name),
        Some(_) | None => (None, path.trim_matches('/')),
    };
    let qualifiers: HashMap<&str, String> = qualifiers
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter_map(|(key, value)| Some((key, decoded(value)?)))
        .collect();
    let mut version = if version.is_empty() {
        stated.filter(|stated| !UNSTATED.contains(stated)).ok_or(Gap::NoVersion)?.to_owned()
    } else {
        version
    };
    let epoch = qualifiers.get("epoch").filter(|epoch| *epoch != "0" && !version.contains(':'));
    if let (PackageKind::Rpm, Some(epoch)) = (kind, epoch) {
        version = format!("{epoch}:{version}");
    }
    let name = names::normalized(ecosystems::of_kind(kind).unwrap_or_default(), name);
    let mut package = lock::package(kind, &name, &version, evidence).ok_or(Gap::UnreadablePurl)?;
    match kind.level() {
        Level::Os => {
            package.architecture = qualifiers.get("arch").cloned();
            package.source = qualifiers.get("upstream").and_then(|source| source_package(source));
        }
        Level::Language => package.namespace = namespace.map(str::to_owned),
    }
    if kind == PackageKind::Bitnami {
        package.architecture = qualifiers.get("arch").cloned();
        package
            .qualifiers
            .extend(qualifiers.get("distro").map(|distro| ("distro".to_owned(), distro.clone())));
    }
    Ok(package)
}

/// How documents say that they do not know a version.
const UNSTATED: [&str; 4] = ["", "NOASSERTION", "NONE", "UNKNOWN"];

/// Whether a purl names a container image.
pub(super) fn is_image(purl: &str) -> bool {
    let kind = purl.strip_prefix("pkg:").and_then(|purl| purl.trim_start_matches('/').split_once('/'));
    kind.is_some_and(|(kind, _)| kind.eq_ignore_ascii_case("oci") || kind.eq_ignore_ascii_case("docker"))
}

/// `openssl@3.0.11-1`, or the name alone; rpm's is a file name and says nothing that can be looked up.
fn source_package(text: &str) -> Option<SourcePackage> {
    let (name, version) = text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
    let usable = !name.is_empty() && !name.ends_with(".src.rpm");
    usable.then(|| SourcePackage { name: name.to_owned(), version: version.map(str::to_owned) })
}

fn decoded(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::model::package::Purl;

    use super::*;

    #[test]
    fn purls_are_read_as_they_are_written() {
        for (text, expected) in [
            ("pkg:npm/%40babel/core@7.0.0", "pkg:npm/%40babel/core@7.0.0"),
            ("pkg:npm/@babel/core@7.0.0", "pkg:npm/%40babel/core@7.0.0"),
            ("pkg:maven/org.x/y@1?type=jar", "pkg:maven/org.x/y@1"),
            ("pkg:golang/github.com/a/b@v1.0.0#sub", "pkg:golang/github.com/a/b@v1.0.0"),
            ("pkg:PyPI/Flask_B@1", "pkg:pypi/flask-b@1"),
            ("pkg:rpm/fedora/a@1-2?arch=x86_64&epoch=3", "pkg:rpm/a@3:1-2?arch=x86_64"),
            (
                "pkg:bitnami/redis@7.4.1-0?arch=arm64&distro=debian-12",
                "pkg:bitnami/redis@7.4.1-0?arch=arm64&distro=debian-12",
            ),
        ] {
            let package = package(text, None, Evidence::Claimed).expect(text);
            assert_eq!(Purl::new(&package, None).as_str(), expected);
        }
        for (text, gap) in [
            ("", Gap::UnreadablePurl),
            ("pkg:npm", Gap::UnreadablePurl),
            ("npm/a@1", Gap::UnreadablePurl),
            ("pkg:npm/a@%ff", Gap::UnreadablePurl),
            ("pkg:npm/@1", Gap::UnreadablePurl),
            ("pkg:npm/a@1 2", Gap::UnreadablePurl),
            ("pkg:npm/a", Gap::NoVersion),
            ("pkg:npm/a@", Gap::NoVersion),
            ("pkg:npm/@a/b", Gap::NoVersion),
            ("pkg:swid/a@1", Gap::UnknownType),
        ] {
            assert_eq!(package(text, None, Evidence::Claimed), Err(gap), "{text}");
        }
        let source = package("pkg:deb/debian/libssl3@3.0?upstream=openssl%403.0", None, Evidence::Claimed);
        assert_eq!(
            source.unwrap().source,
            Some(SourcePackage { name: "openssl".to_owned(), version: Some("3.0".to_owned()) })
        );
    }

    #[test]
    fn a_version_beside_a_purl_is_taken_where_the_purl_has_none() {
        for (text, stated, expected) in [
            ("pkg:npm/@a/b", "2", Ok("2")),
            ("pkg:npm/a@1", "2", Ok("1")),
            ("pkg:rpm/a?epoch=1", "1:2-3", Ok("1:2-3")),
            ("pkg:rpm/a?epoch=1", "2-3", Ok("1:2-3")),
            ("pkg:npm/a", "NOASSERTION", Err(Gap::NoVersion)),
            ("pkg:npm/a", "", Err(Gap::NoVersion)),
        ] {
            let package = package(text, Some(stated), Evidence::Claimed);
            assert_eq!(
                package.as_ref().map(|package| &*package.version),
                expected.as_ref().copied(),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            let _ = package(&text, Some(&text), Evidence::Claimed);
            let _ = package(&format!("pkg:rpm/{text}"), None, Evidence::Claimed);
        }
    }
}
