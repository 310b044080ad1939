//! Advisories: OSV dumps → one immutable database file → findings.
