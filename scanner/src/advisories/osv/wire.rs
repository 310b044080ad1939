//! The JSON of an OSV record as publishers write it, and what becomes of its record-level fields.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use shared::model::report::FindingKind;

use super::affected::WireAffected;
use super::{
    Advisory, LONGEST_NAME, LONGEST_SUMMARY, MOST_NAMES, RecordError, Vector, Word, is_bugfix_notice,
    states_cves_as_related,
};
use crate::advisories::severity::{self, CvssType};

/// A record. Lists may be absent or `null`; free-form objects are looked into, never relied on.
#[derive(Deserialize)]
pub(super) struct Record {
    #[serde(default)]
    id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    modified: String,
    published: Option<String>,
    withdrawn: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    aliases: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    upstream: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    related: Vec<String>,
    summary: Option<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    severity: Vec<WireSeverity>,
    #[serde(default, deserialize_with = "null_is_default")]
    affected: Vec<WireAffected>,
    #[serde(default)]
    database_specific: Value,
}

/// A rating: a vector, or a word.
#[derive(Deserialize)]
pub(super) struct WireSeverity {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    score: String,
}

/// Reads `null` as the empty value.
pub(super) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl Record {
    pub(super) fn into_advisory(self) -> Result<Advisory, RecordError> {
        if !is_usable_name(&self.id) {
            return Err(RecordError::Id);
        }
        let Some(modified) = time(&self.modified) else {
            return Err(RecordError::Modified {
                id: self.id,
                text: self.modified.chars().take(60).collect(),
            });
        };
        let mut advisory = Advisory {
            kind: self.kind(),
            word: self.word(),
            modified,
            published: self.published.as_deref().and_then(time),
            withdrawn: self.withdrawn.is_some(),
            summary: self.summary.as_deref().and_then(shortened),
            vectors: vectors(&self.severity),
            aliases: Vec::new(),
            upstream: Vec::new(),
            affected: Vec::new(),
            id: self.id,
        };
        if advisory.withdrawn {
            return Ok(advisory);
        }
        advisory.aliases = names(self.aliases, &advisory.id);
        let mut upstream = self.upstream;
        if states_cves_as_related(&advisory.id) {
            upstream.extend(self.related.into_iter().filter(|id| id.starts_with("CVE-")));
        }
        advisory.upstream = names(upstream, &advisory.id);
        let is_livepatch = advisory.id.starts_with("LSN-");
        if is_livepatch || (is_bugfix_notice(&advisory.id) && advisory.cves().is_empty()) {
            return Ok(advisory);
        }
        let kind = advisory.kind;
        let affected = self.affected.into_iter();
        advisory.affected = affected.flat_map(|entry| entry.into_affected(kind)).collect();
        Ok(advisory)
    }

    fn kind(&self) -> FindingKind {
        if self.id.starts_with("MAL-") {
            FindingKind::Malware
        } else if self.affected.iter().any(WireAffected::is_informational) {
            FindingKind::Informational
        } else {
            FindingKind::Vulnerability
        }
    }

    /// The publisher's word: Ubuntu's priority, the first word of an announcement, GitHub's severity.
    fn word(&self) -> Option<Word> {
        let ubuntu = self.severity.iter().find(|rating| rating.kind == "Ubuntu");
        if let Some(priority) = ubuntu.and_then(|rating| severity::from_word(&rating.score)) {
            return Some(Word::Distribution(priority));
        }
        let announces = ["ALSA-", "RLSA-", "RXSA-", "SUSE-", "openSUSE-"];
        if announces.iter().any(|prefix| self.id.starts_with(prefix))
            && let Some(word) = self.summary.as_deref().and_then(severity::from_summary)
        {
            return Some(Word::Distribution(word));
        }
        let stated = self.database_specific.get("severity").and_then(Value::as_str);
        let stated = stated.and_then(severity::from_word)?;
        Some(if self.id.starts_with("RHSA-") { Word::Distribution(stated) } else { Word::Database(stated) })
    }
}

/// The CVSS vectors among the ratings.
pub(super) fn vectors(ratings: &[WireSeverity]) -> Vec<Vector> {
    let vectors = ratings.iter().filter_map(|rating| {
        let kind = match rating.kind.as_str() {
            "CVSS_V2" => CvssType::V2,
            "CVSS_V3" => CvssType::V3,
            "CVSS_V4" => CvssType::V4,
            _ => return None,
        };
        Some((kind, rating.score.clone()))
    });
    vectors.collect()
}

/// An id or package name that can be a key: not empty, not endless, no control characters.
pub(super) fn is_usable_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control)
}

/// RFC 3339, with or without fractions; kept to the second.
fn time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    Timestamp::from_second(time.as_second()).ok()
}

/// The usable names, sorted, once each, without the record's own.
fn names(names: Vec<String>, own: &str) -> Vec<String> {
    let usable = |name: &String| is_usable_name(name) && name != own;
    let mut names: Vec<String> = names.into_iter().filter(usable).take(MOST_NAMES).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The first line, cut to a length that can be shown.
fn shortened(summary: &str) -> Option<String> {
    let line = summary.lines().map(str::trim).find(|line| !line.is_empty())?;
    let mut short: String = line.chars().filter(|c| !c.is_control()).take(LONGEST_SUMMARY).collect();
    if short.len() < line.len() && line.chars().count() > LONGEST_SUMMARY {
        short.push('…');
    }
    Some(short)
}
