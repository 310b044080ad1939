//! safetensors: the length of a JSON object, the object `{"__metadata__": {…}, "<tensor>": {…}}`, the numbers.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Description;

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    metadata: Option<BTreeMap<String, serde_json::Value>>,
}

/// What the metadata say; nothing where the object is longer than what was read.
pub(super) fn read(content: &[u8]) -> Description {
    let length = content.get(..8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
    let end = length.and_then(|length| usize::try_from(length).ok()?.checked_add(8));
    let header = end.and_then(|end| content.get(8..end));
    let header = header.and_then(|header| serde_json::from_slice::<Header>(header).ok());
    let mut metadata = header.and_then(|header| header.metadata).unwrap_or_default();
    // Writers agree on no keys; these are of Stability AI's "Model Metadata Standard".
    let mut stated = |key: &str| match metadata.remove(key) {
        Some(serde_json::Value::String(text)) => Some(text),
        Some(_) | None => None,
    };
    Description {
        name: stated("modelspec.title"),
        version: stated("modelspec.version"),
        architecture: stated("modelspec.architecture"),
        license: stated("modelspec.license"),
    }
}
