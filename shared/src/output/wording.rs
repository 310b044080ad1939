//! What several formats say in the same words: identities of documents, times, addresses of advisories.

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::digest::{Algorithm, Digest};
use crate::model::observation::{Observation, Visibility};
use crate::model::report::Report;

/// The name of the tool that documents are made by.
pub(super) const TOOL: &str = "tidewaiter";

/// An identity for the document about a report: the same facts get the same one, newer facts another.
pub(super) fn identity(report: &Report, format: &str) -> Uuid {
    let revisions = &report.revisions;
    let text = format!(
        "{format}\n{}\n{}\n{}\n{}",
        report.digest, revisions.analyzer, revisions.database, report.scanned_at
    );
    let hash = Digest::of(text.as_bytes());
    let mut bytes = [0_u8; 16];
    hex::decode_to_slice(&hash.encoded()[..32], &mut bytes).expect("a digest is hex");
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// A time to the second in UTC, as both SBOM formats want it.
pub(super) fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The name of a digest's algorithm, with what a format puts between letters and number.
pub(super) fn algorithm(digest: &Digest, between: &str) -> String {
    let bits = match digest.algorithm() {
        Algorithm::Sha256 => 256,
        Algorithm::Sha512 => 512,
    };
    format!("SHA{between}{bits}")
}

/// Where people read about an advisory. Ids come from advisory data: whatever is no plain name is encoded.
pub fn advisory_url(id: &str) -> String {
    let name: String =
        url::form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>().replace('+', "%20");
    match id.split('-').next().unwrap_or_default() {
        "CVE" => format!("https://www.cve.org/CVERecord?id={name}"),
        "GHSA" => format!("https://github.com/advisories/{name}"),
        _ => format!("https://osv.dev/vulnerability/{name}"),
    }
}

/// Where an observation was made, in a few words: `app/.env:3, deleted by layer 4`.
pub(super) fn place(observation: &Observation) -> String {
    let place = &observation.place;
    let mut text = match (&place.path, &place.config) {
        (Some(path), _) => path.clone(),
        (None, Some(config)) => config.clone(),
        (None, None) => "image".to_owned(),
    };
    if let (Some(line), Some(_)) = (place.line, &place.path) {
        text.push_str(&format!(":{line}"));
    }
    match observation.visibility {
        Visibility::Visible => {}
        Visibility::Overwritten { by } => text.push_str(&format!(", overwritten by layer {}", by.0)),
        Visibility::Deleted { by } => text.push_str(&format!(", deleted by layer {}", by.0)),
    }
    text
}

/// One line about an observation, for formats that have only room for a text.
pub(super) fn sentence(observation: &Observation) -> String {
    let Observation { rule, kind, severity, title, .. } = observation;
    format!("{kind} {rule} ({severity}): {title}; {}", place(observation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sample;

    #[test]
    fn advisories_are_linked_where_their_kind_lives() {
        for (id, expected) in [
            ("CVE-2024-22195", "https://www.cve.org/CVERecord?id=CVE-2024-22195"),
            ("GHSA-h5c8-rqwp-cp95", "https://github.com/advisories/GHSA-h5c8-rqwp-cp95"),
            ("DSA-5587-1", "https://osv.dev/vulnerability/DSA-5587-1"),
            ("RHSA-2024:1", "https://osv.dev/vulnerability/RHSA-2024%3A1"),
            ("x y/../z", "https://osv.dev/vulnerability/x%20y%2F..%2Fz"),
        ] {
            assert_eq!(advisory_url(id), expected);
        }
    }

    #[test]
    fn the_same_facts_have_the_same_identity_and_newer_facts_another() {
        let report = sample::report(&Digest::of(b"image"));
        assert_eq!(identity(&report, "a"), identity(&report, "a"));
        assert_ne!(identity(&report, "a"), identity(&report, "b"));
        let newer = Report { revisions: sample::revisions("db-2"), ..report.clone() };
        assert_ne!(identity(&report, "a"), identity(&newer, "a"));
    }
}
