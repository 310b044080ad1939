//! Severities: from CVSS vectors, and from the words that advisories use.
//!
//! Scores are computed here, never taken over. Bands: CVSS v3.1 section 5 and v4.0 section 6 (none, below 4, below 7,
//! below 9); for v2.0, which defines none, those of NIST's NVD (below 4, below 7, and the rest).

use cvss::{v2, v3, v4};
use shared::model::report::{Score, Severity};

/// The generations of CVSS that advisories carry; a later one is preferred.
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
    /// The score, if it comes from a vector.
    pub score: Option<Score>,
    /// The vector that was used, as it was given.
    pub vector: Option<String>,
}

/// The rating by the best of the vectors: v4 before v3 before v2, of equals the first.
///
/// A vector that is malformed, is of another generation than stated or lacks mandatory metrics is passed over; `None`
/// if none is left.
pub fn from_cvss(vectors: &[(CvssType, &str)]) -> Option<Rating> {
    [CvssType::V4, CvssType::V3, CvssType::V2]
        .into_iter()
        .flat_map(|wanted| vectors.iter().filter(move |(given, _)| *given == wanted))
        .find_map(|&(generation, vector)| rate(generation, vector))
}

/// The severity that an advisory states as a word, in any case: `LOW`, `Moderate`, `unimportant` …
///
/// `None` for words that rate nothing: `unknown`, `not yet assigned`, `end-of-life`.
pub fn from_word(word: &str) -> Option<Severity> {
    const WORDS: [(&str, Severity); 11] = [
        ("critical", Severity::Critical),
        ("high", Severity::High),
        ("important", Severity::High),
        ("medium", Severity::Medium),
        ("moderate", Severity::Medium),
        ("low", Severity::Low),
        ("minor", Severity::Low),
        ("negligible", Severity::Negligible),
        ("unimportant", Severity::Negligible),
        ("none", Severity::Negligible),
        ("informational", Severity::Negligible),
    ];
    let word = word.trim();
    let known = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
    known.map(|&(_, severity)| severity)
}

/// The severity that AlmaLinux, Rocky Linux and Red Hat put before a summary: `Important: openssl security update`.
pub fn from_summary(summary: &str) -> Option<Severity> {
    summary.split_once(':').and_then(|(word, _)| from_word(word))
}

fn rate(generation: CvssType, text: &str) -> Option<Rating> {
    // Some records end a vector in the separator; that leaves nothing unclear.
    let vector = text.trim();
    let vector = vector.strip_suffix('/').unwrap_or(vector);
    let score = match generation {
        CvssType::V2 => vector.parse::<v2::Vector>().ok()?.score().value(),
        CvssType::V3 => complete(vector.parse().ok()?)?.score().value(),
        CvssType::V4 => vector.parse::<v4::Vector>().ok()?.score().value(),
    };
    let score = Score::new(score);
    let severity = match generation {
        CvssType::V2 => band_v2(score),
        CvssType::V3 | CvssType::V4 => band(score),
    };
    Some(Rating {
        severity,
        score: Some(score),
        vector: Some(vector.to_owned()),
    })
}

/// The parser lets v3 vectors without mandatory metrics pass, and would score them 0.
fn complete(vector: v3::Vector) -> Option<v3::Vector> {
    let complete = vector.av.is_some()
        && vector.ac.is_some()
        && vector.pr.is_some()
        && vector.ui.is_some()
        && vector.s.is_some()
        && vector.c.is_some()
        && vector.i.is_some()
        && vector.a.is_some();
    complete.then_some(vector)
}

/// The bands of CVSS v3 and v4; `none` is the least that a rated flaw can be.
pub fn band(score: Score) -> Severity {
    match tenths(score) {
        0 => Severity::Negligible,
        1..40 => Severity::Low,
        40..70 => Severity::Medium,
        70..90 => Severity::High,
        _ => Severity::Critical,
    }
}

fn band_v2(score: Score) -> Severity {
    match tenths(score) {
        0..40 => Severity::Low,
        40..70 => Severity::Medium,
        _ => Severity::High,
    }
}

fn tenths(score: Score) -> u8 {
    (score.value() * 10.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(vectors: &[(CvssType, &str)], expected: Option<(f64, Severity)>) {
        let rating = from_cvss(vectors);
        let rated = rating.map(|rating| {
            (
                rating.score.expect("comes from a vector").value(),
                rating.severity,
            )
        });
        assert_eq!(rated, expected, "{vectors:?}");
    }

    #[test]
    fn scores_are_computed_and_banded() {
        use CvssType::{V2, V3, V4};
        use Severity::{Critical, High, Low, Medium, Negligible};
        for (generation, vector, score, severity) in [
            (V3, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, Critical),
            (V3, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0, Critical),
            (V3, "CVSS:3.0/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:H/A:N", 5.9, Medium),
            (V3, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", 7.5, High),
            (V3, "CVSS:3.1/AV:L/AC:H/PR:L/UI:R/S:U/C:L/I:N/A:N", 2.2, Low),
            (
                V3,
                "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N",
                0.0,
                Negligible,
            ),
            (V3, " CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H/ ", 7.5, High),
            (V2, "AV:N/AC:L/Au:N/C:P/I:P/A:P", 7.5, High),
            (V2, "AV:N/AC:L/Au:N/C:C/I:C/A:C", 10.0, High),
            (V2, "AV:N/AC:M/Au:N/C:N/I:P/A:N", 4.3, Medium),
            (V2, "AV:L/AC:L/Au:N/C:P/I:N/A:N", 2.1, Low),
            (
                V4,
                "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
                9.3,
                Critical,
            ),
            (
                V4,
                "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N",
                8.7,
                High,
            ),
            (
                V4,
                "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N",
                0.0,
                Negligible,
            ),
        ] {
            check(&[(generation, vector)], Some((score, severity)));
        }
    }

    #[test]
    fn a_broken_vector_is_passed_over_and_not_scored_zero() {
        use CvssType::{V2, V3, V4};
        for (generation, vector) in [
            (V3, "CVSS:3.1/AV:N"),
            (V3, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H"),
            (V3, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:Q"),
            (V3, "CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
            (V3, "CVSS:3.9/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
            (V3, "AV:N/AC:L/Au:N/C:P/I:P/A:P"),
            (V3, "9.8"),
            (V3, ""),
            (V2, "AV:N/AC:L/Au:N"),
            (V2, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
            (V4, "CVSS:4.0/AV:N/AC:L"),
            (V4, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
        ] {
            check(&[(generation, vector)], None);
        }
    }

    #[test]
    fn the_latest_generation_that_can_be_read_decides() {
        let v2 = (CvssType::V2, "AV:N/AC:L/Au:N/C:P/I:P/A:P");
        let v3 = (CvssType::V3, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H");
        let v4 = (
            CvssType::V4,
            "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:H/SC:N/SI:N/SA:N",
        );
        check(&[v2, v3, v4], Some((8.7, Severity::High)));
        check(
            &[v2, (CvssType::V4, "CVSS:4.0/AV:N"), v3],
            Some((9.8, Severity::Critical)),
        );
        check(
            &[(CvssType::V3, "CVSS:3.1/AV:N"), v2],
            Some((7.5, Severity::High)),
        );
        check(&[], None);
    }

    #[test]
    fn words_are_known_in_any_case() {
        for (word, severity) in [
            ("LOW", Some(Severity::Low)),
            ("MODERATE", Some(Severity::Medium)),
            ("Medium", Some(Severity::Medium)),
            ("Important", Some(Severity::High)),
            ("High", Some(Severity::High)),
            ("Critical", Some(Severity::Critical)),
            ("negligible", Some(Severity::Negligible)),
            (" unimportant ", Some(Severity::Negligible)),
            ("Unknown", None),
            ("not yet assigned", None),
            ("end-of-life", None),
            ("", None),
        ] {
            assert_eq!(from_word(word), severity, "{word:?}");
        }
        assert_eq!(
            from_summary("Important: openssl security update"),
            Some(Severity::High)
        );
        assert_eq!(from_summary("sssd bug fix and enhancement update"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*", vector in "(CVSS:[34]\\.[01]/)?([A-Za-z]{1,3}:[A-Z]{1,2}/?){0,12}") {
            for generation in [CvssType::V2, CvssType::V3, CvssType::V4] {
                let _ = from_cvss(&[(generation, &text), (generation, &vector)]);
            }
            let _ = (from_word(&text), from_summary(&text));
        }
    }
}
