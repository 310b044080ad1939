//! Conda: each `conda-meta/*.json` in, the one installed package that it describes out; and what the description of
//! an environment, `environment.yml`, pins.
//!
//! A dependency there is `channel::name=version=build`. A single `=` means any version that begins so; only `==` and
//! a build pin one. What pip is to install stands below it in pip's own words.

use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::model::package::{Evidence, Package, PackageKind};
use shared::model::problem::ProblemKind;

use super::lock::{self, Entries, PackageList, Unreadable};
use super::{Trigger, python_lock};

/// Reads the records of installed Conda packages.
pub struct Conda;

impl PackageList for Conda {
    const NAME: &'static str = "conda";
    const VERSION: u32 = 2;
    const TRIGGERS: &'static [Trigger] =
        &[Trigger::Parent("conda-meta"), Trigger::Name("environment.yml"), Trigger::Name("environment.yaml")];

    fn is_one(path: &str) -> bool {
        match lock::file_name(path) {
            "environment.yml" | "environment.yaml" => lock::is_own(path),
            name => name.ends_with(".json"),
        }
    }

    fn loss(path: &str) -> ProblemKind {
        match path.ends_with(".json") {
            true => ProblemKind::AnalyzerFailed,
            false => ProblemKind::RecordSkipped,
        }
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        if !path.ends_with(".json") {
            return environment(text, entries);
        }
        let record: Record = serde_json::from_str(text)?;
        entries.add(record.package());
        Ok(())
    }
}

#[derive(Deserialize)]
struct Environment {
    dependencies: Option<Dependencies>,
}

/// Other programs describe environments in files of the same name.
#[derive(Deserialize)]
#[serde(untagged)]
enum Dependencies {
    List(Vec<Dependency>),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Dependency {
    Conda(String),
    Other {
        pip: Vec<String>,
    },
    /// Whatever else stands there, nobody installs it.
    Unknown(IgnoredAny),
}

fn environment(text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
    let environment: Environment = serde_saphyr::from_str(text)?;
    let Some(Dependencies::List(dependencies)) = environment.dependencies else { return Ok(()) };
    for dependency in dependencies {
        match dependency {
            Dependency::Conda(stated) => {
                if let Some((name, version)) = pinned(&stated) {
                    entries.add(lock::package(PackageKind::Conda, name, version, Evidence::Declared));
                }
            }
            Dependency::Other { pip } => pip.iter().for_each(|line| python_lock::requirements(line, entries)),
            Dependency::Unknown(_) => {}
        }
    }
    Ok(())
}

/// Name and version of `channel::name==version` and `name=version=build`.
fn pinned(stated: &str) -> Option<(&str, &str)> {
    let stated = stated.rsplit("::").next().unwrap_or(stated).trim();
    let (name, rest) = stated.split_once('=')?;
    let version = match rest.strip_prefix('=') {
        Some(version) => version.split('=').next().unwrap_or(version),
        None => rest.split_once('=')?.0,
    };
    (!version.contains(['*', ',', '|', '<', '>', '!'])).then_some((name.trim(), version.trim()))
}

#[derive(Deserialize)]
struct Record {
    name: Option<String>,
    version: Option<String>,
    subdir: Option<String>,
    build: Option<String>,
    /// Its name, in today's records the whole address of the subdirectory.
    channel: Option<String>,
    license: Option<String>,
}

impl Record {
    fn package(self) -> Option<Package> {
        let stated = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let (name, version) = (stated(self.name)?, stated(self.version)?);
        let mut package = Package::new(PackageKind::Conda, name, version, Evidence::Installed);
        let channel = self.channel.as_deref().map(|channel| channel_name(channel).to_owned());
        for (key, value) in [("build", self.build), ("channel", channel)] {
            package.qualifiers.extend(stated(value).map(|value| (key.to_owned(), value)));
        }
        package.architecture = stated(self.subdir);
        package.licenses.extend(stated(self.license));
        Some(package)
    }
}

/// `conda-forge` of `https://conda.anaconda.org/conda-forge/linux-64`, `main` of `https://repo.anaconda.com/pkgs/main`.
fn channel_name(channel: &str) -> &str {
    let Some((_, address)) = channel.split_once("://") else { return channel };
    // Who may read a private channel shows a token before its name; its own subdirectory follows it.
    let mut parts = address.trim_end_matches('/').split('/').skip(1);
    match (parts.next(), parts.next(), parts.next()) {
        (Some("t"), Some(_), name) | (Some("pkgs"), name, _) | (name, _, _) => name.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const PATH: &str = "opt/conda/conda-meta/numpy-1.26.4-py312_0.json";

    #[test]
    fn a_record_is_an_installed_package() {
        let record = r#"{"name":"numpy","version":"1.26.4","build":"py312_0","channel":"https://conda.anaconda.org/conda-forge/linux-64","subdir":"linux-64","license":"BSD-3-Clause"}"#;
        check(
            &Conda,
            PATH,
            record,
            &["conda/numpy@1.26.4?build=py312_0&channel=conda-forge&subdir=linux-64 Installed"],
        );
        assert_eq!(analyze(&Conda, PATH, record.as_bytes()).packages[0].package.licenses, ["BSD-3-Clause"]);
        check(&Conda, "opt/conda/conda-meta/history", record, &[]);
        check(&Conda, PATH, "{}", &["record-skipped"]);
        check(&Conda, PATH, "", &["analyzer-failed"]);
    }

    #[test]
    fn of_an_environment_only_pins_are_evidence() {
        let text = "name: app\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.11\n  - conda-forge::numpy=1.26.4=py312_0\n  - scipy==1.11.0\n  - pip\n  - pip:\n    - Jinja2==2.11.2\n    - flask>=1\n";
        let expected =
            ["pypi/jinja2@2.11.2 Declared", "conda/numpy@1.26.4 Declared", "conda/scipy@1.11.0 Declared"];
        check(&Conda, "app/environment.yml", text, &expected);
        check(&Conda, "site-packages/a/environment.yml", text, &[]);
        check(&Conda, "environment.yaml", "dependencies: [", &["record-skipped"]);
        check(&Conda, "environment.yml", "dependencies: {a: 1}", &[]);
    }

    #[test]
    fn channels_have_short_names() {
        for (channel, expected) in [
            ("https://repo.anaconda.com/pkgs/main/linux-64", "main"),
            ("https://conda.anaconda.org/conda-forge/noarch", "conda-forge"),
            ("https://conda.anaconda.org/t/tk-0/private/linux-64", "private"),
            ("defaults", "defaults"),
            ("https://example.org", ""),
        ] {
            assert_eq!(channel_name(channel), expected, "{channel}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, stated: String) {
            analyze(&Conda, PATH, &content);
            analyze(&Conda, "environment.yml", &content);
            pinned(&stated);
            channel_name(&stated);
        }
    }
}
