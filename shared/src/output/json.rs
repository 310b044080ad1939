//! Our own JSON: the report as it is, with a version.

use serde::Serialize;

use super::Output;
use crate::model::report::Report;

/// The format.
pub(super) struct Json;

#[derive(Serialize)]
struct Versioned<'a> {
    version: u32,
    #[serde(flatten)]
    report: &'a Report,
}

impl Output for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn render(&self, report: &Report) -> Vec<u8> {
        serde_json::to_vec(&Versioned { version: 1, report }).expect("a report has only strings and numbers")
    }
}
