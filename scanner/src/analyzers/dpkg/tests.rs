//! dpkg's files, by hand and as this very format's own tool writes them.

use proptest::prelude::*;
use shared::model::problem::ProblemKind;

use super::*;

fn analyze(path: &str, content: &[u8]) -> Found {
    let file = CapturedFile { path, mode: 0o644, content };
    Dpkg.analyze(&file, &Limits::default())
}

/// `expected`: name, version, architecture, source name, source version.
fn check(path: &str, content: &str, expected: &[[&str; 5]]) -> Found {
    let found = analyze(path, content.as_bytes());
    let packages: Vec<_> = found
        .packages
        .iter()
        .map(|found| {
            let source = found.package.source.as_ref().unwrap();
            let architecture = found.package.architecture.as_deref().unwrap_or_default();
            let source_version = source.version.as_deref().unwrap();
            [&found.package.name, &found.package.version, architecture, &source.name, source_version]
        })
        .collect();
    assert_eq!(packages, expected, "{content:?}");
    found
}

fn stanza(status: &str) -> String {
    format!("Package: a\nStatus: {status}\nVersion: 1-1\nArchitecture: all\n\n")
}

/// As dpkg writes them; a digest says nothing about what is not unpacked yet.
#[test]
fn what_a_package_installed_for_people_to_change_is_known_as_it_was() {
    let (one, other) = ("d41d8cd98f00b204e9800998ecf8427e", "900150983cd24fb0d6963f7d28e17f72");
    let status = format!(
        "Package: a\nStatus: install ok installed\nVersion: 1-1\nArchitecture: all\nConffiles:\n \
         /etc/a b.conf {one}\n /etc/old {other} obsolete\n /etc/gone {one} obsolete remove-on-upgrade\n \
         /etc/new newconffile\nDescription: text\n /etc/not {one}\n\n"
    );
    let found = check("var/lib/dpkg/status", &status, &[["a", "1-1", "all", "a", "1-1"]]);
    let [owner] = &found.owned[..] else { panic!("{:?}", found.owned) };
    assert_eq!((owner.package.as_str(), owner.architecture.as_deref()), ("a", Some("all")));
    let files = owner.files.iter().map(|file| {
        let Some(Checksum::Md5(md5)) = file.checksum else { panic!("{file:?}") };
        format!("{} {}", file.path, hex::encode(md5))
    });
    let expected = [format!("etc/a b.conf {one}"), format!("etc/old {other}"), format!("etc/gone {one}")];
    assert_eq!(files.collect::<Vec<_>>(), expected);
    assert_eq!(found.problems, []);
}

#[test]
fn a_package_is_present_while_its_files_are() {
    let present = ["a", "1-1", "all", "a", "1-1"];
    for status in [
        "install ok installed",
        "deinstall ok installed",
        "purge ok installed",
        "hold ok installed",
        "install reinstreq half-installed",
        "install ok half-configured",
        "install ok unpacked",
        "install ok triggers-awaited",
        "install ok triggers-pending",
        "install ok a-state-of-the-future",
    ] {
        let found = check(STATUS, &stanza(status), &[present]);
        assert!(found.problems.is_empty(), "{status}");
    }
    for status in ["deinstall ok config-files", "unknown ok not-installed", "purge ok CONFIG-FILES"] {
        let found = check(STATUS, &stanza(status), &[]);
        assert!(found.problems.is_empty(), "{status}");
    }
}

#[test]
fn a_missing_status_means_present_only_in_a_file_of_its_own() {
    let text =
        "Package: nodejs\nVersion: 20.11.1\nArchitecture: amd64\nMaintainer: Somebody <s@example.org>\n";
    let found =
        check("var/lib/dpkg/status.d/nodejs", text, &[["nodejs", "20.11.1", "amd64", "nodejs", "20.11.1"]]);
    assert_eq!(found.packages[0].package.vendor.as_deref(), Some("Somebody <s@example.org>"));
    assert!(found.problems.is_empty());
    let found = check(STATUS, text, &[]);
    assert_eq!(found.problems[0].kind, ProblemKind::DatabaseUnreadable);
}

#[test]
fn the_source_version_is_the_one_in_parentheses() {
    for (source, name, version) in [
        ("", "a", "2.36-9+b2"),
        ("Source: glibc\n", "glibc", "2.36-9+b2"),
        ("Source: glibc (2.36-9)\n", "glibc", "2.36-9"),
        ("Source: glibc(2.36-9)\n", "glibc", "2.36-9"),
        ("Source: glibc (2.36-9\n", "glibc", "2.36-9"),
        ("Source: glibc ()\n", "glibc", "2.36-9+b2"),
        ("Source:\n", "a", "2.36-9+b2"),
    ] {
        let text = format!("Package: a\n{source}Status: install ok installed\nVersion: 2.36-9+b2\n\n");
        check(STATUS, &text, &[["a", "2.36-9+b2", "", name, version]]);
    }
}

#[test]
fn line_ends_tabs_and_case_do_not_matter() {
    let text = "package: a\r\nSTATUS: install  ok\tinstalled  \r\nDescription: x\r\n\tPackage: not-me\r\n \
        .\r\nversion:1\r\n \t \r\n\r\nPackage: b\r\nStatus: install ok installed\r\nVersion: 2";
    let expected = [["a", "1", "", "a", "1"], ["b", "2", "", "b", "2"]];
    check(STATUS, text, &expected);
    let alone = check("var/lib/dpkg/status.d/x", text, &expected);
    assert!(alone.problems.is_empty(), "{:?}", alone.problems);
}

#[test]
fn one_name_with_two_architectures_is_two_packages() {
    let one = "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n";
    let two = one.replace("amd64", "i386");
    let expected = [["a", "1", "amd64", "a", "1"], ["a", "1", "i386", "a", "1"]];
    assert!(check(STATUS, &format!("{one}{two}"), &expected).problems.is_empty());
}

#[test]
fn i4_what_may_hide_a_package_is_a_blocking_problem() {
    let good = stanza("install ok installed");
    let kept = ["a", "1-1", "all", "a", "1-1"];
    for damaged in [
        "Package: b\nStatus: install ok installed\n\n",
        "Status: install ok installed\nVersion: 1\n\n",
        "Package:\nStatus: install ok installed\nVersion: 1\n\n",
        "Package: b\nStatus: install ok insta",
        "\0\0\0\0\0\0\0\0\n\n",
        "Pack\n\n",
        " Package: b\n\n",
    ] {
        let found = check(STATUS, &format!("{good}{damaged}"), &[kept]);
        assert_eq!(found.problems.len(), 1, "{damaged:?}");
        assert_eq!(found.problems[0].kind, ProblemKind::DatabaseUnreadable, "{damaged:?}");
        assert_eq!(found.problems[0].path.as_deref(), Some(STATUS));
    }
    let twice = "Package: a\nPackage: b\nStatus: install ok installed\nVersion: 1\n\n";
    assert_eq!(analyze(STATUS, twice.as_bytes()).problems.len(), 1);
    assert_eq!(analyze(STATUS, b""), Found::default());
}

#[test]
fn i4_a_status_file_cut_short_anywhere_in_its_last_line_says_so() {
    let text = stanza("install ok installed") + &stanza("install ok installed");
    let text = text.trim_end();
    let last_line = text.rfind('\n').unwrap();
    for end in last_line + 2..text.len() {
        assert_eq!(analyze(STATUS, &text.as_bytes()[..end]).problems.len(), 1, "{end}");
    }
}

#[test]
fn lists_name_the_files_of_one_package_and_architecture() {
    let list = analyze("var/lib/dpkg/info/libc6:amd64.list", b"/.\n/lib\n/lib/a b.so\n\n/etc/x\n");
    let [owner] = &list.owned[..] else { panic!("{list:?}") };
    assert_eq!((owner.package.as_str(), owner.architecture.as_deref()), ("libc6", Some("amd64")));
    let paths: Vec<_> = owner.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["lib", "lib/a b.so", "etc/x"]);
    assert!(owner.files.iter().all(|file| file.checksum.is_none()));

    let sums = b"d41d8cd98f00b204e9800998ecf8427e  usr/bin/a b\n0123456789ABCDEF0123456789abcdef  ./usr/c\n";
    for path in ["var/lib/dpkg/info/bash.md5sums", "var/lib/dpkg/status.d/bash.md5sums"] {
        let found = analyze(path, sums);
        let [owner] = &found.owned[..] else { panic!("{found:?}") };
        assert_eq!((owner.package.as_str(), &owner.architecture), ("bash", &None));
        assert_eq!(owner.files[0].path, "usr/bin/a b");
        assert_eq!(owner.files[1].path, "usr/c");
        let Some(Checksum::Md5(md5)) = owner.files[0].checksum else { panic!("{owner:?}") };
        assert_eq!(hex::encode(md5), "d41d8cd98f00b204e9800998ecf8427e");
        assert!(found.problems.is_empty() && found.packages.is_empty());
    }
    let odd = analyze("var/lib/dpkg/info/bash.md5sums", b"x\nd41d8cd98f00b204e9800998ecf8427e  a\n");
    assert_eq!(odd.owned[0].files.len(), 1);
    assert_eq!(odd.problems[0].kind, ProblemKind::RecordSkipped);
}

#[test]
fn only_files_of_the_database_are_wanted() {
    for (path, wanted) in [
        ("var/lib/dpkg/status", true),
        ("var/lib/dpkg/status.d/libc6", true),
        ("var/lib/dpkg/status.d/libc6.md5sums", true),
        ("var/lib/dpkg/info/libc6:amd64.list", true),
        ("var/lib/dpkg/info/libc6:amd64.md5sums", true),
        ("var/lib/dpkg/info/libc6:amd64.postinst", false),
        ("var/lib/dpkg/info/format", false),
        ("var/lib/dpkg/updates/0001", true),
        ("var/lib/dpkg/updates/tmp.i", false),
        ("var/lib/dpkg/status-old", false),
        ("srv/var/lib/dpkg/status.d/libc6", false),
    ] {
        let file = Candidate { path: path.as_bytes(), size: 1, mode: 0, head: b"" };
        assert_eq!(Dpkg.wants(&file), wanted, "{path}");
    }
}

/// An excerpt of a real Debian 12 status file with epochs, binary rebuilds and sources of other names, and
/// what `dpkg-query` says about it.
#[test]
fn a_real_status_file_is_read() {
    let content = include_bytes!("../../../fixtures/dpkg/status");
    let found = analyze(STATUS, content);
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    let listed: Vec<_> = found
        .packages
        .iter()
        .map(|found| {
            let source = found.package.source.as_ref().unwrap();
            let source_version = source.version.as_deref().unwrap();
            format!("{} {} {} {source_version}", found.package.name, found.package.version, source.name)
        })
        .collect();
    let expected: Vec<_> = include_str!("../../../fixtures/dpkg/status.expected").lines().collect();
    assert_eq!(listed, expected);
}

proptest! {
    #[test]
    fn i7_no_bytes_panic(content: Vec<u8>) {
        for path in [STATUS, "var/lib/dpkg/status.d/a", "var/lib/dpkg/info/a.list", "var/lib/dpkg/info/a.md5sums"] {
            analyze(path, &content);
        }
    }

    #[test]
    fn i4_no_present_stanza_vanishes_without_a_problem(lines in prop::collection::vec(
        prop::sample::select(vec!["Package: a", "Version: 1", "Status: install ok installed", " x", "y", ""]), 0..20,
    )) {
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let found = analyze("var/lib/dpkg/status.d/a", text.as_bytes());
        let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()).count();
        prop_assert!(found.packages.len() == paragraphs || !found.problems.is_empty());
    }
}
