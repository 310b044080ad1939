//! Files that say of one root what others say as well.
//!
//! Of several rpm databases one counts, because rpm keeps one and a change of format leaves the old file: the newest
//! format that could be read and has packages. Two files of one format both count, and what could not be read of the
//! others stays a problem.

use std::collections::HashMap;

use shared::model::package::PackageKind;

use super::sightings::{Sighting, Standing};
use crate::image::matcher::split;

/// Newest first: SQLite, NDB, Berkeley DB.
const FORMATS: [&[u8]; 3] = [b"rpmdb.sqlite", b"Packages.db", b"Packages"];

/// Marks databases of older formats than the newest with packages in their root.
pub(super) fn mark(visible: &mut [Sighting<'_>]) {
    let mut newest = HashMap::new();
    let is_counted =
        |sighting: &&mut Sighting<'_>| sighting.standing == Standing::Counted && has_rpms(sighting);
    for sighting in visible.iter_mut().filter(is_counted) {
        if let Some(format) = format(sighting) {
            let newest = newest.entry(sighting.root).or_insert(format);
            *newest = format.min(*newest);
        }
    }
    for sighting in visible.iter_mut().filter(is_counted) {
        let newest = newest.get(&sighting.root).copied();
        if format(sighting).zip(newest).is_some_and(|(format, newest)| format > newest) {
            sighting.standing = Standing::Superseded;
        }
    }
}

/// Whether packages stand both in a list and in a file each: opkg's, and Bitnami's components.
pub(super) fn is_stated_twice(kind: PackageKind) -> bool {
    matches!(kind, PackageKind::Opkg | PackageKind::Bitnami)
}

fn format(sighting: &Sighting<'_>) -> Option<usize> {
    let name = split(&sighting.path).1;
    FORMATS.iter().position(|format| *format == name)
}

fn has_rpms(sighting: &Sighting<'_>) -> bool {
    let mut found = sighting.readings.iter().flat_map(|reading| &reading.found.packages);
    found.any(|found| found.package.kind == PackageKind::Rpm)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::num::NonZeroUsize;

    use shared::model::problem::ProblemKind;

    use crate::image::built::*;
    use crate::image::{Engine, Examination};
    use crate::limits::Limits;

    fn inflated(gzip: &[u8]) -> Vec<u8> {
        let mut content = Vec::new();
        flate2::read::GzDecoder::new(gzip).read_to_end(&mut content).unwrap();
        content
    }

    fn examined(puts: &[Put]) -> Examination {
        let fedora = file("etc/os-release", "ID=fedora\nVERSION_ID=42\n");
        let mut source = MemorySource::default();
        let (manifest, _) = Image::of(&[&[fedora], puts]).into_source(&mut source);
        examine(&Engine::new(Limits::default(), NonZeroUsize::MIN), source, &manifest.digest).unwrap()
    }

    /// The paths of the databases that packages were found in.
    fn check(puts: &[Put], expected: &[&str]) -> Examination {
        let examination = examined(puts);
        let mut paths: Vec<_> = inventory(&examination).packages.iter().map(|found| &*found.path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths, expected);
        examination
    }

    #[test]
    fn what_opkg_states_twice_is_one_package() {
        let control = "Package: libc\nVersion: 1.2.4-4\nArchitecture: x86_64\n";
        let status = format!("{control}Status: install user installed\n\n");
        let lone = control.replace("libc", "zlib");
        let examination = examined(&[
            file("usr/lib/opkg/status", status),
            file("usr/lib/opkg/info/libc.control", control),
            file("usr/lib/opkg/info/zlib.control", lone),
        ]);
        let names: Vec<_> =
            inventory(&examination).packages.iter().map(|found| &*found.package.name).collect();
        assert_eq!(names, ["libc", "zlib"]);
    }

    #[test]
    fn of_several_rpm_databases_the_newest_format_with_packages_counts() {
        let sqlite = || inflated(include_bytes!("../../../fixtures/rpm/rpmdb.sqlite.gz"));
        let ndb = || inflated(include_bytes!("../../../fixtures/rpm/Packages.db.gz"));
        let berkeley = || inflated(include_bytes!("../../../fixtures/rpm/Packages.gz"));
        let (new, older, oldest) =
            ("usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/Packages.db", "var/lib/rpm/Packages");
        let all = check(&[file(new, sqlite()), file(older, ndb()), file(oldest, berkeley())], &[new]);
        assert_eq!(all.problems, []);
        let purl = inventory(&all).packages[0].purl.as_str();
        assert!(purl.starts_with("pkg:rpm/fedora/alpha@") && purl.ends_with("distro=fedora-42"), "{purl}");
        check(&[file(older, ndb()), file(oldest, berkeley())], &[older]);
        let damaged = check(&[file(new, "x"), file(oldest, berkeley())], &[oldest]);
        assert_eq!(kinds(&damaged), [ProblemKind::DatabaseUnreadable]);
        check(
            &[file(new, sqlite()), file("var/lib/rpm/rpmdb.sqlite", sqlite())],
            &[new, "var/lib/rpm/rpmdb.sqlite"],
        );
    }
}
