//! Advisories: OSV dumps → one immutable database file → findings.

pub mod ecosystems;
pub mod severity;
pub mod versions;
