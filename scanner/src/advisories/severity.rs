//! Severities: from CVSS vectors and from the words that advisories use.

use shared::model::report::{Score, Severity};

/// The generations of CVSS that advisories carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CvssType {
    /// CVSS v2.0.
    V2,
    /// CVSS v3.0 and v3.1.
    V3,
    /// CVSS v4.0.
    V4,
}

/// How bad a flaw is, and where that comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rating {
    /// The band.
    pub severity: Severity,
    /// The base score, if it comes from a vector.
    pub score: Option<Score>,
    /// The vector that was used.
    pub vector: Option<String>,
}

/// The rating of the best vector: v4 before v3 before v2. A vector that is malformed or lacks mandatory metrics is
/// passed over; `None` if none is left.
pub fn from_cvss(vectors: &[(CvssType, &str)]) -> Option<Rating> {
    let _ = vectors;
    None
}

/// The severity that an advisory states as a word, in any case: `LOW`, `Moderate`, `unimportant` …
pub fn from_word(word: &str) -> Option<Severity> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "critical" => Severity::Critical,
        "high" | "important" => Severity::High,
        "medium" | "moderate" => Severity::Medium,
        "low" => Severity::Low,
        "negligible" | "unimportant" => Severity::Negligible,
        _ => return None,
    })
}
