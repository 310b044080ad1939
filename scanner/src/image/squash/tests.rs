//! Layers over layers: one promise a test, and a naive extraction to compare random stacks with.

use shared::model::observation::ObservationKind;
use shared::model::package::{Evidence, Purl};
use shared::model::problem::ProblemKind;

use crate::image::built::*;

mod declared;
mod model;
mod roots;

fn check(layers: &[&[Put]], expected: &[&str]) {
    assert_eq!(packages(&Image::of(layers).examine()), expected);
}

const DPKG: &str = "var/lib/dpkg/status";
const APK: &str = "lib/apk/db/installed";

fn debian() -> Put {
    file("etc/os-release", "debian 12")
}

#[test]
fn a_whiteout_hides_lower_layers_whatever_its_place_in_the_tar() {
    let lower: &[Put] = &[file("d/a.jar", "a 1"), file("d/b.jar", "b 1")];
    check(&[lower, &[file("d/.wh.a.jar", "")]], &["pkg:maven/b@1 at d/b.jar from 0"]);
    check(&[lower, &[file(".wh.d", "")]], &[]);
    for upper in
        [[file("d/.wh.a.jar", ""), file("d/a.jar", "a 2")], [file("d/a.jar", "a 2"), file("d/.wh.a.jar", "")]]
    {
        check(&[lower, &upper], &["pkg:maven/a@2 at d/a.jar from 1", "pkg:maven/b@1 at d/b.jar from 0"]);
    }
}

#[test]
fn an_opaque_marker_hides_only_lower_children() {
    let lower: &[Put] = &[file("d/a.jar", "a 1"), file("e.jar", "e 1")];
    check(
        &[lower, &[file("d/b.jar", "b 1"), file("d/.wh..wh..opq", "")]],
        &["pkg:maven/b@1 at d/b.jar from 1", "pkg:maven/e@1 at e.jar from 0"],
    );
    check(&[lower, &[file(".wh..wh..opq", "")]], &[]);
}

#[test]
fn a_directory_replaced_by_anything_else_takes_its_packages_along() {
    let lower: &[Put] = &[file("d/a.jar", "a 1"), file("e/b.jar", "b 1")];
    check(&[lower, &[symlink("d", "e")]], &["pkg:maven/b@1 at e/b.jar from 0"]);
    check(&[lower, &[file("d", "text")]], &["pkg:maven/b@1 at e/b.jar from 0"]);
    check(
        &[lower, &[directory("d")]],
        &["pkg:maven/a@1 at d/a.jar from 0", "pkg:maven/b@1 at e/b.jar from 0"],
    );
}

#[test]
fn a_distribution_from_a_directory_is_known_and_not_matched() {
    let metadata = file("s/a-1.dist-info/METADATA", "a 1");
    let origin = file("s/a-1.dist-info/direct_url.json", "a 1");
    let other = file("s/b-1.dist-info/METADATA", "b 1");
    let evidence = |layers: &[&[Put]]| -> Vec<_> {
        let examined = Image::of(layers).examine();
        let packages = inventory(&examined).packages.iter();
        packages.map(|package| (package.package.name.clone(), package.package.evidence)).collect()
    };
    let [a, b] = ["a", "b"].map(str::to_owned);
    assert_eq!(
        evidence(&[&[metadata.clone(), other.clone()], std::slice::from_ref(&origin)]),
        [(a.clone(), Evidence::Unmatched), (b.clone(), Evidence::Installed)]
    );
    let gone = file("s/a-1.dist-info/.wh.direct_url.json", "");
    assert_eq!(
        evidence(&[&[metadata, origin, other], &[gone]]),
        [(a, Evidence::Installed), (b, Evidence::Installed)]
    );
}

#[test]
fn evidence_overwritten_by_something_uninteresting_is_gone() {
    check(&[&[file("a.jar", "a 1")], &[file("a.jar", "")]], &[]);
    check(&[&[debian(), file(DPKG, "bash 5")], &[file(DPKG, "")]], &[]);
    check(&[&[file("a.jar", "a 1"), file("a.jar", "b 1")]], &["pkg:maven/b@1 at a.jar from 0"]);
    check(&[&[file("a.jar", "a 1"), file("a.jar", "")]], &[]);
}

#[test]
fn a_package_removed_and_installed_again_is_of_the_later_layer() {
    check(
        &[
            &[debian(), file(DPKG, "bash 5\ncurl 8")],
            &[file(DPKG, "bash 5")],
            &[file(DPKG, "bash 5\ncurl 8")],
        ],
        &[
            "pkg:deb/debian/bash@5?distro=debian-12 at var/lib/dpkg/status from 0",
            "pkg:deb/debian/curl@8?distro=debian-12 at var/lib/dpkg/status from 2",
        ],
    );
    check(
        &[&[file("a.jar", "a 1")], &[file(".wh.a.jar", "")], &[file("a.jar", "a 1")]],
        &["pkg:maven/a@1 at a.jar from 2"],
    );
}

#[test]
fn a_database_rewritten_by_every_layer_blames_each_for_its_own() {
    check(
        &[
            &[debian(), file(DPKG, "bash 5")],
            &[file(DPKG, "bash 5\ncurl 8")],
            &[file(DPKG, "bash 5\ncurl 8\njq 1")],
            &[file("other", "")],
            &[file(DPKG, "bash 5\ncurl 9\njq 1")],
        ],
        &[
            "pkg:deb/debian/bash@5?distro=debian-12 at var/lib/dpkg/status from 0",
            "pkg:deb/debian/curl@9?distro=debian-12 at var/lib/dpkg/status from 4",
            "pkg:deb/debian/jq@1?distro=debian-12 at var/lib/dpkg/status from 2",
        ],
    );
}

#[test]
fn a_database_written_through_a_merged_directory_is_one_database() {
    let alpine = file("etc/os-release", "alpine 3.23");
    let lower: &[Put] = &[alpine, symlink("lib", "usr/lib"), file("usr/lib/apk/db/installed", "musl 1")];
    check(
        &[lower, &[file(APK, "musl 1\nzlib 1")]],
        &[
            "pkg:deb/alpine/musl@1?distro=alpine-3.23 at usr/lib/apk/db/installed from 0",
            "pkg:deb/alpine/zlib@1?distro=alpine-3.23 at usr/lib/apk/db/installed from 1",
        ],
    );
}

#[test]
fn a_database_behind_links_is_read_once() {
    let expected = "pkg:deb/debian/bash@5?distro=debian-12 at opt/real from 0";
    check(&[&[debian(), file("opt/real", "bash 5"), symlink(DPKG, "/opt/real")]], &[expected]);
    check(&[&[debian(), file("opt/real", "bash 5")], &[symlink(DPKG, "../../../opt/real")]], &[expected]);
    check(
        &[
            &[debian(), file("opt/real", "bash 5")],
            &[symlink("var/lib/dpkg", "/opt"), symlink("opt/status", "real")],
        ],
        &[expected],
    );
    check(
        &[&[
            debian(),
            symlink("var/lib/dpkg", "../../../../usr/share/dpkg"),
            file("usr/share/dpkg/status", "bash 5"),
        ]],
        &["pkg:deb/debian/bash@5?distro=debian-12 at usr/share/dpkg/status from 0"],
    );
}

#[test]
fn a_database_that_is_a_hard_link_is_read() {
    let expected = "pkg:deb/debian/bash@5?distro=debian-12 at var/lib/dpkg/status from";
    check(
        &[&[debian(), file("opt/real", "bash 5"), hardlink(DPKG, "opt/real")]],
        &[&format!("{expected} 0")],
    );
    check(
        &[&[debian(), file("opt/real", "bash 5")], &[hardlink(DPKG, "opt/real")]],
        &[&format!("{expected} 1")],
    );
    check(
        &[&[debian(), file("opt/real", "bash 5")], &[hardlink(DPKG, "opt/real"), file("opt/real", "evil 1")]],
        &[&format!("{expected} 1")],
    );
}

#[test]
fn a_hard_link_keeps_what_its_other_name_loses() {
    let lower: &[Put] = &[file("a.jar", "a 1"), hardlink("b.jar", "a.jar")];
    check(&[lower], &["pkg:maven/a@1 at a.jar from 0", "pkg:maven/a@1 at b.jar from 0"]);
    check(&[lower, &[file(".wh.a.jar", "")]], &["pkg:maven/a@1 at b.jar from 0"]);
    let binary: &[Put] = &[file("git", "\x7fELFgo 1"), hardlink("git-add", "git"), hardlink("git-rm", "git")];
    check(&[binary], &["pkg:golang/go@1 at git from 0"]);
    check(&[binary, &[file(".wh.git", "")]], &["pkg:golang/go@1 at git-add from 0"]);
}

#[test]
fn i4_a_wanted_hard_link_to_nothing_is_reported() {
    let examination = Image::of(&[&[hardlink("a.jar", "nowhere"), hardlink("plain", "nowhere")]]).examine();
    assert_eq!(kinds(&examination), [ProblemKind::LayerMalformed]);
    assert_eq!(examination.problems[0].path.as_deref(), Some("a.jar"));
    check(&[&[file("a.jar", "a 1"), hardlink("a.jar", "a.jar")]], &["pkg:maven/a@1 at a.jar from 0"]);
}

#[test]
fn i7_symlink_loops_end() {
    let loops: &[Put] =
        &[symlink("a", "b"), symlink("b", "a"), symlink("var", "var/x"), symlink("self", ".")];
    check(
        &[&[file("x.jar", "x 1")], loops, &[file("a/y.jar", "y 1"), file("var/z.jar", "z 1")]],
        &["pkg:maven/x@1 at x.jar from 0"],
    );
    check(&[loops, &[file("self/self/y.jar", "y 1")]], &["pkg:maven/y@1 at y.jar from 1"]);
}

#[test]
fn links_never_leave_the_root() {
    check(
        &[
            &[symlink("etc", "/../../real"), symlink("opt", "../../../real")],
            &[file("etc/a.jar", "a 1"), file("opt/b.jar", "b 1")],
        ],
        &["pkg:maven/a@1 at real/a.jar from 1", "pkg:maven/b@1 at real/b.jar from 1"],
    );
}

#[test]
fn missing_parents_are_implied_and_later_entries_win() {
    check(&[&[file("a/b/c.jar", "c 1")]], &["pkg:maven/c@1 at a/b/c.jar from 0"]);
    check(&[&[file("a.jar", "a 1"), file("a.jar/b.jar", "b 1")]], &["pkg:maven/b@1 at a.jar/b.jar from 0"]);
}

#[test]
fn the_same_layer_twice_is_applied_twice() {
    let (one, two): (&[Put], &[Put]) = (&[file("a.jar", "a 1")], &[file("a.jar", "a 2")]);
    check(&[one, two, one], &["pkg:maven/a@1 at a.jar from 2"]);
}

#[test]
fn the_distribution_is_found_through_links_and_in_order() {
    let distribution = |layers: &[&[Put]]| {
        let examination = Image::of(layers).examine();
        let distribution = inventory(&examination).distribution.clone();
        distribution.map(|distribution| format!("{} {}", distribution.id, distribution.version))
    };
    let real = file("usr/lib/os-release", "debian 12");
    let old = file("etc/debian_version", "debian old");
    assert_eq!(
        distribution(&[&[real.clone(), symlink("etc/os-release", "../usr/lib/os-release")]]).unwrap(),
        "debian 12"
    );
    assert_eq!(distribution(&[&[real.clone(), old.clone()]]).unwrap(), "debian 12");
    assert_eq!(distribution(&[std::slice::from_ref(&old)]).unwrap(), "debian old");
    assert_eq!(
        distribution(&[std::slice::from_ref(&real), &[file("etc/os-release", "mine 1")]]).unwrap(),
        "mine 1"
    );
    assert_eq!(distribution(&[&[real], &[file("usr/lib/.wh.os-release", "")]]), None);
    let odd = [file("opt/release", "odd 1"), symlink("etc/os-release", "/opt/release")];
    assert_eq!(distribution(&[&odd]).unwrap(), "odd 1");
}

#[test]
fn i4_a_database_without_a_distribution_is_reported_and_no_database_is_fine() {
    for layers in
        [&[file(DPKG, "bash 5")][..], &[file(DPKG, "")], &[file("var/lib/dpkg/status.d/x", "bash 5")]]
    {
        assert_eq!(kinds(&Image::of(&[layers]).examine()), [ProblemKind::UnknownDistribution]);
    }
    assert_eq!(kinds(&Image::of(&[&[file("a.jar", "a 1")]]).examine()), []);
}

#[test]
fn another_root_inside_the_image_is_never_mixed_with_the_images_own() {
    for nested in [
        file("rootfs/var/lib/dpkg/status", "evil 1"),
        file("rootfs/var/lib/dpkg/status.d/x", "evil 1"),
        hardlink("rootfs/var/lib/dpkg/status.d/x", "opt/evil"),
    ] {
        let evil = file("opt/evil", "evil 1");
        let release = file("rootfs/usr/lib/os-release", "ubuntu 22.04");
        let link = symlink("rootfs/etc/os-release", "/etc/os-release");
        let neighbour = file("rootfs-2/usr/lib/os-release", "ubuntu 22.04");
        let to_neighbour = symlink("rootfs/etc/os-release", "/rootfs-2/usr/lib/os-release");
        for (release, purl) in [
            (release, "pkg:deb/ubuntu/evil@1?distro=ubuntu-22.04"),
            (link, "pkg:deb/evil@1"),
            (to_neighbour, "pkg:deb/evil@1"),
        ] {
            let puts =
                [debian(), file(DPKG, "bash 5"), evil.clone(), nested.clone(), neighbour.clone(), release];
            let examination = Image::of(&[&puts]).examine();
            let found = &inventory(&examination).packages;
            let roots = found.iter().map(|package| (package.purl.as_str(), package.nested_root.as_deref()));
            let mut expected = vec![("pkg:deb/debian/bash@5?distro=debian-12", None), (purl, Some("rootfs"))];
            expected.sort_unstable();
            assert_eq!(roots.collect::<Vec<_>>(), expected);
            assert_eq!(kinds(&examination), [ProblemKind::NestedRoot]);
            assert_eq!(examination.problems[0].path.as_deref(), Some("rootfs"));
        }
    }
    let gone = Image::of(&[&[file("r/var/lib/dpkg/status", "x 1")], &[file(".wh.r", "")]]).examine();
    assert_eq!(kinds(&gone), []);
}

#[test]
fn packages_of_another_root_own_its_files_and_no_others() {
    let metadata = |root: &str| file(&format!("{root}usr/lib/a-1.dist-info/METADATA"), "a 1");
    let release = file("r/etc/os-release", "ubuntu 22.04");
    let listed = file("r/var/lib/dpkg/status", "py 1\nowns py usr/lib/a-1.dist-info/METADATA");
    let examination = Image::of(&[&[debian(), metadata(""), metadata("r/"), release, listed]]).examine();
    let found = inventory(&examination).packages.iter();
    let owned = found.map(|package| (package.path.as_str(), package.owned_by.as_ref().map(Purl::as_str)));
    assert_eq!(
        owned.collect::<Vec<_>>(),
        [
            ("r/var/lib/dpkg/status", None),
            ("r/usr/lib/a-1.dist-info/METADATA", Some("pkg:deb/ubuntu/py@1?distro=ubuntu-22.04")),
            ("usr/lib/a-1.dist-info/METADATA", None),
        ]
    );
}

#[test]
fn i7_more_roots_than_anybody_has_are_a_problem_and_not_inventoried() {
    let puts: Vec<Put> = (0..300).map(|at| file(&format!("{at}/var/lib/dpkg/status"), "a 1")).collect();
    let examination = Image::of(&[&puts]).examine();
    assert_eq!(inventory(&examination).packages.len(), 256);
    assert!(kinds(&examination).contains(&ProblemKind::LimitExceeded));
}

#[test]
fn i4_problems_of_visible_files_count_and_of_hidden_ones_do_not() {
    let broken = file(DPKG, "bash 5\nbroken");
    let examination = Image::of(&[&[debian(), broken.clone()]]).examine();
    assert_eq!(kinds(&examination), [ProblemKind::DatabaseUnreadable]);
    let problem = &examination.problems[0];
    assert_eq!(problem.path.as_deref(), Some(DPKG));
    assert_eq!(problem.layer.as_ref(), Some(&inventory(&examination).layers[0].digest));
    assert_eq!(packages(&examination).len(), 1);
    assert_eq!(kinds(&Image::of(&[&[debian(), broken], &[file(DPKG, "bash 5")]]).examine()), []);
}

#[test]
fn a_recognised_program_that_an_os_package_owns_is_that_package_alone() {
    let program = file("usr/bin/program", "nginx 1.25.3");
    let recognised = "pkg:generic/nginx@1.25.3 at usr/bin/program from 0";
    check(&[std::slice::from_ref(&program)], &[recognised]);
    let os = "pkg:deb/debian/nginx@1.25.3-1?distro=debian-12 at var/lib/dpkg/status from 0";
    let listed = file(DPKG, "nginx 1.25.3-1\nowns nginx usr/bin/program");
    check(&[&[debian(), program.clone(), listed]], &[os]);
    check(&[&[debian(), program.clone(), file(DPKG, "nginx 1.25.3-1")]], &[os, recognised]);
    // nginx.org's, of which Debian's advisories know nothing.
    let foreign = file(DPKG, "nginx 1.25.3-1~bookworm\nowns nginx usr/bin/program");
    let os = "pkg:deb/debian/nginx@1.25.3-1~bookworm?distro=debian-12 at var/lib/dpkg/status from 0";
    check(&[&[debian(), program, foreign]], &[os, recognised]);
}

#[test]
fn what_a_program_says_it_belongs_to_is_the_package_that_installed_it() {
    let library = file("usr/lib/noted", "systemd 252");
    let claimed = "pkg:deb/debian/systemd@252?distro=debian-12 at usr/lib/noted from 0";
    let os = "pkg:deb/debian/libsystemd0@252?distro=debian-12 at var/lib/dpkg/status from 0";
    check(&[&[debian(), library.clone()]], &[claimed]);
    check(&[&[debian(), library.clone(), file(DPKG, "libsystemd0 252")]], &[os, claimed]);
    for stated in ["", " systemd_252"] {
        let listed = file(DPKG, format!("libsystemd0 252\nowns libsystemd0 usr/lib/noted{stated}"));
        check(&[&[debian(), library.clone(), listed.clone()]], &[os]);
        // Somebody else's over the distribution's.
        let later = "pkg:deb/debian/systemd@253?distro=debian-12 at usr/lib/noted from 1";
        check(&[&[debian(), library.clone(), listed], &[file("usr/lib/noted", "systemd 253")]], &[os, later]);
    }
}

const METADATA: &str = "usr/lib/python3/urllib3-1.dist-info/METADATA";

fn owner(layers: &[&[Put]]) -> Option<String> {
    let examination = Image::of(layers).examine();
    let packages = &inventory(&examination).packages;
    let wheel = packages.iter().find(|package| package.package.name == "urllib3").unwrap();
    wheel.owned_by.as_ref().map(|purl| purl.without_version().to_owned())
}

#[test]
fn a_language_package_listed_and_unchanged_is_owned() {
    let wheel = file(METADATA, "urllib3 1");
    let listed = file(DPKG, format!("python3-urllib3 1\nowns python3-urllib3 {METADATA}"));
    let with_sum = file(DPKG, format!("python3-urllib3 1\nowns python3-urllib3 {METADATA} urllib3_1"));
    let owned = Some("pkg:deb/debian/python3-urllib3".to_owned());
    assert_eq!(owner(&[&[debian(), wheel.clone(), listed.clone()]]), owned);
    assert_eq!(owner(&[&[debian(), wheel.clone()], std::slice::from_ref(&listed)]), owned);
    assert_eq!(owner(&[&[debian(), wheel.clone(), with_sum.clone()]]), owned);
    assert_eq!(owner(&[&[debian(), wheel.clone(), file(DPKG, "python3-urllib3 1")]]), None);

    // A later pip install over the same files: not what the distribution repairs any more.
    let newer = file(METADATA, "urllib3 2");
    assert_eq!(owner(&[&[debian(), wheel.clone(), listed.clone()], std::slice::from_ref(&newer)]), None);
    assert_eq!(owner(&[&[debian(), wheel.clone(), with_sum.clone()], std::slice::from_ref(&newer)]), None);
    assert_eq!(owner(&[&[debian(), newer, with_sum.clone()]]), None, "a stated checksum decides");

    // The same bytes again in a later layer are still what was installed, where a checksum says so.
    assert_eq!(owner(&[&[debian(), wheel.clone(), with_sum], std::slice::from_ref(&wheel)]), owned);
    assert_eq!(owner(&[&[debian(), wheel.clone(), listed.clone()], std::slice::from_ref(&wheel)]), None);

    // The package manager rewrites its database for another package: the owner is as old as before.
    let touched = file(DPKG, format!("python3-urllib3 1\njq 1\nowns python3-urllib3 {METADATA}"));
    assert_eq!(owner(&[&[debian(), listed], &[wheel], &[touched]]), None);
}

#[test]
fn owned_paths_are_compared_where_links_lead() {
    let listed = file(DPKG, "tool 1\nowns tool lib/x/a-1.dist-info/METADATA");
    let merged =
        [debian(), symlink("lib", "usr/lib"), listed, file("usr/lib/x/a-1.dist-info/METADATA", "urllib3 1")];
    assert_eq!(owner(&[&merged]).as_deref(), Some("pkg:deb/debian/tool"));
}

#[test]
fn copies_in_two_places_are_two_places_to_repair() {
    check(
        &[&[file("a/x.jar", "x 1\nx 1"), file("b/x.jar", "x 1")]],
        &["pkg:maven/x@1 at a/x.jar from 0", "pkg:maven/x@1 at b/x.jar from 0"],
    );
}

/// Every secret: the rule, where, and whether a container sees it.
fn secrets(layers: &[&[Put]]) -> Vec<String> {
    let examined = Image::of(layers).examine();
    let secrets = examined.observations.iter().filter(|one| one.kind == ObservationKind::Secret);
    let told = secrets.map(|observation| {
        let place = &observation.place;
        let layer = place.layer.map_or(u16::MAX, |layer| layer.0);
        let path = place.path.as_deref().unwrap_or_default();
        format!("{} at {path} in {layer}: {:?}", observation.severity, observation.visibility)
    });
    told.collect()
}

/// An address with a password that nobody would take for an example; put together here, not lying about.
fn login(user: &str) -> String {
    format!("postgres://{user}:{}{}@db.internal/app", "q8Zr0v", "B2nLwX7t")
}

#[test]
fn a_secret_is_told_of_in_every_layer_that_has_it_and_what_became_of_it() {
    let (ours, theirs) = (login("ours"), login("theirs"));
    let lower: &[Put] = &[file("app/db.txt", &ours), file("app/keep.txt", "nothing")];
    assert_eq!(secrets(&[lower]), ["high at app/db.txt in 0: Visible"]);
    assert_eq!(
        secrets(&[lower, &[file("app/.wh.db.txt", "")]]),
        ["high at app/db.txt in 0: Deleted { by: LayerIndex(1) }"]
    );
    assert_eq!(
        secrets(&[lower, &[], &[file(".wh.app", "")]]),
        ["high at app/db.txt in 0: Deleted { by: LayerIndex(2) }"]
    );
    assert_eq!(
        secrets(&[lower, &[file("app/db.txt", "nothing")]]),
        ["high at app/db.txt in 0: Overwritten { by: LayerIndex(1) }"]
    );
    assert_eq!(
        secrets(&[lower, &[file("app/db.txt", &theirs)]]),
        ["high at app/db.txt in 0: Overwritten { by: LayerIndex(1) }", "high at app/db.txt in 1: Visible"]
    );
    assert_eq!(
        secrets(&[&[file("db.txt", &ours), file("db.txt", "nothing")]]),
        ["high at db.txt in 0: Overwritten { by: LayerIndex(0) }"],
        "the tar has the path twice, and both can be downloaded"
    );
}

#[test]
fn i4_what_a_package_installed_weighs_less_unless_it_can_be_nothing_but_a_secret() {
    // Its form alone is proof: 64 random hex digits after a prefix that nothing else has.
    let token = format!("dop_{}{}", "v1_", "7c0f1e2d3b4a5968".repeat(4));
    let listed = file(DPKG, "tool 1\nowns tool opt/tool/a.txt\nowns tool opt/tool/b.txt");
    let files = [debian(), file("opt/tool/a.txt", login("tool")), file("opt/tool/b.txt", token), listed];
    assert_eq!(
        secrets(&[&files]),
        ["critical at opt/tool/b.txt in 0: Visible", "low at opt/tool/a.txt in 0: Visible"]
    );
    let later = file("opt/tool/a.txt", login("other"));
    assert!(
        secrets(&[&files, &[later]]).contains(&"high at opt/tool/a.txt in 1: Visible".to_owned()),
        "a later layer wrote it, no package"
    );
}

/// `apt-get install x && echo "password …" >> /etc/x.conf`: the layer is the package's, the password is not.
#[test]
fn i4_what_was_written_into_a_package_s_settings_in_its_own_layer_is_no_package_s() {
    let theirs = login("tool");
    for (stated, content, expected) in [
        (format!(" {theirs}"), theirs.clone(), "low"),
        (format!(" {theirs}"), format!("{theirs}\n{}", login("ours")), "high"),
        (String::new(), format!("{theirs}\n{}", login("ours")), "low"),
    ] {
        let listed = file(DPKG, format!("tool 1\nowns tool etc/tool.conf{stated}"));
        let mut found = secrets(&[&[debian(), file("etc/tool.conf", content), listed]]);
        found.retain(|one| one.contains("etc/tool.conf"));
        let all = found.iter().all(|one| one.starts_with(expected));
        assert!(all && !found.is_empty(), "{stated}: {found:?}");
    }
}

/// What is said about files left over: in which layer, and of which.
fn leftovers(layers: &[&[Put]]) -> Vec<String> {
    let examined = Image::of(layers).examine();
    let leftovers = examined.observations.iter().filter(|one| one.rule == "TW-FS-JUNK");
    let told = leftovers.map(|one| {
        let path = one.place.path.as_deref().unwrap_or("several");
        format!("{path} in {}", one.place.layer.map_or(u16::MAX, |layer| layer.0))
    });
    told.collect()
}

#[test]
fn misconfiguration_is_of_what_a_container_sees() {
    let lower: &[Put] = &[file("app/Dockerfile", "FROM x"), file("app/x", "")];
    assert_eq!(leftovers(&[lower]), ["app/Dockerfile in 0"]);
    assert!(leftovers(&[lower, &[file("app/.wh.Dockerfile", "")]]).is_empty());
    assert!(leftovers(&[lower, &[directory("app"), file("app/.wh..wh..opq", "")]]).is_empty());
    assert_eq!(leftovers(&[lower, &[file("app/Dockerfile", "FROM y")]]), ["app/Dockerfile in 1"]);
    assert_eq!(
        leftovers(&[lower, &[file("srv/Dockerfile", ""), file("srv/.DS_Store", "")]]),
        ["several in 1", "app/Dockerfile in 0"]
    );
    let merged: &[Put] = &[symlink("link", "app"), file("link/Dockerfile", "FROM z")];
    assert_eq!(leftovers(&[lower, merged]), ["app/Dockerfile in 1"]);
}
