//! opam: the OCaml packages of a switch, those that a project locks, and the project itself.
//!
//! A switch lists what is in it in `.opam-switch/switch-state`, `installed: ["name.version" …]`. `name.opam.locked` pins
//! what a project needs, `depends: ["name" {= "version"} …]`, tests and documentation marked `with-test` and `with-doc`.
//! `name.opam` describes the project, at most with its own version. Format: opam's manual, "opam File Format".

use shared::model::package::{Evidence, PackageKind};
use shared::model::problem::ProblemKind;

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};
use super::terms::{self, Term};

/// Reads opam's files.
pub struct Opam;

impl PackageList for Opam {
    const NAME: &'static str = "opam";
    const TRIGGERS: &'static [Trigger] =
        &[Trigger::Name("switch-state"), Trigger::Extension(".opam.locked"), Trigger::Extension(".opam")];

    fn is_one(path: &str) -> bool {
        let is_in_switch = path.split('/').any(|part| part == ".opam-switch");
        match lock::file_name(path) {
            "switch-state" => path.rsplit('/').nth(1) == Some(".opam-switch"),
            // A switch keeps the sources and descriptions of what is in it.
            _ => lock::is_own(path) && !is_in_switch,
        }
    }

    fn loss(path: &str) -> ProblemKind {
        match !path.ends_with(".opam") {
            true => ProblemKind::AnalyzerFailed,
            false => ProblemKind::RecordSkipped,
        }
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        let parsed = terms::parse(text, &terms::OPAM)?;
        match lock::file_name(path) {
            "switch-state" => {
                for installed in value(&parsed, "installed").and_then(Term::group).unwrap_or_default() {
                    let named = installed.text().and_then(|installed| installed.split_once('.'));
                    entries.add(named.and_then(|(name, version)| {
                        lock::package(PackageKind::Opam, name, version, Evidence::Installed)
                    }));
                }
            }
            name => match name.strip_suffix(".opam") {
                Some(stem) => {
                    let name = value(&parsed, "name").and_then(Term::text).unwrap_or(stem);
                    if let Some(version) = value(&parsed, "version").and_then(Term::text) {
                        entries.add(lock::package(PackageKind::Opam, name, version, Evidence::Unmatched));
                    }
                }
                None => locked(value(&parsed, "depends").and_then(Term::group).unwrap_or_default(), entries),
            },
        }
        Ok(())
    }
}

/// The value of a field at the top of a file.
fn value<'t, 'a>(file: &'t [Term<'a>], field: &str) -> Option<&'t Term<'a>> {
    let is_field =
        |window: &[Term<'a>]| matches!(window, [Term::Word(name), Term::Mark(':'), _] if *name == field);
    // The field may be the end of a longer name, `opam-version`.
    let at = file
        .windows(3)
        .enumerate()
        .find(|(at, window)| is_field(window) && (*at == 0 || file[at - 1] != Term::Mark('-')));
    at.map(|(at, _)| &file[at + 2])
}

/// `"name" {= "version" & with-test}`: a name and, where it is limited, the limit.
fn locked(depends: &[Term<'_>], entries: &mut Entries<'_>) {
    for pair in depends.windows(2) {
        let (Term::Text(name), Term::Group('{', limit)) = (&pair[0], &pair[1]) else { continue };
        let is_for_development = limit
            .windows(3)
            .any(|words| matches!(words, [Term::Word("with"), Term::Mark('-'), Term::Word(_)]));
        if let [Term::Mark('='), Term::Text(version), ..] = limit.as_slice()
            && !is_for_development
        {
            entries.add(lock::package(PackageKind::Opam, name, version, Evidence::Declared));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const STATE: &str = "opam-version: \"2.0\"\ncompiler: [\"ocaml-base-compiler.4.14.1\"]\nroots: [\"dune.3.10.0\"]\ninstalled: [\n  \"base-threads.base\"\n  \"dune.3.10.0\"\n  \"ocaml-base-compiler.4.14.1\"\n]\n";
    const LOCKED: &str = "opam-version: \"2.0\"\nname: \"app\"\nversion: \"dev\"\ndepends: [\n  \"alcotest\" {= \"1.7.0\" & with-test}\n  \"dune\" {= \"3.10.0\"}\n  \"ocaml\" {>= \"4.14\"}\n]\nbuild: [\n  [\"dune\" \"build\" \"-p\" name]\n]\n";

    #[test]
    fn a_switch_lists_what_is_installed() {
        let path = "home/opam/.opam/4.14.1/.opam-switch/switch-state";
        check(
            &Opam,
            path,
            STATE,
            &[
                "opam/base-threads@base Installed",
                "opam/dune@3.10.0 Installed",
                "opam/ocaml-base-compiler@4.14.1 Installed",
            ],
        );
        check(&Opam, "app/switch-state", STATE, &[]);
        check(&Opam, path, "installed: [\"a\"]", &["record-skipped"]);
        check(&Opam, path, "installed: [", &["analyzer-failed"]);
    }

    #[test]
    fn a_project_locks_what_is_not_for_development() {
        check(&Opam, "app/app.opam.locked", LOCKED, &["opam/dune@3.10.0 Declared"]);
        check(
            &Opam,
            "app/app.opam",
            "(* a \" *)\nopam-version: \"2.0\"\nversion: \"1.2\"\n",
            &["opam/app@1.2 Unmatched"],
        );
        check(&Opam, "app/app.opam", "opam-version: \"2.0\"\n", &[]);
        check(&Opam, "app/app.opam", "build: [", &["record-skipped"]);
        check(&Opam, "home/.opam/4.14.1/.opam-switch/sources/a/a.opam", "version: \"1.2\"\n", &[]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..STATE.len(), byte: u8) {
            for (path, sample) in [(".opam-switch/switch-state", STATE), ("a.opam.locked", LOCKED), ("a.opam", LOCKED)] {
                analyze(&Opam, path, &content);
                let mut sample = sample.as_bytes().to_vec();
                sample[at] = byte;
                analyze(&Opam, path, &sample);
            }
        }
    }
}
