//! R: the packages in its libraries, and those that `renv.lock` declares.
//!
//! Installing writes `Built:` into the package's `DESCRIPTION` ("Writing R Extensions", The DESCRIPTION file); without
//! it a file of that name is source code unless it lies in a library. Packages of priority `base`, and translations, are R itself.
//! Bioconductor's packages name their subjects in `biocViews`. `renv.lock` is JSON, `Packages{name{Version, Source}}`.

use std::collections::BTreeMap;

use serde::Deserialize;
use shared::model::package::{Evidence, PackageKind};

use super::Trigger;
use super::fields::field;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads `DESCRIPTION` and `renv.lock`.
pub struct R;

impl PackageList for R {
    const NAME: &'static str = "r";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Name("DESCRIPTION"), Trigger::Name("renv.lock")];

    fn is_one(path: &str) -> bool {
        lock::file_name(path) == "DESCRIPTION" || lock::is_own(path)
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        match lock::file_name(path) {
            "renv.lock" => renv(text, entries),
            _ => {
                description(path, text, entries);
                Ok(())
            }
        }
    }
}

/// Directories in which R looks for packages.
const LIBRARIES: [&str; 3] = ["library", "site-library", "host-site-library"];

fn description(path: &str, text: &str, entries: &mut Entries<'_>) {
    let is_in_library = path.rsplit('/').nth(2).is_some_and(|library| LIBRARIES.contains(&library));
    let (name, version) = (field(text, "Package"), field(text, "Version"));
    // Files of that name describe other things as well.
    let is_installed = field(text, "Built").is_some() || (is_in_library && name.is_some());
    if !is_installed {
        return;
    }
    let kind = match field(text, "biocViews") {
        Some(_) => PackageKind::Bioconductor,
        None => PackageKind::Cran,
    };
    // What somebody took from a repository of source code may differ from what the archive calls so.
    let is_elsewhere = field(text, "RemoteType").is_some_and(|kind| !matches!(kind, "standard" | "bioc"));
    let license = field(text, "License");
    let is_own = field(text, "Priority") == Some("base")
        || license.is_some_and(|license| license.starts_with("Part of R "));
    let evidence = if is_own || is_elsewhere { Evidence::Unmatched } else { Evidence::Installed };
    let named = name.zip(version);
    entries.add(named.and_then(|(name, version)| {
        let mut package = lock::package(kind, name, version, evidence)?;
        package.licenses.extend(license.map(str::to_owned));
        Some(package)
    }));
}

#[derive(Deserialize)]
struct Renv {
    #[serde(rename = "Packages", default)]
    packages: BTreeMap<String, Locked>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Locked {
    version: Option<String>,
    source: Option<String>,
}

fn renv(text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
    let lock: Renv = serde_json::from_str(text)?;
    for (name, locked) in &lock.packages {
        let (kind, evidence) = match locked.source.as_deref() {
            Some("Repository") => (PackageKind::Cran, Evidence::Declared),
            Some("Bioconductor") => (PackageKind::Bioconductor, Evidence::Declared),
            Some(_) | None => (PackageKind::Cran, Evidence::Unmatched),
        };
        entries.add(lock::package(kind, name, locked.version.as_deref().unwrap_or_default(), evidence));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const JSONLITE: &str = include_str!("../../fixtures/jsonlite.DESCRIPTION");
    const PATH: &str = "usr/lib/R/site-library/jsonlite/DESCRIPTION";
    const LOCK: &str = r#"{"R":{"Version":"4.1.2"},"Packages":{
        "DBI":{"Package":"DBI","Version":"1.1.2","Source":"Repository","Repository":"CRAN","Hash":"00"},
        "limma":{"Package":"limma","Version":"3.50.1","Source":"Bioconductor"},
        "mine":{"Package":"mine","Version":"0.1.0","Source":"GitHub","RemoteRepo":"mine"}}}"#;

    #[test]
    fn packages_in_a_library_are_installed() {
        check(&R, PATH, JSONLITE, &["cran/jsonlite@1.8.4 Installed"]);
        assert_eq!(
            analyze(&R, PATH, JSONLITE.as_bytes()).packages[0].package.licenses,
            ["MIT + file LICENSE"]
        );
        let limma =
            "Package: limma\nVersion: 3.50.1\nbiocViews: ExonArray, GeneExpression,\n  Transcription\n";
        check(&R, "usr/lib/R/library/limma/DESCRIPTION", limma, &["bioconductor/limma@3.50.1 Installed"]);
        check(&R, "src/limma/DESCRIPTION", limma, &[]);
        for more in ["Priority: base\n", "License: Part of R 4.2.2\n", "RemoteType: github\n"] {
            let text = format!("Package: stats\nVersion: 4.2.2\n{more}Built: R 4.2.2; ; 2023; unix\n");
            check(&R, "opt/stats/DESCRIPTION", &text, &["cran/stats@4.2.2 Unmatched"]);
        }
        check(&R, "docs/DESCRIPTION", "A repository of notes\n", &[]);
        check(&R, PATH, "Package: a\n", &["record-skipped"]);
    }

    #[test]
    fn a_lock_file_declares_what_comes_from_an_archive() {
        let expected =
            ["cran/DBI@1.1.2 Declared", "cran/mine@0.1.0 Unmatched", "bioconductor/limma@3.50.1 Declared"];
        check(&R, "app/renv.lock", LOCK, &expected);
        check(&R, "renv.lock", "[", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..LOCK.len(), byte: u8) {
            for (path, sample) in [("renv.lock", LOCK), (PATH, JSONLITE)] {
                analyze(&R, path, &content);
                let mut sample = sample.as_bytes().to_vec();
                sample[at] = byte;
                analyze(&R, path, &sample);
            }
        }
    }
}
