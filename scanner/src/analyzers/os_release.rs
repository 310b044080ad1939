//! Which distribution a root is: `os-release`, and the older files that distributions left behind.
//!
//! One identity file in, at most one [`Distribution`] out; which of several files counts is decided where
//! all of them are visible. Formats: os-release(5); the `*-release` files have one line of free text,
//! `NAME release VERSION (CODENAME)`; `lsb-release` is shell as `os-release` is.

use shared::model::report::Distribution;

use super::ledger::{lines, text};
use super::{Analyzer, CapturedFile, FileClass, Found, Trigger};
use crate::limits::Limits;

/// Reads the identity of a distribution.
#[derive(Debug)]
pub struct OsRelease;

impl Analyzer for OsRelease {
    fn name(&self) -> &'static str {
        "os-release"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[
            Trigger::Path("etc/os-release"),
            Trigger::Path("usr/lib/os-release"),
            Trigger::Path("etc/alpine-release"),
            Trigger::Path("etc/debian_version"),
            Trigger::Path("etc/lsb-release"),
            Trigger::Path("etc/oracle-release"),
            Trigger::Path("etc/centos-release"),
            Trigger::Path("etc/redhat-release"),
            Trigger::Path("etc/system-release"),
            Trigger::Path("etc/photon-release"),
        ]
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn is_of_root(&self) -> bool {
        true
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        let distribution = match file.path.rsplit('/').next().unwrap_or(file.path) {
            "os-release" => os_release(file.content),
            "lsb-release" => lsb_release(file.content),
            "alpine-release" => alpine_release(file.content),
            "debian_version" => debian_version(file.content),
            _ => release_line(file.content),
        };
        Found { distribution, ..Found::default() }
    }
}

/// The longest value that identifies anything, in bytes; longer ones are cut.
const LONGEST_VALUE: usize = 1024;

/// The keys that are read; a file may assign any number of others.
const KEYS: &[&str] = &[
    "ID",
    "ID_LIKE",
    "NAME",
    "PRETTY_NAME",
    "VERSION",
    "VERSION_CODENAME",
    "VERSION_ID",
    "DISTRIB_CODENAME",
    "DISTRIB_DESCRIPTION",
    "DISTRIB_ID",
    "DISTRIB_RELEASE",
];

/// What a file in the shell syntax of os-release(5) assigns to [`KEYS`]. The last assignment wins.
#[derive(Default)]
struct Assignments([Option<String>; KEYS.len()]);

impl Assignments {
    fn parse(content: &[u8]) -> Self {
        let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
        let mut file = Self::default();
        for (index, value) in lines(content).filter_map(|(_, line)| assignment(line)) {
            file.0[index] = Some(unquoted(value));
        }
        file
    }

    /// A value that is there and not empty.
    fn value(&self, key: &str) -> Option<&str> {
        let index = KEYS.iter().position(|known| *known == key)?;
        self.0[index].as_deref().filter(|value| !value.is_empty())
    }
}

/// One line `KEY=value`: which key, and the value as written. `None` for comments, blank lines, other keys.
fn assignment(line: &[u8]) -> Option<(usize, &[u8])> {
    let line = line.trim_ascii_start();
    let equals = memchr::memchr(b'=', line)?;
    let (key, value) = (&line[..equals], &line[equals + 1..]);
    let index = KEYS.iter().position(|known| known.as_bytes() == key)?;
    Some((index, value))
}

/// What a shell makes of the right side of an assignment: quotes, backslashes, and the end at a space.
fn unquoted(value: &[u8]) -> String {
    let mut out = Vec::new();
    let mut quote = None;
    let mut bytes = value[..value.len().min(LONGEST_VALUE)].iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'\'' | b'"', None) => quote = Some(byte),
            (b'\'' | b'"', Some(open)) if open == byte => quote = None,
            (b'\\', None | Some(b'"')) => match bytes.next() {
                Some(escaped) if quote.is_none() || b"\"\\$`".contains(&escaped) => out.push(escaped),
                Some(other) => out.extend([b'\\', other]),
                None => out.push(b'\\'),
            },
            (b' ' | b'\t' | b';' | b'\r', None) => break,
            (byte, _) => out.push(byte),
        }
    }
    text(&out)
}

fn os_release(content: &[u8]) -> Option<Distribution> {
    let file = Assignments::parse(content);
    let id = file.value("ID")?.to_ascii_lowercase();
    let name = file.value("PRETTY_NAME").or(file.value("NAME")).unwrap_or(&id).to_owned();
    let codename = file.value("VERSION_CODENAME").or_else(|| older_codename(&file));
    let like = file.value("ID_LIKE").unwrap_or_default().split_ascii_whitespace();
    Some(Distribution {
        version: file.value("VERSION_ID").unwrap_or_default().to_owned(),
        codename: codename.map(str::to_owned),
        like: like.map(str::to_ascii_lowercase).collect(),
        name,
        id,
    })
}

/// Where the codename stood before `VERSION_CODENAME` was invented: `8 (jessie)`, and for a release that
/// has no number yet the pretty name's `bullseye/sid`.
fn older_codename(file: &Assignments) -> Option<&str> {
    let in_version = file.value("VERSION").and_then(parenthesised);
    in_version.or_else(|| {
        let last_word = file.value("PRETTY_NAME")?.rsplit(' ').next()?;
        last_word.strip_suffix("/sid")
    })
}

fn lsb_release(content: &[u8]) -> Option<Distribution> {
    let file = Assignments::parse(content);
    let stated = file.value("DISTRIB_ID")?;
    let version = file.value("DISTRIB_RELEASE").unwrap_or_default();
    let name = file.value("DISTRIB_DESCRIPTION").unwrap_or(stated).to_owned();
    Some(Distribution {
        id: known_id(stated).map_or_else(|| slug(stated), str::to_owned),
        version: version.to_owned(),
        codename: file.value("DISTRIB_CODENAME").map(str::to_owned),
        like: Vec::new(),
        name,
    })
}

/// `3.20.3`, or `3.21_alpha20240807` on edge.
fn alpine_release(content: &[u8]) -> Option<Distribution> {
    let version = first_line(content)?;
    version.starts_with(|first: char| first.is_ascii_digit()).then(|| Distribution {
        id: "alpine".to_owned(),
        name: format!("Alpine Linux {version}"),
        version,
        codename: None,
        like: Vec::new(),
    })
}

/// `12.5`, or `trixie/sid` before a release. The version is cut to what `VERSION_ID` would say, the major.
fn debian_version(content: &[u8]) -> Option<Distribution> {
    let stated = first_line(content)?;
    let is_number = stated.starts_with(|first: char| first.is_ascii_digit());
    let (version, codename) = if is_number {
        (stated.split('.').next().unwrap_or_default().to_owned(), None)
    } else {
        (String::new(), stated.split('/').next().map(str::to_owned))
    };
    Some(Distribution {
        id: "debian".to_owned(),
        version,
        codename,
        like: Vec::new(),
        name: format!("Debian GNU/Linux {stated}"),
    })
}

/// `NAME release VERSION (CODENAME)`, where the word `release` may be missing.
fn release_line(content: &[u8]) -> Option<Distribution> {
    let line = first_line(content)?;
    let words = || line.split_ascii_whitespace();
    let is_version = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
    let version = words().find(is_version).unwrap_or_default().to_owned();
    let stated: Vec<_> = words().take_while(|word| *word != "release" && !is_version(word)).collect();
    let stated = stated.join(" ");
    let id = known_id(&stated).map_or_else(|| slug(&stated), str::to_owned);
    (!id.is_empty()).then(|| Distribution {
        id,
        version,
        codename: parenthesised(&line).map(str::to_owned),
        like: Vec::new(),
        name: line.clone(),
    })
}

/// How a free-text name begins, and the `ID` that the same distribution's os-release has.
const NAMES: &[(&str, &str)] = &[
    ("AlmaLinux", "almalinux"),
    ("Amazon Linux", "amzn"),
    ("CBL-Mariner", "mariner"),
    ("CentOS", "centos"),
    ("CloudLinux", "cloudlinux"),
    ("Fedora", "fedora"),
    ("Mageia", "mageia"),
    ("Mariner", "mariner"),
    ("Microsoft Azure Linux", "azurelinux"),
    ("Oracle Linux", "ol"),
    ("Photon", "photon"),
    ("Red Hat Enterprise Linux", "rhel"),
    ("Rocky Linux", "rocky"),
    ("VMware Photon", "photon"),
    ("openEuler", "openeuler"),
];

fn known_id(name: &str) -> Option<&'static str> {
    NAMES.iter().find(|(start, _)| name.starts_with(start)).map(|(_, id)| *id)
}

/// A name that nobody listed, in the form of an `ID`: `Scientific Linux` is `scientific`.
fn slug(name: &str) -> String {
    let name = name.trim_end_matches(" Linux").to_ascii_lowercase();
    name.replace(' ', "-")
}

fn first_line(content: &[u8]) -> Option<String> {
    let mut texts = lines(content).map(|(_, line)| text(&line[..line.len().min(LONGEST_VALUE)]));
    texts.find(|line| !line.is_empty())
}

/// What stands between the last parentheses, if it is one word.
fn parenthesised(text: &str) -> Option<&str> {
    let (_, rest) = text.rsplit_once('(')?;
    let (inside, _) = rest.split_once(')')?;
    (!inside.is_empty() && !inside.contains(' ')).then_some(inside)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn analyze(path: &str, content: &[u8]) -> Option<Distribution> {
        let file = CapturedFile { path, mode: 0o644, content };
        let found = OsRelease.analyze(&file, &Limits::default());
        assert!(found.problems.is_empty() && found.packages.is_empty());
        found.distribution
    }

    /// `expected`: id, version, codename, name.
    fn check(path: &str, content: &str, expected: Option<(&str, &str, &str, &str)>) {
        let found = analyze(path, content.as_bytes());
        let found = found.as_ref().map(|found| {
            let codename = found.codename.as_deref().unwrap_or_default();
            (found.id.as_str(), found.version.as_str(), codename, found.name.as_str())
        });
        assert_eq!(found, expected, "{path} {content:?}");
    }

    #[test]
    fn os_release_follows_the_shell() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n\
            VERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        let bookworm = Some(("debian", "12", "bookworm", "Debian GNU/Linux 12 (bookworm)"));
        check("etc/os-release", debian, bookworm);
        check("usr/lib/os-release", &debian.replace('\n', "\r\n"), bookworm);
        check("etc/os-release", &debian.replace('"', "'"), bookworm);
        check("etc/os-release", &format!("\u{feff}# ID=fake\n\n{debian}"), bookworm);
        for (content, expected) in [
            ("ID=a\nID=b", Some(("b", "", "", "b"))),
            ("  ID=a # comment\n", Some(("a", "", "", "a"))),
            ("ID=\"Al\"'pine' VERSION_ID=1", Some(("alpine", "", "", "alpine"))),
            ("ID=x\nNAME=\"a \\\"b\\\" \\$c \\d 'e'\"", Some(("x", "", "", "a \"b\" $c \\d 'e'"))),
            ("ID=x\nNAME=a\\ b", Some(("x", "", "", "a b"))),
            ("ID=x\nNAME='unfinished", Some(("x", "", "", "unfinished"))),
            ("ID=x\nVERSION=\"14.04, Trusty Tahr\"", Some(("x", "", "", "x"))),
            ("ID=\nNAME=x", None),
            ("NAME=x", None),
            ("#ID=x", None),
            ("", None),
        ] {
            check("etc/os-release", content, expected);
        }
    }

    #[test]
    fn a_debian_release_without_a_number_has_its_codename() {
        let trixie = "PRETTY_NAME=\"Debian GNU/Linux trixie/sid\"\nVERSION_CODENAME=trixie\nID=debian\n";
        check("etc/os-release", trixie, Some(("debian", "", "trixie", "Debian GNU/Linux trixie/sid")));
        let bullseye = "PRETTY_NAME=\"Debian GNU/Linux bullseye/sid\"\nID=debian\n";
        check("etc/os-release", bullseye, Some(("debian", "", "bullseye", "Debian GNU/Linux bullseye/sid")));
        let jessie = "VERSION_ID=\"8\"\nVERSION=\"8 (jessie)\"\nID=debian\n";
        check("etc/os-release", jessie, Some(("debian", "8", "jessie", "debian")));
    }

    #[test]
    fn parents_are_kept_in_order() {
        let rocky = analyze("etc/os-release", b"ID=\"rocky\"\nID_LIKE=\"rhel centos  fedora\"\n");
        assert_eq!(rocky.unwrap().like, ["rhel", "centos", "fedora"]);
    }

    #[test]
    fn older_files_name_the_same_distributions() {
        for (path, content, expected) in [
            ("etc/alpine-release", "3.20.3\n", ("alpine", "3.20.3", "", "Alpine Linux 3.20.3")),
            ("etc/debian_version", "12.5\n", ("debian", "12", "", "Debian GNU/Linux 12.5")),
            ("etc/debian_version", "trixie/sid\n", ("debian", "", "trixie", "Debian GNU/Linux trixie/sid")),
            (
                "etc/lsb-release",
                "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\nDISTRIB_CODENAME=jammy\n\
                 DISTRIB_DESCRIPTION=\"Ubuntu 22.04.4 LTS\"\n",
                ("ubuntu", "22.04", "jammy", "Ubuntu 22.04.4 LTS"),
            ),
            (
                "etc/centos-release",
                "CentOS Linux release 7.9.2009 (Core)\n",
                ("centos", "7.9.2009", "Core", "CentOS Linux release 7.9.2009 (Core)"),
            ),
            (
                "etc/redhat-release",
                "Red Hat Enterprise Linux release 8.10 (Ootpa)\n",
                ("rhel", "8.10", "Ootpa", "Red Hat Enterprise Linux release 8.10 (Ootpa)"),
            ),
            (
                "etc/oracle-release",
                "Oracle Linux Server release 8.9\n",
                ("ol", "8.9", "", "Oracle Linux Server release 8.9"),
            ),
            (
                "etc/system-release",
                "Amazon Linux AMI release 2018.03\n",
                ("amzn", "2018.03", "", "Amazon Linux AMI release 2018.03"),
            ),
            (
                "etc/photon-release",
                "VMware Photon OS 4.0\nPHOTON_BUILD_NUMBER=1526e30ba\n",
                ("photon", "4.0", "", "VMware Photon OS 4.0"),
            ),
            (
                "etc/redhat-release",
                "Scientific Linux release 7.9 (Nitrogen)\n",
                ("scientific", "7.9", "Nitrogen", "Scientific Linux release 7.9 (Nitrogen)"),
            ),
        ] {
            check(path, content, Some(expected));
        }
        for path in ["alpine-release", "debian_version", "lsb-release", "redhat-release"] {
            check(&format!("etc/{path}"), "\n\n", None);
        }
    }

    proptest! {
        #[test]
        fn i7_no_bytes_panic(content: Vec<u8>, file in 0..OsRelease.triggers().len()) {
            let Trigger::Path(path) = OsRelease.triggers()[file] else { unreachable!() };
            let file = CapturedFile { path, mode: 0, content: &content };
            OsRelease.analyze(&file, &Limits::default());
        }

        #[test]
        fn what_is_quoted_is_read_back(value in "[ -~&&[^\\\\$`\"]]{0,40}") {
            prop_assert_eq!(unquoted(format!("\"{value}\"").as_bytes()), value.trim());
        }
    }
}
