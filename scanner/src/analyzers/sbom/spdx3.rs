//! SPDX 3 in JSON: elements of `@graph`, packages among them being of type `software_Package`, or a document that is one
//! element. Specification: SPDX 3.0.1, "Software" and "Serialization".

use std::collections::HashSet;

use serde_json::Value;

use super::listing::{Component, Listing, Nature};
use super::{Document, text_of, texts_of};

/// Enters all packages.
pub(super) fn read(document: &Value, listing: &mut Listing) {
    let elements: Vec<&Value> = match document.get("@graph") {
        Some(graph) => graph.as_array().into_iter().flatten().collect(),
        None => vec![document],
    };
    let apart: HashSet<&str> = elements.iter().flat_map(|element| apart(element)).collect();
    for element in elements.into_iter().filter(|element| type_of(element) == "software_Package") {
        let is_apart = element.get("spdxId").and_then(Value::as_str).is_some_and(|id| apart.contains(id));
        let purpose = text_of(element, "software_primaryPurpose");
        let mut purls = texts_of(element, "software_packageUrl");
        for identifier in element.get("externalIdentifier").into_iter().flat_map(one_or_many) {
            if text_of(identifier, "externalIdentifierType") == "packageUrl" {
                purls.extend(texts_of(identifier, "identifier"));
            }
        }
        listing.add(&Component {
            name: text_of(element, "name"),
            version: Some(text_of(element, "software_packageVersion")),
            purls,
            nature: if is_apart { Nature::Other } else { nature(&purpose) },
        });
    }
}

/// Whether a JSON object is such a document.
pub(super) fn recognise(document: &Value) -> Document {
    let context = document.get("@context").into_iter().flat_map(one_or_many);
    let is_stated = context.filter_map(Value::as_str).any(|text| text.contains("spdx.org/rdf/3"));
    match document.get("@graph") {
        Some(Value::Array(elements)) if is_stated || elements.iter().any(is_package) => Document::Listed,
        None if is_stated => Document::Listed,
        Some(_) if is_stated => Document::Malformed("@graph"),
        Some(_) | None => Document::Other,
    }
}

fn is_package(element: &Value) -> bool {
    type_of(element) == "software_Package"
}

/// The elements that an element sets apart from what is described: the subject as a whole, its sources, its tools.
fn apart(element: &Value) -> Vec<&str> {
    let ids = |key: &str| element.get(key).into_iter().flat_map(one_or_many).filter_map(Value::as_str);
    match (type_of(element), text_of(element, "relationshipType").as_ref()) {
        ("SpdxDocument" | "software_Sbom" | "Bom", _) => ids("rootElement").collect(),
        (_, "describes" | "generates") => ids("from").collect(),
        (_, "usesTool") => ids("to").collect(),
        _ => Vec::new(),
    }
}

fn nature(purpose: &str) -> Nature {
    match purpose {
        "bom" | "configuration" | "container" | "data" | "device" | "diskImage" | "documentation"
        | "evidence" | "file" | "filesystemImage" | "manifest" | "model" | "operatingSystem"
        | "requirement" | "specification" => Nature::Other,
        _ => Nature::Software,
    }
}

fn type_of(element: &Value) -> &str {
    let stated = element.get("type").or_else(|| element.get("@type"));
    stated.and_then(Value::as_str).unwrap_or_default()
}

fn one_or_many(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        value => std::slice::from_ref(value),
    }
}
