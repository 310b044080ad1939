//! SBOMs that lie in the image: what their authors claim is in it.
//!
//! SPDX 2 in JSON and as tag-value text, SPDX 3 in JSON, CycloneDX in JSON and XML, and syft's own JSON; told apart by
//! what they hold, for file names promise nothing. A claim never replaces what was seen; the squash drops those that say
//! the same. What a document lists and is no package with a purl that can be looked up is counted and told of. Wheels
//! carry SBOMs of the libraries bundled in them in `.dist-info/sboms` (PEP 770).

mod cyclonedx;
mod cyclonedx_xml;
mod listing;
mod purl;
mod spdx;
mod spdx3;
mod tag_value;

use std::borrow::Cow;

use serde_json::Value;
use shared::model::package::{Evidence, Package};
use shared::model::problem::ProblemKind;

use super::lock::{self, Entries, PackageList, Unreadable};
use super::{Trigger, bitnami};
pub(crate) use listing::Listing;
use listing::{Component, Nature};

/// Reads SBOMs.
pub struct Sbom;

impl PackageList for Sbom {
    const NAME: &'static str = "sbom";
    const VERSION: u32 = 2;
    const TRIGGERS: &'static [Trigger] = &[
        Trigger::Extension(".spdx"),
        Trigger::Extension(".spdx.json"),
        Trigger::Extension(".cdx.json"),
        Trigger::Extension(".cdx.xml"),
        Trigger::Extension(".cyclonedx.json"),
        Trigger::Extension(".cyclonedx.xml"),
        Trigger::Extension(".syft.json"),
        Trigger::Name("bom.json"),
        Trigger::Name("bom.xml"),
        Trigger::Name("sbom.json"),
        Trigger::Name("sbom.xml"),
        Trigger::Parent("usr/lib/sbom"),
        Trigger::Parent("var/lib/db/sbom"),
        Trigger::Parent(".dist-info/sboms"),
    ];

    /// vcpkg's and Bitnami's are read as what they are: lists of what was installed.
    fn is_one(path: &str) -> bool {
        lock::file_name(path) != "vcpkg.spdx.json" && !bitnami::is_document(path)
    }

    /// A claim that cannot be read hides nothing that is in the image.
    fn loss(_path: &str) -> ProblemKind {
        ProblemKind::SbomUnreadable
    }

    fn read(path: &str, text: &str, entries: &mut Entries<'_>) -> Result<(), Unreadable> {
        match read(text, |_| Evidence::Claimed)? {
            Some(listing) => enter(path, listing, entries),
            None if is_common(path) => {}
            None => return Err(Unreadable::new(&UNKNOWN)),
        }
        Ok(())
    }
}

const UNKNOWN: &str = "it is neither SPDX in JSON or tag-value form, nor CycloneDX, nor syft's JSON";

/// The namespace of SPDX 2 in RDF.
const RDF: &str = "http://spdx.org/rdf/terms";

/// Whether many a file of this name is no SBOM at all: a project's own `bom.json`, a licence's text in `MIT.spdx`.
fn is_common(path: &str) -> bool {
    let name = lock::file_name(path);
    matches!(name, "bom.json" | "bom.xml" | "sbom.json" | "sbom.xml") || name.ends_with(".spdx")
}

/// The package that a purl with a version names, if it is of a kind that is inventoried.
pub(super) fn package(purl: &str, evidence: Evidence) -> Option<Package> {
    purl::package(purl, None, evidence).ok()
}

/// Enters what a document lists, and one problem for all that is missing.
pub(super) fn enter(path: &str, listing: Listing, entries: &mut Entries<'_>) {
    if let Some(missing) = listing.missing(lock::file_name(path)) {
        entries.note(ProblemKind::PartialCoverage, &missing);
    }
    for package in listing.into_packages() {
        entries.add(Some(package));
    }
}

/// What a document that somebody attached to an image claims, or in words why it cannot be read.
pub(crate) fn claims(content: &[u8]) -> Result<Listing, String> {
    let listing = read(&lock::text(content), |_| Evidence::Claimed).map_err(|error| error.to_string())?;
    listing.ok_or_else(|| UNKNOWN.to_owned())
}

/// What a JSON object turns out to be.
enum Document {
    /// A document of the format, with a list.
    Listed,
    /// A document of the format, in which this is no list.
    Malformed(&'static str),
    /// Something else.
    Other,
}

/// The entries of a document of whichever format; `None` if it is of none of them. `evidence` says what a purl is
/// evidence of.
pub(super) fn read(text: &str, evidence: fn(&str) -> Evidence) -> Result<Option<Listing>, Unreadable> {
    let mut listing = Listing::new(evidence);
    let start = text.trim_start();
    let is_known = if start.starts_with('{') {
        read_json(text, &mut listing)?
    } else if start.starts_with('<') {
        let is_known = cyclonedx_xml::read(text, &mut listing)?;
        if !is_known && text.contains(RDF) {
            return Err(Unreadable::new(&"it is SPDX in RDF; have it written in JSON or as tag-value text"));
        }
        is_known
    } else if tag_value::is_one(text) {
        tag_value::read(text).enter(&mut listing);
        true
    } else {
        false
    };
    Ok(is_known.then_some(listing))
}

fn read_json(text: &str, listing: &mut Listing) -> Result<bool, Unreadable> {
    let document: Value = serde_json::from_str(text)?;
    type Read = fn(&Value, &mut Listing);
    let formats: [(Document, Read); 4] = [
        (cyclonedx::recognise(&document), cyclonedx::read),
        (spdx::recognise(&document), |document, listing| spdx::Spdx::of(document).enter(listing)),
        (spdx3::recognise(&document), spdx3::read),
        (recognise_syft(&document), read_syft),
    ];
    for (found, read) in formats {
        match found {
            Document::Listed => {
                read(&document, listing);
                return Ok(true);
            }
            Document::Malformed(list) => {
                return Err(Unreadable::new(&format!("{list:?} is no list")));
            }
            Document::Other => {}
        }
    }
    Ok(false)
}

/// syft's own format: `artifacts[]`, described by `schema` and `descriptor`.
fn recognise_syft(document: &Value) -> Document {
    match document.get("artifacts") {
        Some(Value::Array(_)) => Document::Listed,
        Some(_) if document.get("descriptor").is_some() => Document::Malformed("artifacts"),
        Some(_) | None => Document::Other,
    }
}

fn read_syft(document: &Value, listing: &mut Listing) {
    for artifact in document.get("artifacts").and_then(Value::as_array).into_iter().flatten() {
        listing.add(&Component {
            name: text_of(artifact, "name"),
            version: Some(text_of(artifact, "version")),
            purls: texts_of(artifact, "purl"),
            nature: Nature::Software,
        });
    }
}

/// The text under a key; empty if there is none.
fn text_of<'a>(value: &'a Value, key: &str) -> Cow<'a, str> {
    Cow::Borrowed(value.get(key).and_then(Value::as_str).unwrap_or_default())
}

/// What stands under a key where a text should: nothing, or one text, which something else than a text becomes.
fn texts_of<'a>(value: &'a Value, key: &str) -> Vec<Cow<'a, str>> {
    match value.get(key) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => vec![Cow::Borrowed(text)],
        Some(other) => vec![Cow::Owned(other.to_string())],
    }
}

#[cfg(test)]
mod tests;
