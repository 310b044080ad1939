//! What is known of flaws beyond their advisories: which are exploited (CISA's KEV catalogue), and how probable
//! exploitation is (FIRST's EPSS). Both are keyed by CVE.
//!
//! In: the files as their publishers serve them, from anywhere, so everything is bounded. Out: maps by CVE. A broken
//! entry costs itself and is counted; a file that is not what it should be is an error.
//!
//! Formats: CISA's `known_exploited_vulnerabilities_schema.json`; FIRST, "EPSS Data", gzip-compressed CSV.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use shared::model::report::Probability;

#[cfg(test)]
mod tests;

/// The most bytes of a KEV catalogue; the real one has about 2 MB.
pub const KEV_BYTES: u64 = 64 << 20;
/// The most inflated bytes of EPSS scores; the real ones have about 10 MB.
pub const EPSS_BYTES: u64 = 256 << 20;
/// The most bytes of one line of EPSS scores.
const LINE_BYTES: usize = 1024;

/// Why a file cannot enrich anything.
#[derive(Debug, thiserror::Error)]
pub enum EnrichmentError {
    /// Reading or inflating failed.
    #[error("cannot read {what}")]
    Read {
        /// Which file.
        what: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It is larger than any honest one.
    #[error("{what} has more than {limit} bytes")]
    TooLarge {
        /// Which file.
        what: &'static str,
        /// The most bytes it may have.
        limit: u64,
    },
    /// The catalogue is not the JSON that CISA publishes.
    #[error("the KEV catalogue is not the JSON document that CISA publishes")]
    Kev(#[source] serde_json::Error),
    /// The catalogue says how many entries it has, and has another number.
    #[error("the KEV catalogue says to have {stated} entries, but has {found}")]
    KevIncomplete {
        /// What it says.
        stated: u64,
        /// What it has.
        found: usize,
    },
    /// There is no line with the names of the columns where one must be.
    #[error("line {line} of the EPSS scores does not name the columns `cve` and `epss`, but reads {text:?}")]
    EpssHeader {
        /// Its number, from 1.
        line: u64,
        /// How it begins.
        text: String,
    },
    /// A line that no score needs.
    #[error("line {line} of the EPSS scores has more than {LINE_BYTES} bytes")]
    EpssLine {
        /// Its number, from 1.
        line: u64,
    },
    /// Nothing in the file could be used.
    #[error("{what} holds no usable entry ({rejected} are malformed)")]
    Empty {
        /// Which file.
        what: &'static str,
        /// How many were malformed.
        rejected: u32,
    },
}

/// CISA's catalogue of known exploited vulnerabilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownExploited {
    /// When the catalogue was released, if it says so.
    pub released: Option<Timestamp>,
    /// CVE → the day on which it was added.
    pub added: BTreeMap<String, Date>,
    /// How many entries name no CVE or no day.
    pub rejected: u32,
}

/// FIRST's scores of one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExploitProbabilities {
    /// The day of the scores, or when they were retrieved, if the file says either.
    pub as_of: Option<Timestamp>,
    /// The version of the model, if the file says so.
    pub model: Option<String>,
    /// CVE → probability of exploitation within 30 days.
    pub scores: BTreeMap<String, Probability>,
    /// How many lines name no CVE or no probability.
    pub rejected: u32,
}

const KEV: &str = "the KEV catalogue";
const EPSS: &str = "the EPSS scores";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCatalogue {
    #[serde(default)]
    date_released: Option<String>,
    #[serde(default)]
    count: Option<u64>,
    vulnerabilities: Vec<RawEntry>,
}

#[derive(Deserialize)]
struct RawEntry {
    #[serde(rename = "cveID", default)]
    cve: Option<String>,
    #[serde(rename = "dateAdded", default)]
    added: Option<String>,
}

impl KnownExploited {
    /// Reads a catalogue (`known_exploited_vulnerabilities.json`), at most [`KEV_BYTES`] of it.
    pub fn read(input: impl Read) -> Result<Self, EnrichmentError> {
        let mut bytes = Vec::new();
        let read = input.take(KEV_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|source| EnrichmentError::Read { what: KEV, source })?;
        if bytes.len() as u64 > KEV_BYTES {
            return Err(EnrichmentError::TooLarge { what: KEV, limit: KEV_BYTES });
        }
        let catalogue: RawCatalogue = serde_json::from_slice(&bytes).map_err(EnrichmentError::Kev)?;
        catalogue.into_known_exploited()
    }
}

impl RawCatalogue {
    fn into_known_exploited(self) -> Result<KnownExploited, EnrichmentError> {
        let found = self.vulnerabilities.len();
        if let Some(stated) = self.count.filter(|&stated| stated != found as u64) {
            return Err(EnrichmentError::KevIncomplete { stated, found });
        }
        let mut known = KnownExploited {
            released: self.date_released.and_then(|text| text.parse().ok()),
            added: BTreeMap::new(),
            rejected: 0,
        };
        for entry in self.vulnerabilities {
            let cve = entry.cve.as_deref().and_then(cve);
            let added = entry.added.and_then(|text| text.trim().parse::<Date>().ok());
            match (cve, added) {
                (Some(cve), Some(added)) => {
                    let earliest = known.added.entry(cve).or_insert(added);
                    *earliest = added.min(*earliest);
                }
                (None, _) | (_, None) => known.rejected = known.rejected.saturating_add(1),
            }
        }
        if known.added.is_empty() {
            return Err(EnrichmentError::Empty { what: KEV, rejected: known.rejected });
        }
        Ok(known)
    }
}

impl ExploitProbabilities {
    /// Reads gzip-compressed scores (`epss_scores-current.csv.gz`), at most [`EPSS_BYTES`] inflated.
    ///
    /// Lines that begin with `#` may stand before the names of the columns:
    /// `#model_version:v2025.03.14,score_date:2026-08-16T12:55:00Z` in FIRST's own files, `#retrieved:…` in mirrors.
    pub fn read(gzip: impl Read) -> Result<Self, EnrichmentError> {
        Self::read_text(MultiGzDecoder::new(gzip))
    }

    /// Reads scores that are not compressed, at most [`EPSS_BYTES`] of them.
    pub fn read_text(text: impl Read) -> Result<Self, EnrichmentError> {
        let mut lines = Lines::new(BufReader::new(text));
        let mut probabilities = Self { as_of: None, model: None, scores: BTreeMap::new(), rejected: 0 };
        let columns = loop {
            let Some(line) = lines.next()? else {
                return Err(EnrichmentError::Empty { what: EPSS, rejected: 0 });
            };
            match line.strip_prefix('#') {
                Some(comment) => probabilities.take_comment(comment),
                None if line.is_empty() => {}
                None => {
                    let (columns, text) = (Columns::find(line), line.chars().take(80).collect());
                    let line = lines.number;
                    break columns.ok_or(EnrichmentError::EpssHeader { line, text })?;
                }
            }
        };
        while let Some(line) = lines.next()? {
            if !line.is_empty() {
                probabilities.take_score(line, columns);
            }
        }
        if probabilities.scores.is_empty() {
            return Err(EnrichmentError::Empty { what: EPSS, rejected: probabilities.rejected });
        }
        Ok(probabilities)
    }

    fn take_comment(&mut self, comment: &str) {
        for (key, value) in comment.split(',').filter_map(|field| field.split_once(':')) {
            match key.trim() {
                "model_version" => self.model = Some(value.trim().to_owned()),
                "score_date" | "retrieved" => self.as_of = timestamp(value.trim()).or(self.as_of),
                _ => {}
            }
        }
    }

    fn take_score(&mut self, line: &str, columns: Columns) {
        let cve = line.split(',').nth(columns.cve).and_then(cve);
        let score = line.split(',').nth(columns.epss).and_then(|text| text.trim().parse::<f64>().ok());
        match (cve, score) {
            (Some(cve), Some(score)) if (0.0..=1.0).contains(&score) => {
                self.scores.insert(cve, Probability::new(score));
            }
            (_, _) => self.rejected = self.rejected.saturating_add(1),
        }
    }
}

/// Where the wanted columns stand.
#[derive(Clone, Copy)]
struct Columns {
    cve: usize,
    epss: usize,
}

impl Columns {
    fn find(header: &str) -> Option<Self> {
        let position = |name: &str| header.split(',').position(|column| column.trim() == name);
        Some(Self { cve: position("cve")?, epss: position("epss")? })
    }
}

/// The lines of a text, each bounded, all bounded together.
struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    text: String,
    number: u64,
    left: u64,
}

impl<R: BufRead> Lines<R> {
    fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), text: String::new(), number: 0, left: EPSS_BYTES }
    }

    /// The next line without its end; undecodable bytes become U+FFFD. `None` at the end of the text.
    fn next(&mut self) -> Result<Option<&str>, EnrichmentError> {
        self.buffer.clear();
        self.number += 1;
        let mut bounded = (&mut self.input).take(LINE_BYTES as u64 + 2);
        let read = bounded.read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|source| EnrichmentError::Read { what: EPSS, source })?;
        if read == 0 {
            return Ok(None);
        }
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or(EnrichmentError::TooLarge { what: EPSS, limit: EPSS_BYTES })?;
        let line = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > LINE_BYTES {
            return Err(EnrichmentError::EpssLine { line: self.number });
        }
        self.text = String::from_utf8_lossy(line).into_owned();
        Ok(Some(self.text.as_str()))
    }
}

/// A CVE id in its one spelling (`CVE-2024-3094`), or nothing.
fn cve(text: &str) -> Option<String> {
    let text = text.trim();
    let (year, number) = text.get(4..)?.split_once('-')?;
    let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_cve = text[..4].eq_ignore_ascii_case("CVE-") && digits(year, 4..=4) && digits(number, 4..=19);
    is_cve.then(|| text.to_ascii_uppercase())
}

/// A time, or the beginning (UTC) of a day.
fn timestamp(text: &str) -> Option<Timestamp> {
    let day = || text.parse::<Date>().ok().map(|day| day.at(0, 0, 0, 0));
    text.parse().ok().or_else(|| jiff::tz::Offset::UTC.to_timestamp(day()?).ok())
}
