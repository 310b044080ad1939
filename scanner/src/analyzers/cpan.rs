//! CPAN: the Perl distributions that cpanm installed, and those that Carton locks.
//!
//! cpanm and its kind note each installation in `.meta/<distribution>-<version>/install.json`, `{dist, version,
//! pathname}`; the `.packlist` that Perl itself writes names no version. Carton's `cpanfile.snapshot` lists
//! `distribution-version`, indented by two blanks, with `pathname` below. A path on CPAN begins with the author.

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads `install.json` and `cpanfile.snapshot`.
pub struct Cpan;

impl PackageList for Cpan {
    const NAME: &'static str = "cpan";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("install.json"), Trigger::Name("cpanfile.snapshot")];

    fn is_one(path: &str) -> bool {
        match lock::file_name(path) {
            "install.json" => path.rsplit('/').nth(2) == Some(".meta"),
            _ => lock::is_own(path),
        }
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        match lock::file_name(path) {
            "install.json" => {
                let note: Note = serde_json::from_str(text)?;
                entries.add(
                    note.dist
                        .as_deref()
                        .and_then(|stated| package(stated, note.pathname.as_deref(), Evidence::Installed)),
                );
            }
            _ => snapshot(text, entries),
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Note {
    dist: Option<String>,
    pathname: Option<String>,
}

fn snapshot(text: &str, entries: &mut Entries<'_>) {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let stated = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ') && !rest.trim().is_empty());
        if let Some(stated) = stated {
            let pathname = lines.peek().and_then(|next| next.trim().strip_prefix("pathname:"));
            entries.add(package(stated.trim_end(), pathname.map(str::trim), Evidence::Declared));
        }
    }
}

/// A distribution by `name-version` and where it lies on CPAN, `A/AU/AUTHOR/name-version.tar.gz`.
fn package(stated: &str, pathname: Option<&str>, evidence: Evidence) -> Option<Package> {
    let is_version = |rest: &str| {
        let digits = rest.strip_prefix('v').unwrap_or(rest);
        digits.starts_with(|first: char| first.is_ascii_digit())
    };
    let at = stated.rmatch_indices('-').map(|(at, _)| at).find(|at| is_version(&stated[at + 1..]))?;
    let mut package = lock::package(PackageKind::Cpan, &stated[..at], &stated[at + 1..], evidence)?;
    let author = pathname.and_then(|path| path.split('/').nth(2)).filter(|author| {
        !author.is_empty()
            && author.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-')
    });
    package.namespace = author.map(str::to_owned);
    Some(package)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const SNAPSHOT: &str = "# carton snapshot format: version 1.0\nDISTRIBUTIONS\n  Algorithm-Diff-1.1903\n    pathname: T/TY/TYEMQ/Algorithm-Diff-1.1903.tar.gz\n    provides:\n      Algorithm::Diff 1.1903\n    requirements:\n      ExtUtils::MakeMaker 0\n  Perl-OSType-v1.010\n    pathname: D/DA/DAGOLDEN/Perl-OSType-v1.010.tar.gz\n";

    #[test]
    fn a_note_of_an_installation_names_a_distribution() {
        let path =
            "usr/local/lib/perl5/site_perl/5.36.0/x86_64-linux-gnu/.meta/Hash-MultiValue-0.10/install.json";
        let note = r#"{"name":"Hash::MultiValue","version":"0.10","dist":"Hash-MultiValue-0.10","pathname":"M/MI/MIYAGAWA/Hash-MultiValue-0.10.tar.gz","provides":{}}"#;
        check(&Cpan, path, note, &["cpan/MIYAGAWA/Hash-MultiValue@0.10 Installed"]);
        check(&Cpan, "app/install.json", note, &[]);
        check(&Cpan, path, "{}", &["record-skipped"]);
        check(&Cpan, path, "[", &["analyzer-failed"]);
    }

    #[test]
    fn a_snapshot_declares_distributions_with_their_authors() {
        check(
            &Cpan,
            "app/cpanfile.snapshot",
            SNAPSHOT,
            &["cpan/DAGOLDEN/Perl-OSType@v1.010 Declared", "cpan/TYEMQ/Algorithm-Diff@1.1903 Declared"],
        );
        check(&Cpan, "cpanfile.snapshot", "DISTRIBUTIONS\n  Some-Thing\n", &["record-skipped"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..SNAPSHOT.len(), byte: u8) {
            analyze(&Cpan, ".meta/a/install.json", &content);
            analyze(&Cpan, "cpanfile.snapshot", &content);
            let mut sample = SNAPSHOT.as_bytes().to_vec();
            sample[at] = byte;
            analyze(&Cpan, "cpanfile.snapshot", &sample);
        }
    }
}
