//! Nix and Guix: packages are directories of a store, named after what they hold, and nothing else lists them in
//! an image that was built without a daemon.
//!
//! `nix/store/<32 characters>-<name>-<version>[-<output>]`. What a profile makes live is not asked: whatever lies
//! in the store can be run. Format: Nix manual, "Store path specification".

use shared::model::layer::LayerIndex;
use shared::model::package::{Evidence, Package, PackageKind, Purl};
use shared::model::report::InstalledPackage;

use crate::image::tree::Tree;

const STORES: [&str; 2] = ["nix/store", "gnu/store"];

/// Characters of the hash in front of a name.
const HASH: usize = 32;

/// Outputs of one build that have paths of their own.
const OUTPUTS: [&str; 10] =
    ["-out", "-dev", "-lib", "-bin", "-man", "-doc", "-info", "-debug", "-devdoc", "-static"];

/// What builds leave in the store besides packages.
const NO_PACKAGES: [&str; 8] = [".drv", ".patch", ".diff", ".zip", ".tgz", ".lock", ".chroot", ".check"];

/// The packages of every store, at most `most`.
pub(super) fn packages(tree: &Tree, most: usize) -> Vec<InstalledPackage> {
    let items = STORES.iter().flat_map(|store| {
        let children = tree.children(store.as_bytes()).into_iter();
        children.map(move |(name, layer)| (*store, name, layer))
    });
    let packages = items.filter_map(|(store, name, layer)| {
        let item = std::str::from_utf8(&name).ok()?;
        let (name, version) = package(item)?;
        let package = Package::new(PackageKind::Nix, name, version, Evidence::Installed);
        Some(InstalledPackage {
            purl: Purl::new(&package, None),
            package,
            path: format!("{store}/{item}"),
            introduced_in: LayerIndex(layer),
            owned_by: None,
            nested_root: None,
        })
    });
    packages.take(most).collect()
}

/// Name and version of a store item; `None` if it has no version, as things have that are no packages.
fn package(item: &str) -> Option<(&str, &str)> {
    let (hash, rest) = item.split_at_checked(HASH)?;
    let is_hash =
        hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z') && !b"eotu".contains(&byte));
    let name = rest.strip_prefix('-').filter(|_| is_hash)?;
    let name = OUTPUTS.iter().find_map(|output| name.strip_suffix(output)).unwrap_or(name);
    let is_other = name.contains(".tar.") || NO_PACKAGES.iter().any(|end| name.ends_with(end));
    let dashes = name.match_indices('-').map(|(at, _)| at);
    let mut versions = dashes.filter(|at| name[at + 1..].starts_with(|first: char| first.is_ascii_digit()));
    let at = versions.next().filter(|at| *at > 0 && !is_other)?;
    Some((&name[..at], &name[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::built::*;

    const HASH: &str = "0c6q3x2rhwqbbkz0lrnzr2cyfjpmiqnf";

    #[test]
    fn a_store_item_is_named_after_its_package() {
        for (item, expected) in [
            ("openssl-3.0.13", Some(("openssl", "3.0.13"))),
            ("openssl-3.0.13-dev", Some(("openssl", "3.0.13"))),
            ("gcc-13.2.0-lib", Some(("gcc", "13.2.0"))),
            ("python3.11-pip-23.3.2", Some(("python3.11-pip", "23.3.2"))),
            ("glibc-2.38-44", Some(("glibc", "2.38-44"))),
            ("bash-interactive", None),
            ("openssl-3.0.13.drv", None),
            ("openssl-3.0.13.tar.gz", None),
            ("CVE-2024-1.patch", None),
            ("-1.0", None),
            ("", None),
        ] {
            assert_eq!(package(&format!("{HASH}-{item}")), expected, "{item}");
        }
        for item in ["", "openssl-3.0.13", "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-a-1", "é-1"] {
            assert_eq!(package(item), None, "{item}");
        }
    }

    #[test]
    fn stores_are_inventoried_as_they_are_visible_without_any_distribution() {
        let path = |item: &str| format!("nix/store/{HASH}-{item}");
        let hello = file(&format!("{}/bin/hello", path("hello-2.12.1")), "x");
        let gone = directory(&path("gone-1.0"));
        let guix = directory(&format!("gnu/store/{HASH}-guile-3.0.9"));
        let whiteout = file(&format!("nix/store/.wh.{HASH}-gone-1.0"), "");
        let examination =
            Image::of(&[&[gone, directory(&path("zlib-1.3"))], &[whiteout, hello], &[guix]]).examine();
        let expected = [
            format!("pkg:nix/guile@3.0.9 at gnu/store/{HASH}-guile-3.0.9 from 2"),
            format!("pkg:nix/hello@2.12.1 at {} from 1", path("hello-2.12.1")),
            format!("pkg:nix/zlib@1.3 at {} from 0", path("zlib-1.3")),
        ];
        assert_eq!(super::super::super::built::packages(&examination), expected);
        assert_eq!(examination.problems, []);
    }

    proptest::proptest! {
        #[test]
        fn i7_no_name_panics(item in "\\PC{0,60}", rest in "\\PC{0,20}") {
            package(&item);
            package(&format!("{HASH}-{rest}"));
        }
    }
}
