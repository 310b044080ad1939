//! Our own JSON: the report as it is, with a version.

use serde::Serialize;

use super::Output;
use crate::model::report::Report;

/// The format.
pub(super) struct Json;

/// What the format writes; pretty or not is for the writer to choose.
#[derive(Serialize)]
pub struct Document<'a> {
    version: u32,
    #[serde(flatten)]
    report: &'a Report,
    /// Of the children of an index.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Document<'a>>,
}

impl<'a> Document<'a> {
    /// Of an image, or of an index with the reports of its children.
    pub fn of(report: &'a Report, children: &'a [Report]) -> Self {
        let images = children.iter().map(|child| Self::of(child, &[])).collect();
        Self { version: 1, report, images }
    }
}

impl Output for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn render(&self, report: &Report) -> Vec<u8> {
        serde_json::to_vec(&Document::of(report, &[])).expect("a report has only strings and numbers")
    }
}
