//! What an SBOM in the image claims counts only where nothing says the same, and takes nothing away.
//!
//! The same holds for a program below `/opt/bitnami`: its component says what it is, with Bitnami's own patches; and for
//! the launcher and the machine of a Java runtime, whose release file says it, with the vendor.

use std::collections::HashSet;

use shared::model::package::{Evidence, PackageKind};

use super::Located;
use crate::advisories::upstream;

/// Drops claims of packages that were seen or claimed before, and programs whose component is known.
pub(super) fn settle(located: &mut Vec<Located<'_, '_>>) {
    let is_claim = |it: &Located<'_, '_>| it.package.package.evidence == Evidence::Claimed;
    if located.iter().any(is_claim) {
        let seen = located.iter().filter(|it| !is_claim(it));
        let mut known: HashSet<String> = seen.map(|it| it.identity().to_owned()).collect();
        located.retain(|it| !is_claim(it) || known.insert(it.identity().to_owned()));
    }
    let components = located.iter().map(|it| &it.package.package);
    let components = components.filter(|package| package.kind == PackageKind::Bitnami);
    let components: HashSet<String> = components.map(|package| package.name.clone()).collect();
    located.retain(|it| {
        let package = &it.package.package;
        let is_told = it.sighting.path.starts_with(b"opt/bitnami/")
            && package.evidence == Evidence::Recognised
            && upstream::places(&package.name).iter().any(|place| components.contains(place.name));
        !is_told
    });
}

/// Drops the launchers of Java runtimes that say themselves what they are, and the machines of those with a launcher.
pub(super) fn settle_runtimes(located: &mut Vec<Located<'_, '_>>) {
    let releases = runtimes(located, b"/release");
    let launchers = runtimes(located, b"/bin/java");
    located.retain(|it| {
        let path = &it.sighting.path;
        if !is_runtime(it) {
            return true;
        }
        let is_told = match path.strip_suffix(b"/bin/java") {
            Some(home) => {
                releases.contains(home)
                    || home.strip_suffix(b"/jre").is_some_and(|home| releases.contains(home))
            }
            // `lib/server/libjvm.so`, up to Java 8 `jre/lib/amd64/server/libjvm.so`.
            None => {
                let is_machine = crate::image::matcher::split(path).1.starts_with(b"libjvm");
                is_machine && above(path).any(|home| releases.contains(home) || launchers.contains(home))
            }
        };
        !is_told
    });
}

fn is_runtime(it: &Located<'_, '_>) -> bool {
    it.package.package.evidence == Evidence::Recognised && it.package.package.name == "openjdk"
}

/// The directories of the Java runtimes that a file of this name tells of.
fn runtimes(located: &[Located<'_, '_>], file: &[u8]) -> HashSet<Vec<u8>> {
    let paths = located.iter().filter(|it| is_runtime(it)).map(|it| &it.sighting.path);
    paths.filter_map(|path| path.strip_suffix(file).map(<[u8]>::to_vec)).collect()
}

/// Drops assemblies of .NET that a list of packages beside or above them tells of.
pub(super) fn settle_assemblies(located: &mut Vec<Located<'_, '_>>) {
    let nuget = |it: &&Located<'_, '_>| it.package.package.kind == PackageKind::NuGet;
    let is_assembly = |it: &Located<'_, '_>| it.package.package.evidence == Evidence::Recognised;
    let lists = located.iter().filter(nuget).filter(|it| !is_assembly(it));
    let homes: HashSet<Vec<u8>> = lists.map(|it| parent(&it.sighting.path).to_vec()).collect();
    located.retain(|it| {
        let is_told = || above(&it.sighting.path).any(|directory| homes.contains(directory));
        !(nuget(&it) && is_assembly(it) && is_told())
    });
}

/// The directories that a file lies in, the nearest first.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(parent(path)), |directory| (!directory.is_empty()).then(|| parent(directory)))
}

fn parent(path: &[u8]) -> &[u8] {
    crate::image::matcher::split(path).0
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

    #[test]
    fn a_claim_adds_what_nobody_saw_and_nothing_else() {
        let manifest = "srv/node_modules/a/package.json";
        let sbom = r#"{"components":[{"purl":"pkg:npm/a@1.0.0?x=y"},{"purl":"pkg:npm/b@2.0.0"}]}"#;
        let puts = [
            file(manifest, r#"{"name":"a","version":"1.0.0"}"#),
            file("srv/bom.json", sbom),
            file("usr/lib/sbom/again.json", sbom),
        ];
        check(&puts, &[("pkg:npm/a@1.0.0", manifest), ("pkg:npm/b@2.0.0", "srv/bom.json")]);
    }

    #[test]
    fn a_launcher_and_a_machine_of_java_are_told_of_by_their_runtime() {
        let head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
        let java = [head.clone(), b"\0openjdk\0java\x0017\x0017.0.15+6\0".to_vec()].concat();
        let machine = [head, b" JRE (17.0.15+6), built on".to_vec()].concat();
        let puts = [
            file("opt/jdk/release", "JAVA_RUNTIME_VERSION=\"17.0.15+6\"\nJAVA_VERSION=\"17.0.15\"\n"),
            file("opt/jdk/bin/java", &java),
            file("opt/jdk/jre/bin/java", &java),
            file("opt/jdk/lib/server/libjvm.so", &machine),
            file("opt/other/bin/java", &java),
            file("opt/other/lib/server/libjvm.so", &machine),
            file("opt/bare/lib/server/libjvm.so", &machine),
        ];
        let purl = "pkg:generic/openjdk@17.0.15%2B6";
        let expected = ["opt/bare/lib/server/libjvm.so", "opt/jdk/release", "opt/other/bin/java"];
        check(&puts, &expected.map(|path| (purl, path)));
    }

    #[test]
    fn an_assembly_is_told_of_by_the_list_of_packages_above_it() {
        let assembly = include_bytes!("../../../fixtures/ClrLoader.dll");
        let list = r#"{"runtimeTarget":{"name":"t"},"targets":{"t":{"A/1.0.0":{"runtime":{"a":{}}}}},
            "libraries":{"A/1.0.0":{"type":"package"}}}"#;
        let puts = [
            file("app/app.deps.json", list),
            file("app/ClrLoader.dll", assembly),
            file("app/runtimes/win/ClrLoader.dll", assembly),
            file("plugins/ClrLoader.dll", assembly),
        ];
        let plugin = ("pkg:nuget/ClrLoader@1.0.0", "plugins/ClrLoader.dll");
        check(&puts, &[("pkg:nuget/A@1.0.0", "app/app.deps.json"), plugin]);
    }

    #[test]
    fn what_a_program_claims_to_belong_to_counts_where_no_package_owns_it() {
        let program = include_bytes!("../../../fixtures/package-note.elf");
        let status = "Package: hello\nStatus: install ok installed\nVersion: 2.10-3\nArchitecture: amd64\n";
        let puts = [
            file("etc/os-release", "ID=debian\nVERSION_ID=12\n"),
            file("var/lib/dpkg/status", status),
            file("var/lib/dpkg/info/hello.list", "/usr/bin/hello\n"),
            file("usr/bin/hello", program),
            file("opt/hello", program),
        ];
        let expected = [
            ("pkg:deb/debian/hello-source@2.10-3?arch=amd64&distro=debian-12", "opt/hello"),
            ("pkg:deb/debian/hello@2.10-3?arch=amd64&distro=debian-12", "var/lib/dpkg/status"),
        ];
        check(&puts, &expected);
    }

    #[test]
    fn a_component_of_bitnami_tells_what_its_program_is() {
        let list = "opt/bitnami/.bitnami_components.json";
        let head = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0".to_vec();
        let node = [head, b"node.js/v20.20.2\0".to_vec()].concat();
        let puts = [
            file(list, r#"{"node":{"version":"20.20.2-1"}}"#),
            file(
                "opt/bitnami/node/.spdx-node.spdx",
                r#"{"packages":[{"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:bitnami/node@20.20.2-1"}]}]}"#,
            ),
            file("opt/bitnami/node/bin/node", &node),
            file("srv/node", &node),
        ];
        let expected = [("pkg:bitnami/node@20.20.2-1", list), ("pkg:generic/node@20.20.2", "srv/node")];
        check(&puts, &expected);
    }
}
