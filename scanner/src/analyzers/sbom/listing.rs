//! What a document lists, sorted into packages and what is no package that can be looked up.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use shared::model::package::{Evidence, Package};

use super::purl;

/// So many packages of one document are taken.
const MOST_PACKAGES: usize = 200_000;
/// So many names of what was passed over are told, each cut to so many characters.
const MOST_NAMES: usize = 3;
const LONGEST_NAME: usize = 40;

/// One entry of a document, as far as it says what it is.
#[derive(Debug, Default)]
pub(super) struct Component<'a> {
    /// What people call it; for telling of it only.
    pub(super) name: Cow<'a, str>,
    /// The version that it states beside its purls.
    pub(super) version: Option<Cow<'a, str>>,
    /// Every purl that it states.
    pub(super) purls: Vec<Cow<'a, str>>,
    /// Whether it has to be a package.
    pub(super) nature: Nature,
}

/// Whether an entry without a usable purl is a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Nature {
    /// It is, or contains, software.
    #[default]
    Software,
    /// A file, the operating system as a whole, the document's own subject, what something was made from: nothing that
    /// advisories speak of.
    Other,
}

/// Why an entry is no package of the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::analyzers) enum Gap {
    /// It states no purl.
    NoPurl,
    /// The purl has no type and name, or is not encoded as purls are.
    UnreadablePurl,
    /// Packages of the purl's type are not inventoried.
    UnknownType,
    /// Neither the purl nor the entry states a version.
    NoVersion,
    /// [`MOST_PACKAGES`] were taken before it.
    TooMany,
}

impl Gap {
    const fn words(self) -> &'static str {
        match self {
            Self::NoPurl => "without a purl",
            Self::UnreadablePurl => "with an unreadable purl",
            Self::UnknownType => "of a purl type that is not inventoried",
            Self::NoVersion => "without a version",
            Self::TooMany => "beyond the limit of 200000",
        }
    }
}

/// The entries of one document.
pub(crate) struct Listing {
    evidence: fn(&str) -> Evidence,
    packages: BTreeSet<Package>,
    entries: u32,
    gaps: BTreeMap<Gap, u32>,
    names: Vec<String>,
}

impl Listing {
    /// No entries yet; `evidence` says what a purl is evidence of.
    pub(super) fn new(evidence: fn(&str) -> Evidence) -> Self {
        Self { evidence, packages: BTreeSet::new(), entries: 0, gaps: BTreeMap::new(), names: Vec::new() }
    }

    /// Takes an entry for what it says that it is.
    pub(super) fn add(&mut self, component: &Component<'_>) {
        self.entries += 1;
        let mut gap = Some(Gap::NoPurl);
        for text in component.purls.iter().filter(|text| !text.is_empty()) {
            // Of an image that is part of an image the packages are listed, too.
            if purl::is_image(text) {
                gap = gap.filter(|gap| *gap != Gap::NoPurl);
                continue;
            }
            match purl::package(text, component.version.as_deref(), (self.evidence)(text)) {
                Ok(package) if self.packages.len() < MOST_PACKAGES => {
                    self.packages.insert(package);
                    return;
                }
                Ok(_) => gap = Some(Gap::TooMany),
                Err(reason) => gap = Some(reason),
            }
        }
        if let (Some(gap), Nature::Software) = (gap, component.nature) {
            self.pass_over(gap, &component.name);
        }
    }

    fn pass_over(&mut self, gap: Gap, name: &str) {
        *self.gaps.entry(gap).or_default() += 1;
        if self.names.len() < MOST_NAMES {
            let name = if name.is_empty() { "?" } else { name };
            self.names.push(name.chars().take(LONGEST_NAME).collect());
        }
    }

    /// What is not in the inventory and what to do about it, in words; `None` if everything is. `what` names the document.
    pub(crate) fn missing(&self, what: &str) -> Option<String> {
        let missing: u32 = self.gaps.values().sum();
        let gaps: Vec<String> =
            self.gaps.iter().map(|(gap, count)| format!("{count} {}", gap.words())).collect();
        let (gaps, names) = (gaps.join(", "), self.names.join(", "));
        let more = if self.names.len() < missing as usize { " …" } else { "" };
        (missing > 0).then(|| {
            format!(
                "{missing} of {} entries of {what} are not inventoried: {gaps} ({names}{more}); have its maker state \
                 a purl with a known type, a name and a version for each",
                self.entries
            )
        })
    }

    /// The packages, each once.
    pub(crate) fn into_packages(self) -> BTreeSet<Package> {
        self.packages
    }
}
