//! Problems: what stands between a report and the whole truth (I4, I11).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// Something that could not be fetched, verified, parsed or judged.
///
/// Problems are data, not errors: the rest of the report stands, and the policy decides what a blocking
/// problem means. Texts are cut to a bounded length and control characters are escaped when they are made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// Which kind of trouble.
    pub kind: ProblemKind,
    /// One sentence for people: what happened to what.
    pub detail: String,
    /// The layer where it happened, if it happened in one.
    #[serde(default)]
    pub layer: Option<Digest>,
    /// The path inside the image, if it is about a file; `attached:` and a digest, if it is about an attached document.
    #[serde(default)]
    pub path: Option<String>,
}

/// The longest `detail` and `path` that a problem keeps, in characters.
const LONGEST_TEXT: usize = 400;

impl Problem {
    /// A problem of the image as a whole.
    pub fn new(kind: ProblemKind, detail: impl AsRef<str>) -> Self {
        Self { kind, detail: shown(detail.as_ref()), layer: None, path: None }
    }

    /// The same problem, saying which file it is about.
    #[must_use]
    pub fn at(mut self, path: impl AsRef<str>) -> Self {
        self.path = Some(shown(path.as_ref()));
        self
    }

    /// The same problem, saying which layer it is in.
    #[must_use]
    pub fn in_layer(mut self, layer: &Digest) -> Self {
        self.layer = Some(layer.clone());
        self
    }
}

/// A text from an image made fit to be shown: bounded, and without control characters.
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars().take(LONGEST_TEXT) {
        if character.is_control() || is_bidi_control(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Characters that reorder text on screens and so make one name look like another.
fn is_bidi_control(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

macro_rules! problem_kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $slug:literal, $weight:ident;)*) => {
        /// The closed list of problem slugs, and whether each stands in the way of a plain pass.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
        )]
        pub enum ProblemKind {
            $($(#[doc = $doc])* #[serde(rename = $slug)] $name,)*
        }

        impl ProblemKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable name that reports, policies and metrics use.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug),* }
            }

            /// Whether a verdict cannot be a plain pass while the policy does not accept this kind.
            pub const fn weight(self) -> Weight {
                match self { $(Self::$name => Weight::$weight),* }
            }
        }
    };
}

/// What a problem means for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Something that matters was not seen: no plain pass unless the policy accepts the slug (I4).
    Blocking,
    /// Worth knowing; does not hold up a verdict.
    Informational,
}

problem_kinds! {
    /// Schema 1 or another manifest whose digest cannot be verified.
    UnsupportedManifest = "unsupported-manifest", Blocking;
    /// A manifest, index or config that contradicts itself or the specification.
    MalformedManifest = "malformed-manifest", Blocking;
    /// A layer with a media type that nobody defined; it was sniffed.
    UnknownLayerType = "unknown-layer-type", Blocking;
    /// The layer is encrypted and we hold no key.
    EncryptedLayer = "encrypted-layer", Blocking;
    /// A nondistributable layer that the registry does not hold.
    ForeignLayerNotScanned = "foreign-layer-not-scanned", Blocking;
    /// The registry does not have the manifest.
    ImageMissing = "image-missing", Blocking;
    /// The registry could not be asked, or refused, until the attempts were used up.
    RegistryUnavailable = "registry-unavailable", Blocking;
    /// Bytes are not what their descriptor says.
    DigestMismatch = "digest-mismatch", Blocking;
    /// Uncompressed bytes are not what the config's `diff_ids` say.
    DiffidMismatch = "diffid-mismatch", Blocking;
    /// The layer does not exist in the registry.
    LayerMissing = "layer-missing", Blocking;
    /// The compressed stream or the tar inside cannot be read to its end.
    LayerMalformed = "layer-malformed", Blocking;
    /// Bytes follow the last compressed member.
    TrailingData = "trailing-data", Blocking;
    /// Non-zero bytes follow the end marker of the tar.
    DataAfterTarEnd = "data-after-tar-end", Blocking;
    /// A lazy-pull table of contents shows other files than the tar.
    LazyTocMismatch = "lazy-toc-mismatch", Blocking;
    /// Local headers and central directory of an archive disagree.
    ZipViewMismatch = "zip-view-mismatch", Blocking;
    /// A configured limit on bytes, entries, depth, ratio or time was reached.
    LimitExceeded = "limit-exceeded", Blocking;
    /// A file that should have been read is larger than may be read.
    FileTooLarge = "file-too-large", Blocking;
    /// A package database is there and cannot be read, in whole or in part.
    DatabaseUnreadable = "database-unreadable", Blocking;
    /// A recognised package file cannot be decoded.
    AnalyzerFailed = "analyzer-failed", Blocking;
    /// The operating system has no inventory that we can read.
    OsInventoryUnsupported = "os-inventory-unsupported", Blocking;
    /// There is a package database, and nothing says of which distribution.
    UnknownDistribution = "unknown-distribution", Blocking;
    /// No advisories exist for something that the image carries.
    NoAdvisoryCoverage = "no-advisory-coverage", Blocking;
    /// The distribution is past the end of its support: its advisories have stopped.
    AdvisoriesEnded = "advisories-ended", Blocking;
    /// The advisory database is older than the policy allows.
    AdvisoriesStale = "advisories-stale", Blocking;
    /// Who searches files for malware could not search some; a later scan may.
    MalwareNotSearched = "malware-not-searched", Blocking;
    /// An index names a child of a type that we do not know.
    UnknownChildType = "unknown-child-type", Blocking;
    /// Magic bytes and media type of a layer disagree.
    LayerMediatypeMismatch = "layer-mediatype-mismatch", Informational;
    /// An entry tried to leave the root; it was ignored.
    PathTraversal = "path-traversal", Informational;
    /// A large file was searched in part.
    PartiallyScanned = "partially-scanned", Informational;
    /// Matched with the advisories of a related distribution.
    ApproximateDistribution = "approximate-distribution", Informational;
    /// The package repositories of the image are assumed.
    RepositoryAssumed = "repository-assumed", Informational;
    /// An SBOM in the image, or attached to it, cannot be read.
    SbomUnreadable = "sbom-unreadable", Informational;
    /// A VEX statement was not used.
    VexIgnored = "vex-ignored", Informational;
    /// History and layers do not line up.
    HistoryMismatch = "history-mismatch", Informational;
    /// A second root file system lies inside the image.
    NestedRoot = "nested-root", Informational;
    /// A packed executable: its contents are not inventoried.
    PackedBinary = "packed-binary", Informational;
    /// Advisories cover only a part of the distribution, or an SBOM lists what cannot be looked up.
    PartialCoverage = "partial-coverage", Informational;
    /// A single record of a database or a single odd file was skipped.
    RecordSkipped = "record-skipped", Informational;
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)?;
        if let Some(path) = &self.path {
            write!(f, " ({path})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_from_images_cannot_steer_a_terminal() {
        let problem = Problem::new(ProblemKind::RecordSkipped, "a\u{1b}[2Jb\nc\u{202e}d").at("x\0y");
        assert_eq!(problem.detail, "a\\u{1b}[2Jb\\u{a}c\\u{202e}d");
        assert_eq!(problem.path.as_deref(), Some("x\\u{0}y"));
    }

    #[test]
    fn slugs_are_what_serde_writes() {
        for kind in ProblemKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.slug());
        }
    }
}
