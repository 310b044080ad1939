//! Reports as bytes: one file a format, used by the api and the command line alike.

use serde::Serialize;

use crate::model::image::ImageName;
use crate::model::report::Report;

mod cyclonedx;
pub mod json;
pub mod junit;
mod markdown;
mod openvex;
pub mod sarif;
mod spdx;
mod table;
mod upgrades;
mod wording;

#[cfg(test)]
mod tests;

pub use wording::advisory_url;

/// Every format. Adding one: a file, and a line here.
pub const ALL: &[&dyn Output] = &[
    &json::Json,
    &sarif::Sarif,
    &table::Table,
    &cyclonedx::CycloneDx,
    &spdx::Spdx,
    &openvex::OpenVex,
    &markdown::Markdown,
];

/// Writes one format.
pub trait Output: Send + Sync {
    /// What users type: `json`.
    fn name(&self) -> &'static str;

    /// The media type of the bytes.
    fn media_type(&self) -> &'static str;

    /// The report in this format. Texts from images are escaped for it.
    fn render(&self, report: &Report) -> Vec<u8>;

    /// The same for an image that is known by this name, where the format has a place for it.
    fn render_named(&self, report: &Report, _name: &ImageName) -> Vec<u8> {
        self.render(report)
    }
}

/// The format of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Output> {
    ALL.iter().copied().find(|format| format.name() == name)
}

/// The word by which a value without fields is written in our own JSON.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
