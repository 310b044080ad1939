//! Lists about CVEs: CISA's catalogue of known exploited vulnerabilities, FIRST's EPSS scores.

use serde::Deserialize;
use shared::model::report::Probability;

/// One entry of CISA's catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct KnownExploited {
    /// The CVE.
    #[serde(rename = "cveID")]
    pub cve: String,
}

/// One EPSS score.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// The CVE.
    pub cve: String,
    /// The probability of exploitation within 30 days.
    pub probability: Probability,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// Not CISA's JSON.
    #[error("not a catalogue of known exploited vulnerabilities")]
    Catalogue(#[from] serde_json::Error),
    /// Not the EPSS table.
    #[error("not a table with the columns cve and epss")]
    Columns,
}

/// Reads CISA's JSON.
pub fn parse_kev(bytes: &[u8]) -> Result<Vec<KnownExploited>, ListError> {
    #[derive(Deserialize)]
    struct Catalogue {
        vulnerabilities: Vec<KnownExploited>,
    }
    Ok(serde_json::from_slice::<Catalogue>(bytes)?.vulnerabilities)
}

/// Reads the EPSS table; a line that states no probability is skipped.
pub fn parse_epss(bytes: &[u8]) -> Result<Vec<Score>, ListError> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines().skip_while(|line| line.starts_with('#'));
    if !lines.next().is_some_and(|header| header.starts_with("cve,epss")) {
        return Err(ListError::Columns);
    }
    let scores = lines.filter_map(|line| {
        let mut fields = line.split(',');
        let (cve, probability) = (fields.next()?, fields.next()?.parse::<f64>().ok()?);
        probability
            .is_finite()
            .then(|| Score { cve: cve.to_owned(), probability: Probability::new(probability) })
    });
    Ok(scores.collect())
}
