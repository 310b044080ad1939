//! Packages that are used without being unpacked: Python's `.whl` and `.egg`, and the archives in which Yarn's
//! Plug'n'Play keeps npm packages, in the project (`.yarn/cache/*.zip`) or, as Yarn 4 does, for all projects of a user
//! (`.yarn/berry/cache/*.zip`).
//!
//! The metadata file inside is read as if it lay on disk.

use shared::model::problem::{Problem, ProblemKind};

use super::{Analyzer, Candidate, CapturedFile, FileClass, Found, Trigger, java, node, python};
use crate::limits::Limits;

/// Reads zip archives that are packages.
pub struct Zipped;

impl Analyzer for Zipped {
    fn name(&self) -> &'static str {
        "zipped"
    }

    fn version(&self) -> u32 {
        2
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[
            Trigger::Extension(".whl"),
            Trigger::Extension(".egg"),
            Trigger::Parent(".yarn/cache"),
            Trigger::Parent(".yarn/berry/cache"),
        ]
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        let is_known = [&b".whl"[..], b".egg", b".zip"].iter().any(|end| file.path.ends_with(end));
        is_known && file.head.starts_with(b"PK")
    }

    fn class(&self) -> FileClass {
        FileClass::Binary
    }

    fn analyze(&self, file: &CapturedFile<'_>, limits: &Limits) -> Found {
        let reader: &dyn Analyzer = match file.path.ends_with(".zip") {
            true => &node::Node,
            false => &python::Python,
        };
        let (entries, flaws) = java::zip_entries(file.content, limits, is_metadata);
        let mut found = Found::default();
        for (name, content) in &entries {
            let path = format!("{}!/{name}", file.path);
            let inner = CapturedFile { path: &path, mode: file.mode, content };
            let mut read = reader.analyze(&inner, limits);
            for package in &mut read.packages {
                package.inner_path = Some(name.clone());
            }
            found.packages.append(&mut read.packages);
            found.problems.append(&mut read.problems);
        }
        for flaw in flaws {
            let detail = format!("an archive of a package cannot be read: {flaw}");
            found.problems.push(Problem::new(ProblemKind::AnalyzerFailed, detail).at(file.path));
        }
        found
    }
}

/// Whether an entry is the metadata of the package that the archive is.
fn is_metadata(name: &str) -> bool {
    let mut parts = name.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("EGG-INFO"), Some("PKG-INFO"), None, ..) => true,
        (Some(directory), Some("METADATA"), None, ..) => directory.ends_with(".dist-info"),
        (Some("node_modules"), Some(name), Some("package.json"), None, _) => !name.starts_with('@'),
        (Some("node_modules"), Some(scope), Some(_), Some("package.json"), None) => scope.starts_with('@'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::super::lock::sample::analyze;
    use super::*;

    fn zip(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in entries {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn check(path: &str, entries: &[(&str, &str)], expected: &[&str]) {
        let found = analyze(&Zipped, path, &zip(entries));
        let lines: Vec<String> = found
            .packages
            .iter()
            .map(|found| {
                let inner = found.inner_path.as_deref().unwrap_or_default();
                format!("{} {} in {inner}", found.package.name, found.package.version)
            })
            .collect();
        assert_eq!(lines, expected, "{path}");
        assert_eq!(found.problems, [], "{path}");
    }

    #[test]
    fn a_packed_package_is_known_by_its_metadata() {
        let metadata = "Name: Jinja2\nVersion: 3.1.2\n";
        check(
            "usr/lib/python3/ensurepip/_bundled/jinja2-3.1.2-py3-none-any.whl",
            &[("jinja2/x.py", ""), ("Jinja2-3.1.2.dist-info/METADATA", metadata)],
            &["jinja2 3.1.2 in Jinja2-3.1.2.dist-info/METADATA"],
        );
        check("opt/a.egg", &[("EGG-INFO/PKG-INFO", metadata)], &["jinja2 3.1.2 in EGG-INFO/PKG-INFO"]);
        check(
            "app/.yarn/cache/@s-n-npm-1.0.0-0a-10.zip",
            &[
                ("node_modules/@s/n/package.json", r#"{"name":"@s/n","version":"1.0.0"}"#),
                ("node_modules/@s/n/test/package.json", r#"{"name":"x","version":"1.0.0"}"#),
            ],
            &["n 1.0.0 in node_modules/@s/n/package.json"],
        );
        check(
            "root/.yarn/berry/cache/n-npm-1.0.0-0a1b2c3d4e-10c0.zip",
            &[("node_modules/n/package.json", r#"{"name":"n","version":"1.0.0"}"#)],
            &["n 1.0.0 in node_modules/n/package.json"],
        );
    }

    #[test]
    fn i4_a_damaged_archive_is_a_problem() {
        let found = analyze(&Zipped, "a.whl", b"PK\x03\x04 and no more");
        assert_eq!(found.problems[0].kind, ProblemKind::AnalyzerFailed);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..200_usize, byte: u8) {
            analyze(&Zipped, "a.whl", &[b"PK", content.as_slice()].concat());
            let mut sample = zip(&[("EGG-INFO/PKG-INFO", "Name: a\nVersion: 1\n")]);
            let at = at % sample.len();
            sample[at] = byte;
            analyze(&Zipped, "a.egg", &sample);
        }
    }
}
