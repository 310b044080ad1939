//! Image bytes in, [`shared::model::report::Report`] out. Knows no queue, no store and no HTTP server.
//!
//! Reading order: [`source`] (where bytes come from), [`image`] (manifest → layers → inventory),
//! [`analyzers`] (one file a package format), [`advisories`] (database and matching), `misconfig` (checks of
//! what the image is), [`attached`] (what SBOMs in the registry claim besides), [`secrets`] and [`malware`] (what lies in
//! files), [`limits`].

pub mod advisories;
pub mod analyzers;
pub mod attached;
pub mod image;
pub mod limits;
pub mod malware;
mod misconfig;
pub mod report;
pub mod scan;
pub mod secrets;
pub mod source;
