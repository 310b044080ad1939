//! A package out of its purl, as far as advisories ask for it. Specification: package-url/purl-spec.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use shared::model::package::{Evidence, Level, Package, PackageKind, SourcePackage};

use super::super::lock;
use crate::advisories::{ecosystems, names};

/// The package that a purl names; `None` if it names no version, or is of a type that is not inventoried.
///
/// Of an OS package the namespace is left out, because the image's distribution decides it; `epoch` of an rpm goes
/// into its version, and `upstream`, with which syft names the source, becomes the source package.
pub(in crate::analyzers) fn package(purl: &str, evidence: Evidence) -> Option<Package> {
    let purl = purl.strip_prefix("pkg:")?.trim_start_matches('/');
    let purl = purl.split_once('#').map_or(purl, |(purl, _)| purl);
    let (purl, qualifiers) = purl.split_once('?').unwrap_or((purl, ""));
    let (kind, path) = purl.split_once('/')?;
    let kind: PackageKind = kind.to_ascii_lowercase().parse().ok()?;
    let (path, version) = path.rsplit_once('@').filter(|(_, version)| !version.contains('/'))?;
    let path = decoded(path)?;
    let (namespace, name) = match path.trim_matches('/').rsplit_once('/') {
        Some((namespace, name)) if kind != PackageKind::Golang => (Some(namespace), name),
        Some(_) | None => (None, path.trim_matches('/')),
    };
    let qualifiers: HashMap<&str, String> = qualifiers
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter_map(|(key, value)| Some((key, decoded(value)?)))
        .collect();
    let mut version = decoded(version)?;
    if let (PackageKind::Rpm, Some(epoch)) = (kind, qualifiers.get("epoch").filter(|epoch| *epoch != "0")) {
        version = format!("{epoch}:{version}");
    }
    let name = names::normalized(ecosystems::of_kind(kind).unwrap_or_default(), name);
    let mut package = lock::package(kind, &name, &version, evidence)?;
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
    Some(package)
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
            let package = package(text, Evidence::Claimed).expect(text);
            assert_eq!(Purl::new(&package, None).as_str(), expected);
        }
        for text in [
            "",
            "pkg:npm",
            "pkg:npm/a",
            "pkg:npm/@a/b",
            "pkg:oci/a@1",
            "npm/a@1",
            "pkg:npm/a@%ff",
            "pkg:npm/@1",
        ] {
            assert_eq!(package(text, Evidence::Claimed), None, "{text}");
        }
        let source =
            package("pkg:deb/debian/libssl3@3.0?upstream=openssl%403.0", Evidence::Claimed).unwrap().source;
        assert_eq!(
            source,
            Some(SourcePackage { name: "openssl".to_owned(), version: Some("3.0".to_owned()) })
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text: String) {
            package(&text, Evidence::Claimed);
            package(&format!("pkg:rpm/{text}"), Evidence::Claimed);
        }
    }
}
