//! SPDX 2: packages and how they relate, in JSON (`packages[]`, `relationships[]`) and in the tag-value form that
//! `tag_value` reads. Specification: SPDX 2.3, clauses 7 and 11; ISO/IEC 5962.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::Value;

use super::listing::{Component, Listing, Nature};
use super::{Document, text_of, texts_of};

/// The identifier of the document itself.
const DOCUMENT: &str = "SPDXRef-DOCUMENT";

/// The packages and relationships of a document, in either syntax.
#[derive(Debug, Default)]
pub(super) struct Spdx<'a> {
    pub(super) packages: Vec<Package<'a>>,
    pub(super) relationships: Vec<Relationship<'a>>,
    /// What the document says that it is about, besides relationships.
    described: Vec<Cow<'a, str>>,
}

/// One package.
#[derive(Debug, Default)]
pub(super) struct Package<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) name: Cow<'a, str>,
    pub(super) version: Cow<'a, str>,
    /// `LIBRARY`, `OPERATING-SYSTEM` …
    pub(super) purpose: Cow<'a, str>,
    pub(super) purls: Vec<Cow<'a, str>>,
}

/// `from` is in this relationship with `to`.
#[derive(Debug)]
pub(super) struct Relationship<'a> {
    pub(super) from: Cow<'a, str>,
    pub(super) kind: Cow<'a, str>,
    pub(super) to: Cow<'a, str>,
}

impl<'a> Spdx<'a> {
    /// What a JSON document states.
    pub(super) fn of(document: &'a Value) -> Self {
        let package = |package| Package {
            id: text_of(package, "SPDXID"),
            name: text_of(package, "name"),
            version: text_of(package, "versionInfo"),
            purpose: text_of(package, "primaryPackagePurpose"),
            purls: list(package, "externalRefs")
                .filter(|reference| is_purl(&text_of(reference, "referenceType")))
                .flat_map(|reference| texts_of(reference, "referenceLocator"))
                .collect(),
        };
        let relationship = |relationship| Relationship {
            from: text_of(relationship, "spdxElementId"),
            kind: text_of(relationship, "relationshipType"),
            to: text_of(relationship, "relatedSpdxElement"),
        };
        let described = list(document, "documentDescribes").filter_map(Value::as_str).map(Cow::Borrowed);
        Self {
            packages: list(document, "packages").map(package).collect(),
            relationships: list(document, "relationships").map(relationship).collect(),
            described: described.collect(),
        }
    }

    /// Enters all packages.
    pub(super) fn enter(self, listing: &mut Listing) {
        let Self { packages, relationships, described } = self;
        let mut apart: HashSet<&str> = described.iter().map(AsRef::as_ref).collect();
        apart.extend(relationships.iter().filter_map(Relationship::apart));
        for Package { id, name, version, purpose, purls } in packages {
            let nature = if apart.contains(id.as_ref()) { Nature::Other } else { nature(&purpose) };
            listing.add(&Component { name, version: Some(version), purls, nature });
        }
    }
}

impl Relationship<'_> {
    /// The element that, by this relationship, is no part of what is described: the subject as a whole, its sources, its
    /// recipe, its tools.
    fn apart(&self) -> Option<&str> {
        match self.kind.as_ref() {
            "DESCRIBES" if self.from == DOCUMENT => Some(&self.to),
            "DESCRIBED_BY" if self.to == DOCUMENT => Some(&self.from),
            "DESCRIBES" | "GENERATES" => Some(&self.from),
            "DESCRIBED_BY" | "GENERATED_FROM" => Some(&self.to),
            kind if kind.ends_with("_TOOL_OF") => Some(&self.from),
            _ => None,
        }
    }
}

/// Whether a JSON object is such a document; its list may be missing or `null`.
pub(super) fn recognise(document: &Value) -> Document {
    let is_stated = document.get("spdxVersion").is_some();
    match document.get("packages") {
        // Many a file has `packages` of another kind.
        Some(Value::Array(packages)) if is_stated || packages.iter().any(is_package) => Document::Listed,
        None | Some(Value::Null) if is_stated => Document::Listed,
        Some(_) if is_stated => Document::Malformed("packages"),
        Some(_) | None => Document::Other,
    }
}

fn is_package(value: &Value) -> bool {
    value.get("SPDXID").is_some() || value.get("externalRefs").is_some()
}

/// Whether a reference of this type is a purl; older documents write its whole name.
pub(super) fn is_purl(reference_type: &str) -> bool {
    reference_type == "purl" || reference_type.ends_with("/purl")
}

fn nature(purpose: &str) -> Nature {
    match purpose {
        "CONTAINER" | "DEVICE" | "FILE" | "OPERATING-SYSTEM" | "OPERATING_SYSTEM" => Nature::Other,
        _ => Nature::Software,
    }
}

fn list<'a>(of: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    of.get(key).and_then(Value::as_array).into_iter().flatten()
}
