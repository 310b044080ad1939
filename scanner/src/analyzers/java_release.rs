//! Java runtimes: the `release` file of one in, `pkg:generic/openjdk@<version>` out.
//!
//! Every JDK and JRE has this file beside its `bin`. Its version is the one by which the launcher knows itself
//! ([`programs`](super::programs)), which the squash then leaves out; who built it is kept as the vendor. Format:
//! java.util.Properties with quoted values, JEP 223 and the JDK's `make/ReleaseFile.gmk`; up to Java 8 `JAVA_VERSION` alone.

use shared::model::package::{Evidence, PackageKind};
use shared::model::problem::{Problem, ProblemKind};

use super::{Analyzer, CapturedFile, FileClass, Found, Trigger, lock};
use crate::limits::Limits;

/// Reads `release` of Java runtimes.
pub struct JavaRelease;

impl Analyzer for JavaRelease {
    fn name(&self) -> &'static str {
        "java-release"
    }

    fn version(&self) -> u32 {
        1
    }

    fn triggers(&self) -> &'static [Trigger] {
        &[Trigger::Name("release")]
    }

    fn class(&self) -> FileClass {
        FileClass::Text
    }

    fn analyze(&self, file: &CapturedFile<'_>, _limits: &Limits) -> Found {
        let text = lock::text(file.content);
        let value = |key: &str| {
            let mut values = text.lines().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
            values.next().map(|value| value.trim().trim_matches('"'))
        };
        // Other files have this name, too.
        let Some(stated) = value("JAVA_VERSION") else {
            return Found::default();
        };
        let version = value("JAVA_RUNTIME_VERSION").filter(|version| !version.is_empty()).unwrap_or(stated);
        let mut found = Found::default();
        match lock::package(PackageKind::Generic, "openjdk", version, Evidence::Recognised) {
            Some(mut package) => {
                let vendor = value("IMPLEMENTOR")
                    .filter(|vendor| !vendor.is_empty() && vendor.len() <= LONGEST_VENDOR);
                package.vendor = vendor.map(str::to_owned);
                found.push(package);
            }
            None => {
                let detail = "a Java runtime whose release file states no version";
                found.problems.push(Problem::new(ProblemKind::RecordSkipped, detail).at(file.path));
            }
        }
        found
    }
}

/// Longer than any name of a vendor.
const LONGEST_VENDOR: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    /// Of Eclipse Temurin 25, shortened.
    const TEMURIN: &str = "IMPLEMENTOR=\"Eclipse Adoptium\"\nIMPLEMENTOR_VERSION=\"Temurin-25.0.3+9\"\n\
        JAVA_RUNTIME_VERSION=\"25.0.3+9-LTS\"\nJAVA_VERSION=\"25.0.3\"\nJAVA_VERSION_DATE=\"2026-04-21\"\n\
        LIBC=\"gnu\"\nMODULES=\"java.base java.compiler\"\nSEMANTIC_VERSION=\"25.0.3+9\"\nIMAGE_TYPE=\"JDK\"\n";

    #[test]
    fn a_runtime_states_its_version_and_its_vendor() {
        check(&JavaRelease, "opt/java/release", TEMURIN, &["generic/openjdk@25.0.3%2B9-LTS Recognised"]);
        let found = analyze(&JavaRelease, "opt/java/release", TEMURIN.as_bytes());
        assert_eq!(found.packages[0].package.vendor.as_deref(), Some("Eclipse Adoptium"));
        let old = "JAVA_VERSION=\"1.8.0_392\"\r\nOS_NAME=\"Linux\"";
        check(&JavaRelease, "jre/release", old, &["generic/openjdk@1.8.0_392 Recognised"]);
    }

    #[test]
    fn i4_what_states_no_version_is_a_problem_and_other_files_are_none() {
        for text in ["JAVA_VERSION=\"\"", "JAVA_VERSION=a b", "JAVA_VERSION="] {
            check(&JavaRelease, "jre/release", text, &["record-skipped"]);
        }
        check(&JavaRelease, "etc/release", "Fedora 42\n", &[]);
        check(&JavaRelease, "jre/release", "JAVA_VERSION_DATE=\"2026-04-21\"", &[]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, text in "((JAVA_VERSION|IMPLEMENTOR)?[=\"\\r\\n é]{0,3}){0,9}") {
            analyze(&JavaRelease, "release", &content);
            analyze(&JavaRelease, "release", text.as_bytes());
        }
    }
}
