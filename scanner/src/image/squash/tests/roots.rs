//! Package databases of real formats at home and in other roots: none is passed over, and each root is told of once.

use std::num::NonZeroUsize;

use shared::model::problem::ProblemKind;

use crate::image::Engine;
use crate::image::built::*;
use crate::limits::Limits;

/// The roots that were told of, and how many packages there are in all of them.
fn check(puts: &[Put], roots: &[&str], count: usize) {
    let system = file("etc/os-release", "ID=openwrt\nVERSION_ID=23.05\n");
    let mut source = MemorySource::default();
    let (manifest, _) = Image::of(&[&[system], puts]).into_source(&mut source);
    let engine = Engine::new(Limits::default(), NonZeroUsize::MIN);
    let examination = examine(&engine, source, &manifest.digest).unwrap();
    let problems = examination.problems.iter();
    let nested = problems.filter(|problem| problem.kind == ProblemKind::NestedRoot);
    let found: Vec<_> = nested.map(|problem| problem.path.as_deref().unwrap_or_default()).collect();
    assert_eq!(found, roots, "{:?}", examination.problems);
    assert_eq!(inventory(&examination).packages.len(), count);
}

/// One database of each package manager, each with one package, below `root`.
fn databases(root: &str) -> Vec<Put> {
    let stanza = "Package: a\nVersion: 1\nStatus: install ok installed\n\n";
    let desc = "%NAME%\na\n\n%VERSION%\n1-1\n\n";
    [
        ("var/lib/dpkg/status", stanza),
        ("var/lib/dpkg/status.d/b", "Package: b\nVersion: 1\n"),
        ("lib/apk/db/installed", "P:a\nV:1\n\n"),
        ("var/lib/opkg/status", stanza),
        ("var/lib/pacman/local/a-1-1/desc", desc),
        ("var/db/pkg/dev-libs/a-1/PF", "a-1\n"),
    ]
    .iter()
    .map(|(path, content)| file(&format!("{root}{path}"), content))
    .collect()
}

#[test]
fn databases_at_home_are_no_other_root() {
    check(&databases(""), &[], 6);
    check(&[file("var/lib/opkg/info/a.control", "Package: a\nVersion: 1\n")], &[], 1);
}

#[test]
fn i4_every_database_of_another_root_is_told_of_once_a_root() {
    check(&databases("srv/rootfs/"), &["srv/rootfs"], 6);
    for one in databases("a/") {
        check(&[one], &["a"], 1);
    }
    let many = [databases("a/"), databases("b/"), databases("")].concat();
    check(&many, &["a", "b"], 18);
}
