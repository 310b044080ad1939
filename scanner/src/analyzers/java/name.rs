//! File names of Java archives: `log4j-1.2-api-2.17.1.jar` in, artifact and version out.
//!
//! Maven names files `<artifact>-<version>[-<classifier>].<type>` (Maven repository layout), and artifacts may
//! contain digits themselves; OSGi bundles are named `<symbolic name>_<version>.jar`.

/// What a file name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileName<'a> {
    /// The artifact, or the whole stem where there is no version.
    pub(super) artifact: &'a str,
    /// The version, without a classifier.
    pub(super) version: Option<&'a str>,
}

impl<'a> FileName<'a> {
    /// Reads a file name without its extension.
    ///
    /// The version begins at the last `-` segment that starts with a digit, or at the first of an unbroken run
    /// of such segments that ends there: `x-1.1.3.redhat-2`, `x-1.0-20240101.120000-3`.
    pub(super) fn parse(stem: &'a str) -> Self {
        let segments: Vec<&str> = stem.split('-').collect();
        let last = segments.iter().rposition(|segment| starts_with_digit(segment));
        let Some(last) = last.filter(|last| *last > 0) else {
            return Self::bundle(stem);
        };
        let mut first = last;
        while first > 1 && starts_with_digit(segments[first - 1]) {
            first -= 1;
        }
        let mut end = segments.len();
        while end > first + 1 && is_classifier(segments[end - 1]) {
            end -= 1;
        }
        let length = |segments: &[&str]| segments.iter().map(|segment| segment.len() + 1).sum::<usize>();
        let start = length(&segments[..first]);
        let version = &stem[start..start + length(&segments[first..end]) - 1];
        Self { artifact: &stem[..start - 1], version: Some(version) }.checked(stem)
    }

    fn bundle(stem: &'a str) -> Self {
        let parts = stem.rsplit_once('_').filter(|(_, version)| {
            // Two numbers after `_` are a Scala version, part of the artifact's name.
            starts_with_digit(version) && version.matches('.').count() >= 2
        });
        match parts {
            Some((artifact, version)) => Self { artifact, version: Some(version) }.checked(stem),
            None => Self { artifact: stem, version: None },
        }
    }

    /// The same, if it is made of the characters that names and versions have.
    fn checked(self, stem: &'a str) -> Self {
        let is_version =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_+~".contains(&byte));
        match !self.artifact.is_empty() && self.version.is_some_and(is_version) {
            true => self,
            false => Self { artifact: stem, version: None },
        }
    }
}

fn starts_with_digit(segment: &str) -> bool {
    segment.starts_with(|c: char| c.is_ascii_digit())
}

/// Words behind a version that say which build of it this is. `jre` and `android` are not among them: Guava
/// has them in its versions.
const CLASSIFIERS: [&str; 40] = [
    "aarch64",
    "aarch_64",
    "all",
    "amd64",
    "arm64",
    "boot",
    "bundle",
    "classes",
    "client",
    "complete",
    "dependencies",
    "deps",
    "exec",
    "executable",
    "fat",
    "jakarta",
    "jar",
    "javadoc",
    "linux",
    "macos",
    "native",
    "no",
    "nodep",
    "nodeps",
    "osx",
    "plain",
    "runner",
    "shaded",
    "sources",
    "standalone",
    "test",
    "tests",
    "uber",
    "uberjar",
    "win32",
    "win64",
    "windows",
    "with",
    "x86_32",
    "x86_64",
];

fn is_classifier(segment: &str) -> bool {
    let is_java = ["jdk", "java"].iter().any(|word| {
        let digits = segment.strip_prefix(word);
        digits.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    });
    is_java || CLASSIFIERS.binary_search(&segment).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn artifact_and_version_are_told_apart() {
        for (stem, artifact, version) in [
            ("guava-31.1-jre", "guava", Some("31.1-jre")),
            ("log4j-1.2-api-2.17.1", "log4j-1.2-api", Some("2.17.1")),
            ("x-1.1.3.redhat-2", "x", Some("1.1.3.redhat-2")),
            ("x-1.0-20240101.120000-3", "x", Some("1.0-20240101.120000-3")),
            ("x-1.0-SNAPSHOT", "x", Some("1.0-SNAPSHOT")),
            ("netty-epoll-4.1.50.Final-linux-x86_64", "netty-epoll", Some("4.1.50.Final")),
            ("json-lib-2.4-jdk15", "json-lib", Some("2.4")),
            ("bcprov-jdk15on-1.70", "bcprov-jdk15on", Some("1.70")),
            ("akka-actor_2.13-2.6.10", "akka-actor_2.13", Some("2.6.10")),
            ("app-1.0-jar-with-dependencies", "app", Some("1.0")),
            ("javax.inject-1", "javax.inject", Some("1")),
            ("org.eclipse.osgi_3.16.0.v2020", "org.eclipse.osgi", Some("3.16.0.v2020")),
            ("scalatest_2.13", "scalatest_2.13", None),
            ("spring-boot-app", "spring-boot-app", None),
            ("1.0", "1.0", None),
            ("2048-1.0", "2048", Some("1.0")),
            ("3d-x", "3d-x", None),
            ("x-1 0", "x-1 0", None),
            ("-1", "-1", None),
            ("", "", None),
        ] {
            assert_eq!(FileName::parse(stem), FileName { artifact, version }, "{stem}");
        }
    }

    #[test]
    fn classifiers_are_sorted_for_the_search() {
        assert!(CLASSIFIERS.is_sorted());
    }

    proptest! {
        #[test]
        fn no_name_panics(any: String, name in "[a-z0-9._é-]{0,20}") {
            FileName::parse(&any);
            FileName::parse(&name);
        }
    }
}
