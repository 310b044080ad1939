//! Advisories: OSV dumps → one immutable database file → findings.
//!
//! Reading order: [`osv`] (one record), [`compile`] (dumps → file), [`record`] and [`codec`] (what lies in the
//! file), [`Database`] (the opened file), [`matching`] (inventory → findings); beside them the knowledge that
//! matching needs: [`versions`], [`severity`], [`ecosystems`], [`names`],
//! [`upstream`], [`enrichment`].

pub mod codec;
pub mod compile;
mod database;
pub mod ecosystems;
pub mod enrichment;
pub mod exploitation;
pub mod matching;
pub mod names;
pub mod osv;
pub mod record;
mod sealed;
pub mod severity;
mod tables;
pub mod upstream;
pub mod versions;

pub use database::{ChangedPackages, Database, DatabaseError, DatabaseSummary, Ecosystem};
