//! Where packages are from, where another file says so than the one that says what they are: only here both are seen.
//!
//! npm keeps a list of what it installed, with the registry of each package. A distribution of Python has a file of its
//! own for it (PEP 610). One from a directory of whoever built the image is a project of its own, and whatever the index
//! calls so says nothing about it; one from an archive may be another registry's.

use std::collections::{HashMap, HashSet};

use shared::model::package::{Evidence, Package, PackageKind};

use super::{Located, declared, purl};
use crate::image::matcher::split;

/// The file that says where a distribution of Python is from.
const ORIGIN: &[u8] = b"direct_url.json";

/// Lays what npm's lists say over the packages that they list. Only a list is npm's own word: what a package's file says,
/// its author may have written.
pub(super) fn settle_listed(located: &mut [Located<'_, '_>]) {
    let lists = Lists::of(located);
    if lists.0.is_empty() {
        return;
    }
    for located in located.iter_mut().filter(|located| is_seen_of_npm(located)) {
        if let Some(listed) = lists.about(located) {
            lay(listed, located);
        }
    }
}

/// Lays what is said about origins over distributions of Python; what says where they are from is no second package.
pub(super) fn settle(located: &mut Vec<Located<'_, '_>>) {
    let origins = located.iter().filter(|located| is_origin(located));
    let origins: HashMap<&[u8], Package> =
        origins.map(|located| (directory(located), located.package.package.clone())).collect();
    if origins.is_empty() {
        return;
    }
    let mut described = HashSet::new();
    for located in located.iter_mut().filter(|located| is_python(located) && !is_origin(located)) {
        if let Some(origin) = origins.get(directory(located)) {
            described.insert(directory(located));
            lay(origin, located);
        }
    }
    located.retain(|located| !is_origin(located) || !described.contains(directory(located)));
}

/// The packages of npm's lists that are from registries, by the directory of the list and by identity.
struct Lists<'s>(HashMap<&'s [u8], HashMap<String, Package>>);

impl<'s> Lists<'s> {
    fn of(located: &[Located<'s, '_>]) -> Self {
        let mut lists = HashMap::<_, HashMap<_, _>>::new();
        let listed = located.iter().filter(|located| declared::is_listed(located));
        for located in listed.filter(|located| is_installed(located)) {
            let list = lists.entry(directory(located)).or_default();
            // Of one version from two registries the public one's comes first and counts: advisories speak of it.
            let identity = located.identity().to_owned();
            list.entry(identity).or_insert_with(|| located.package.package.clone());
        }
        Self(lists)
    }

    /// What the nearest list above a package says of it.
    fn about(&self, located: &Located<'_, '_>) -> Option<&Package> {
        let mut lists = declared::ancestors(&located.sighting.path).filter_map(|above| self.0.get(above));
        lists.find_map(|list| list.get(located.identity()))
    }
}

/// Makes a package one of the registry that its origin names, and takes it out of matching where that is none.
fn lay(origin: &Package, located: &mut Located<'_, '_>) {
    let package = &mut located.package.package;
    if origin.evidence == Evidence::Unmatched {
        package.evidence = Evidence::Unmatched;
    }
    package.qualifiers.clone_from(&origin.qualifiers);
    located.package.purl = purl(package, None);
}

fn is_installed(located: &Located<'_, '_>) -> bool {
    located.package.package.evidence == Evidence::Installed
}

/// Whether it is a package of npm by a file of its own.
fn is_seen_of_npm(located: &Located<'_, '_>) -> bool {
    located.package.package.kind == PackageKind::Npm && is_installed(located) && !declared::is_listed(located)
}

fn is_python(located: &Located<'_, '_>) -> bool {
    located.package.package.kind == PackageKind::PyPi
}

fn is_origin(located: &Located<'_, '_>) -> bool {
    is_python(located) && split(&located.sighting.path).1 == ORIGIN
}

fn directory<'s>(located: &Located<'s, '_>) -> &'s [u8] {
    split(&located.sighting.path).0
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use crate::image::Engine;
    use crate::image::built::*;
    use crate::limits::Limits;

    /// What is there, as purl and path.
    fn check(puts: &[Put], expected: &[(&str, &str)]) {
        let mut source = MemorySource::default();
        let (manifest, _) = Image::of(&[puts]).into_source(&mut source);
        let engine = Engine::new(Limits::default(), NonZeroUsize::MIN);
        let examination = examine(&engine, source, &manifest.digest).unwrap();
        let packages = &inventory(&examination).packages;
        let found: Vec<_> = packages.iter().map(|found| (found.purl.as_str(), &*found.path)).collect();
        assert_eq!(found, expected);
    }

    const LIST: &str = "app/node_modules/.package-lock.json";
    const OWN: &str = "app/node_modules/own/package.json";
    const PUBLIC: &str = "app/node_modules/public/package.json";

    fn list(own: &str) -> Put {
        let content = format!(
            r#"{{"packages":{{
            "node_modules/own":{{"version":"1.0.0","resolved":"{own}"}},
            "node_modules/public":{{"version":"1.0.0","resolved":"https://registry.npmjs.org/public.tgz"}}}}}}"#
        );
        file(LIST, content)
    }

    #[test]
    fn a_package_that_npm_lists_from_another_registry_is_one_with_its_name() {
        let own = file(OWN, r#"{"name":"own","version":"1.0.0"}"#);
        let public = file(PUBLIC, r#"{"name":"public","version":"1.0.0"}"#);
        let deeper = "app/node_modules/public/node_modules/own/package.json";
        let elsewhere = "srv/node_modules/own/package.json";
        let private = "pkg:npm/own@1.0.0?repository_url=npm.acme.example";
        check(
            &[
                list("https://ci:secret@npm.acme.example/own.tgz"),
                own.clone(),
                public,
                file(deeper, r#"{"name":"own","version":"1.0.0"}"#),
                file(elsewhere, r#"{"name":"own","version":"1.0.0"}"#),
            ],
            &[
                ("pkg:npm/own@1.0.0", elsewhere),
                (private, OWN),
                (private, deeper),
                ("pkg:npm/public@1.0.0", PUBLIC),
            ],
        );
        check(&[own], &[("pkg:npm/own@1.0.0", OWN)]);
    }

    #[test]
    fn npm_s_list_decides_against_what_the_author_of_a_package_wrote() {
        let written =
            r#"{"name":"public","version":"1.0.0","_resolved":"https://npm.acme.example/public.tgz"}"#;
        check(
            &[list("https://registry.npmjs.org/own.tgz"), file(PUBLIC, written)],
            &[("pkg:npm/own@1.0.0", LIST), ("pkg:npm/public@1.0.0", PUBLIC)],
        );
        check(&[file(PUBLIC, written)], &[("pkg:npm/public@1.0.0?repository_url=npm.acme.example", PUBLIC)]);
    }

    #[test]
    fn a_version_that_npm_lists_from_two_registries_is_the_public_one_s() {
        let both = r#"{"packages":{
            "node_modules/own":{"version":"1.0.0","resolved":"https://npm.acme.example/own.tgz"},
            "node_modules/a/node_modules/own":{"version":"1.0.0","resolved":"https://registry.npmjs.org/own.tgz"}}}"#;
        let own = file(OWN, r#"{"name":"own","version":"1.0.0"}"#);
        check(&[file(LIST, both), own], &[("pkg:npm/own@1.0.0", OWN)]);
    }

    #[test]
    fn a_distribution_from_an_archive_of_another_registry_is_one_with_its_name() {
        let metadata = "s/own-1.0.dist-info/METADATA";
        let origin = |url: &str| {
            let content = format!(r#"{{"url":"{url}","archive_info":{{}}}}"#);
            file("s/own-1.0.dist-info/direct_url.json", content)
        };
        for (url, purl) in [
            (
                "https://ci:secret@pypi.acme.example/own.whl",
                "pkg:pypi/own@1.0?repository_url=pypi.acme.example",
            ),
            ("https://files.pythonhosted.org/own.whl", "pkg:pypi/own@1.0"),
            ("file:///srv/own.whl", "pkg:pypi/own@1.0"),
        ] {
            check(&[file(metadata, "Name: own\nVersion: 1.0\n"), origin(url)], &[(purl, metadata)]);
        }
    }

    #[test]
    fn what_an_sbom_claims_is_no_second_package_of_another_registry() {
        let list = list("https://npm.acme.example/own.tgz");
        let sbom = r#"{"components":[{"purl":"pkg:npm/own@1.0.0"}]}"#;
        check(
            &[list, file(OWN, r#"{"name":"own","version":"1.0.0"}"#), file("app/bom.json", sbom)],
            &[("pkg:npm/own@1.0.0?repository_url=npm.acme.example", OWN), ("pkg:npm/public@1.0.0", LIST)],
        );
    }
}
