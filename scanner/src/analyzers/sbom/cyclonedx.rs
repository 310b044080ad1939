//! CycloneDX in JSON: `components[]`, nested ones too, and those of `metadata.component`, which itself is what the
//! document is about. Specification: ECMA-424; the same in all versions from 1.2.

use serde_json::Value;

use super::listing::{Component, Listing, Nature};
use super::{Document, text_of, texts_of};

/// Enters all components of a document.
pub(super) fn read(document: &Value, listing: &mut Listing) {
    let root = document.get("metadata").and_then(|metadata| metadata.get("component"));
    // Components lie in each other no deeper than the JSON reader allows.
    let mut open: Vec<&Value> = [Some(document), root].into_iter().flatten().flat_map(parts).collect();
    while let Some(component) = open.pop() {
        listing.add(&Component {
            name: text_of(component, "name"),
            version: Some(text_of(component, "version")),
            purls: texts_of(component, "purl"),
            nature: nature(&text_of(component, "type")),
        });
        open.extend(parts(component));
    }
}

/// Whether a JSON object is such a document; its list may be missing or `null`.
pub(super) fn recognise(document: &Value) -> Document {
    let is_stated = document.get("bomFormat").and_then(Value::as_str) == Some("CycloneDX");
    match document.get("components") {
        Some(Value::Array(_)) => Document::Listed,
        None | Some(Value::Null) if is_stated => Document::Listed,
        Some(_) if is_stated => Document::Malformed("components"),
        Some(_) | None => Document::Other,
    }
}

/// What a component's type says about it; also of CycloneDX in XML.
pub(super) fn nature(component_type: &str) -> Nature {
    match component_type {
        "file"
        | "operating-system"
        | "container"
        | "device"
        | "data"
        | "machine-learning-model"
        | "cryptographic-asset" => Nature::Other,
        _ => Nature::Software,
    }
}

fn parts(of: &Value) -> impl Iterator<Item = &Value> {
    of.get("components").and_then(Value::as_array).into_iter().flatten()
}
