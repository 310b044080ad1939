//! Patterns of policy files: names with `*`, images with a pattern for the host, package URLs.

use crate::model::image::ImageName;
use crate::model::package::Purl;

/// The longest pattern that is accepted, in bytes.
const LONGEST: usize = 512;

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing, or more than any name has.
    #[error("a pattern has 1 to {LONGEST} characters")]
    Length,
    /// It does not say at which registry.
    #[error(
        "{0:?} names no registry; expected host/repository, for example registry.example.com/team/*, docker.io/library/nginx or */team/*"
    )]
    Host(String),
    /// It names one version of an image.
    #[error("{0:?} names a tag or digest; patterns are about repositories")]
    Version(String),
    /// Not the beginning of a package URL.
    #[error("{0:?} is not a purl; expected pkg:type/name, with one * at the end if any")]
    Purl(String),
    /// No licence is called so.
    #[error(
        "{0:?} is no licence of SPDX; expected an identifier like MIT or GPL-3.0-only, with * or WITH and an exception if any"
    )]
    License(String),
}

/// A name in which `*` stands for any characters, also none; compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// A pattern from its text.
    pub fn new(text: impl Into<String>) -> Result<Self, PatternError> {
        let text = text.into();
        if text.is_empty() || text.len() > LONGEST { Err(PatternError::Length) } else { Ok(Self(text)) }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether all of `text` is meant. Takes time in proportion to both lengths at worst.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut at, mut seen) = (0, 0);
        // Where the last star stands, and how much of the text it has taken so far.
        let mut star: Option<(usize, usize)> = None;
        while seen < text.len() {
            match (pattern.get(at), star) {
                (Some(b'*'), _) => {
                    star = Some((at, seen));
                    at += 1;
                }
                (Some(byte), _) if *byte == text[seen] => {
                    at += 1;
                    seen += 1;
                }
                (Some(_) | None, Some((star_at, taken))) => {
                    star = Some((star_at, taken + 1));
                    at = star_at + 1;
                    seen = taken + 1;
                }
                (Some(_) | None, None) => return false,
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

/// Repositories of registries: `host/repository`, each half with `*`. A star in the host ends at the
/// first `/`, so that `*.example.com/app` never means a repository of somebody else's registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePattern {
    host: Glob,
    repository: Glob,
}

impl ImagePattern {
    /// A pattern from its text. The host has to be written: there are no short forms.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let no_host = || PatternError::Host(text.chars().take(160).collect());
        let (host, repository) = text.split_once('/').ok_or_else(no_host)?;
        if !(host.contains(['.', ':', '*']) || host == "localhost") || repository.is_empty() {
            return Err(no_host());
        }
        if repository.contains([':', '@']) {
            return Err(PatternError::Version(text.chars().take(160).collect()));
        }
        Ok(Self { host: Glob::new(host.to_ascii_lowercase())?, repository: Glob::new(repository)? })
    }

    /// Whether the image is meant.
    pub fn matches(&self, image: &ImageName) -> bool {
        self.host.matches(image.registry.as_str()) && self.repository.matches(image.repository.as_str())
    }
}

impl std::fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.host.as_str(), self.repository.as_str())
    }
}

/// A purl, compared without its version unless it has one; a trailing `*` matches any ending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurlPattern(String);

impl PurlPattern {
    /// A pattern from its text.
    pub fn new(text: String) -> Result<Self, PatternError> {
        let star = text.find('*');
        let ends_early = star.is_some_and(|at| at + 1 != text.len());
        if !text.starts_with("pkg:") || ends_early || text.len() > LONGEST {
            return Err(PatternError::Purl(text.chars().take(160).collect()));
        }
        Ok(Self(text))
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a package's purl is meant.
    pub fn matches(&self, purl: &Purl) -> bool {
        if let Some(beginning) = self.0.strip_suffix('*') {
            return purl.as_str().starts_with(beginning);
        }
        let bare = purl.as_str().split('?').next().unwrap_or_default();
        self.0 == purl.without_version() || self.0 == bare || self.0 == purl.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::package::{Evidence, Package, PackageKind};

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("prod-*", "prod-", true),
            ("prod-*", "prod-eu", true),
            ("prod-*", "preprod-eu", false),
            ("*-prod", "a-prod-prod", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("team", "team/app", false),
            ("**", "x", true),
        ] {
            assert_eq!(Glob::new(pattern).unwrap().matches(text), expected, "{pattern} {text}");
        }
        assert_eq!(Glob::new(""), Err(PatternError::Length));
    }

    #[test]
    fn a_package_is_meant_whatever_registry_it_is_from() {
        let mut package = Package::new(PackageKind::Npm, "a", "1.0.0", Evidence::Installed);
        package.namespace = Some("@s".to_owned());
        package.qualifiers.insert("repository_url".to_owned(), "npm.acme.example:8081".to_owned());
        let purl = Purl::new(&package, None);
        for (pattern, expected) in [
            ("pkg:npm/%40s/a", true),
            ("pkg:npm/%40s/a@1.0.0", true),
            ("pkg:npm/%40s/a@1.0.0?repository_url=npm.acme.example:8081", true),
            ("pkg:npm/%40s/*", true),
            ("pkg:npm/%40s/a@1.0", false),
            ("pkg:npm/%40s/a@1.0.0?repository_url=other.example", false),
        ] {
            let pattern = PurlPattern::new(pattern.to_owned()).unwrap();
            assert_eq!(pattern.matches(&purl), expected, "{pattern:?} {purl}");
        }
    }

    #[test]
    fn an_image_pattern_never_reaches_into_another_registry() {
        for (pattern, image, expected) in [
            ("registry.example.com/*", "registry.example.com/team/app", true),
            ("Registry.example.com/team/*", "registry.example.com/team/app", true),
            ("registry.example.com/team/*", "registry.example.com/teams/app", false),
            ("*.example.com/app", "eu.example.com/app", true),
            ("*.example.com/app", "evil.net/x.example.com/app", false),
            ("docker.io/library/*", "nginx", true),
            ("*/team/*", "localhost:5000/team/app", true),
            ("*/*", "localhost:5000/team/app", true),
        ] {
            let image: ImageName = image.parse().unwrap();
            assert_eq!(ImagePattern::new(pattern).unwrap().matches(&image), expected, "{pattern} {image}");
        }
        for refused in ["nginx", "team/app", "registry.example.com", "r.io/", "r.io/a:1", "r.io/a@sha256:x"] {
            assert!(ImagePattern::new(refused).is_err(), "{refused}");
        }
    }
}
