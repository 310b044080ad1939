//! Advisories: OSV dumps → one immutable database file → findings.

pub mod ecosystems;
pub mod enrichment;
pub mod severity;
pub mod versions;
