//! Lock files of Java builds: the Maven artifacts that they declare, without those that only tests need.
//!
//! Gradle's `gradle.lockfile` and `buildscript-gradle.lockfile` have lines `group:artifact:version=configurations`;
//! before Gradle 6.8 each configuration had a file of its own, `gradle/dependency-locks/<configuration>.lockfile`,
//! without the right side. The sbt plugin sbt-dependency-lock writes `build.sbt.lock`, JSON,
//! `dependencies[{org, name, version, configurations}]`.

use serde::Deserialize;
use shared::model::package::{Evidence, Package, PackageKind};

use super::Trigger;
use super::lock::{self, Entries, PackageList, Unreadable};

/// Reads the lock files of Gradle and sbt.
pub struct GradleLock;

impl PackageList for GradleLock {
    const NAME: &'static str = "gradle-lock";
    const TRIGGERS: &'static [Trigger] = &[Trigger::Extension(".lockfile"), Trigger::Name("build.sbt.lock")];

    fn is_one(path: &str) -> bool {
        let name = lock::file_name(path);
        let is_named_so = matches!(
            name,
            "build.sbt.lock" | "gradle.lockfile" | "buildscript-gradle.lockfile" | "settings-gradle.lockfile"
        );
        (is_named_so || configuration(path).is_some_and(|only| !is_for_tests(only))) && lock::is_own(path)
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        match lock::file_name(path) {
            "build.sbt.lock" => sbt(text, entries),
            _ => {
                gradle(text, entries);
                Ok(())
            }
        }
    }
}

/// The configuration that a file of the older layout is about.
fn configuration(path: &str) -> Option<&str> {
    let (directory, name) = path.rsplit_once('/')?;
    name.strip_suffix(".lockfile").filter(|_| directory.ends_with("gradle/dependency-locks"))
}

/// `test`, `testRuntimeClasspath`, `integrationTestCompileClasspath`.
fn is_for_tests(configuration: &str) -> bool {
    configuration.starts_with("test") || configuration.contains("Test")
}

fn gradle(text: &str, entries: &mut Entries<'_>) {
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (coordinates, configurations) = line.split_once('=').unwrap_or((line, ""));
        // `empty=` lists the configurations that need nothing.
        if coordinates != "empty"
            && (configurations.is_empty() || !configurations.split(',').all(is_for_tests))
        {
            let mut parts = coordinates.splitn(3, ':');
            let named = (parts.next(), parts.next(), parts.next());
            entries.add(match named {
                (Some(group), Some(artifact), Some(version)) => package(group, artifact, version),
                _ => None,
            });
        }
    }
}

#[derive(Deserialize)]
struct SbtLock {
    #[serde(default)]
    dependencies: Vec<SbtDependency>,
}

#[derive(Deserialize)]
struct SbtDependency {
    org: Option<String>,
    name: Option<String>,
    version: Option<String>,
    #[serde(default)]
    configurations: Vec<String>,
}

fn sbt(text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
    let lock: SbtLock = serde_json::from_str(text)?;
    for dependency in lock.dependencies {
        let configurations = &dependency.configurations;
        if configurations.is_empty() || !configurations.iter().all(|name| is_for_tests(name)) {
            entries.add(match (&dependency.org, &dependency.name, &dependency.version) {
                (Some(group), Some(artifact), Some(version)) => package(group, artifact, version),
                _ => None,
            });
        }
    }
    Ok(())
}

fn package(group: &str, artifact: &str, version: &str) -> Option<Package> {
    let mut package = lock::package(PackageKind::Maven, artifact, version, Evidence::Declared)?;
    package.namespace = Some(group.to_owned()).filter(|group| !group.is_empty());
    package.namespace.is_some().then_some(package)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::lock::sample::{analyze, check};
    use super::*;

    const GRADLE: &str = "# This is a Gradle generated file for dependency locking.\ncom.x:core:1.0=compileClasspath,testCompileClasspath\njunit:junit:4.13=testCompileClasspath,testRuntimeClasspath\nio.y:z:2.0.Final=runtimeClasspath\nempty=annotationProcessor,testAnnotationProcessor\n";
    const SBT: &str = r#"{"lockVersion":1,"timestamp":"2024-01-01T00:00:00Z","configurations":["compile","test"],"dependencies":[
        {"org":"com.x","name":"core_2.13","version":"1.0","artifacts":[],"configurations":["compile","test"]},
        {"org":"junit","name":"junit","version":"4.13","artifacts":[],"configurations":["test"]}]}"#;

    #[test]
    fn what_only_tests_need_is_left_out() {
        let expected = ["maven/com.x/core@1.0 Declared", "maven/io.y/z@2.0.Final Declared"];
        check(&GradleLock, "app/gradle.lockfile", GRADLE, &expected);
        check(&GradleLock, "app/gradle.lockfile", &GRADLE.replace('\n', "\r\n"), &expected);
        let one = "com.x:core:1.0\n";
        let old = "app/gradle/dependency-locks/runtimeClasspath.lockfile";
        check(&GradleLock, old, one, &expected[..1]);
        check(&GradleLock, &old.replace("runtime", "testRuntime"), one, &[]);
        check(&GradleLock, "app/other.lockfile", one, &[]);
        check(&GradleLock, "app/build.sbt.lock", SBT, &["maven/com.x/core_2.13@1.0 Declared"]);
        check(&GradleLock, "gradle.lockfile", "a:b=c\n", &["record-skipped"]);
        check(&GradleLock, "build.sbt.lock", "[", &["analyzer-failed"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content: Vec<u8>, at in 0..GRADLE.len(), byte: u8) {
            for (path, sample) in [("gradle.lockfile", GRADLE), ("build.sbt.lock", SBT)] {
                analyze(&GradleLock, path, &content);
                let mut sample = sample.as_bytes().to_vec();
                sample[at] = byte;
                analyze(&GradleLock, path, &sample);
            }
        }
    }
}
