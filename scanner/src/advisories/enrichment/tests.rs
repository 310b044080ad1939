//! Both forms of each file, what is tolerated, and what is refused with which words.

use std::io::Write;

use super::*;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}

fn epss(text: &str) -> Result<ExploitProbabilities, String> {
    ExploitProbabilities::read(gzip(text).as_slice()).map_err(|error| error.to_string())
}

fn kev(text: &str) -> Result<KnownExploited, String> {
    KnownExploited::read(text.as_bytes()).map_err(|error| error.to_string())
}

fn time(text: &str) -> Option<Timestamp> {
    Some(text.parse().expect("is a time stamp"))
}

#[test]
fn both_first_lines_of_epss_are_understood() {
    for (first, as_of, model) in [
        (
            "#model_version:v2025.03.14,score_date:2026-08-16T12:55:00Z\n",
            time("2026-08-16T12:55:00Z"),
            Some("v2025.03.14"),
        ),
        (
            "#model_version:v2023.03.01,score_date:2024-01-01T00:00:00+0000\n",
            time("2024-01-01T00:00:00Z"),
            Some("v2023.03.01"),
        ),
        (
            "#retrieved:2026-08-16T11:16:02Z\n",
            time("2026-08-16T11:16:02Z"),
            None,
        ),
        ("#retrieved:2026-08-16\r\n", time("2026-08-16T00:00:00Z"), None),
        ("#nothing that we know\n", None, None),
        ("", None, None),
    ] {
        let scores = epss(&format!(
            "{first}cve,epss,percentile\nCVE-2024-3094,0.84431,0.99\n"
        ))
        .expect("is readable");
        assert_eq!(scores.as_of, as_of, "{first:?}");
        assert_eq!(scores.model.as_deref(), model, "{first:?}");
        assert_eq!(scores.scores["CVE-2024-3094"], Probability::new(0.84431));
    }
}

#[test]
fn a_broken_score_costs_itself_only() {
    let scores = epss(
        "cve,epss,percentile\nCVE-2024-0001,0.5,0.9\nCVE-2024-0002,NaN,0.9\nCVE-2024-0003,1.5,0.9\n\nnonsense\n\
         CVE-x,0.1,0.1\nCVE-2024-0004\ncve-2024-0005,1,1",
    );
    let scores = scores.expect("is readable");
    assert_eq!(scores.rejected, 5);
    assert_eq!(
        scores.scores.keys().collect::<Vec<_>>(),
        ["CVE-2024-0001", "CVE-2024-0005"]
    );
}

#[test]
fn columns_are_found_by_name() {
    let scores = epss("percentile,new,epss,cve\n0.9,x,0.25,CVE-2024-0001\n").expect("is readable");
    assert_eq!(scores.scores["CVE-2024-0001"], Probability::new(0.25));
}

#[test]
fn a_file_that_holds_no_scores_is_refused() {
    for (text, words) in [
        ("", "no usable entry"),
        ("cve,epss,percentile\n", "no usable entry"),
        ("cve,epss,percentile\nnonsense\n", "(1 are malformed)"),
        (
            "#comment\n<html>\n",
            "line 2 of the EPSS scores does not name the columns",
        ),
        (
            &format!("cve,epss\n{}", "x".repeat(5000)),
            "line 2 of the EPSS scores has more than",
        ),
    ] {
        let error = epss(text).expect_err("is refused");
        assert!(error.contains(words), "{error}");
    }
    let plain = ExploitProbabilities::read(&b"cve,epss\nCVE-2024-0001,0.5\n"[..]);
    assert!(
        matches!(plain, Err(EnrichmentError::Read { .. })),
        "not compressed"
    );
    let mut cut = gzip("cve,epss\nCVE-2024-0001,0.5\n");
    cut.truncate(cut.len() - 6);
    let cut = ExploitProbabilities::read(cut.as_slice());
    assert!(matches!(cut, Err(EnrichmentError::Read { .. })), "cut off");
}

#[test]
fn all_members_of_a_gzip_file_are_read() {
    let mut file = gzip("cve,epss\nCVE-2024-0001,0.5\n");
    file.extend(gzip("CVE-2024-0002,0.25\n"));
    let scores = ExploitProbabilities::read(file.as_slice()).expect("is readable");
    assert_eq!(scores.scores.len(), 2);
}

#[test]
fn i7_a_bomb_of_scores_is_refused_at_its_bound() {
    let member = gzip(&format!("{}\n", "#".repeat(1000)).repeat(10_000));
    let bomb = member.repeat(usize::try_from(EPSS_BYTES / 10_000_000).expect("is small") + 2);
    let refused = ExploitProbabilities::read(bomb.as_slice());
    assert!(matches!(refused, Err(EnrichmentError::TooLarge { .. })));
}

#[test]
fn the_catalogue_is_a_map_from_cve_to_day() {
    let known = kev(
        r#"{"title":"t","catalogVersion":"2025.08.25","dateReleased":"2025-08-25T17:04:19.9796Z","count":4,
            "vulnerabilities":[
              {"cveID":"CVE-2025-48384","dateAdded":"2025-08-25","knownRansomwareCampaignUse":"Unknown","cwes":[]},
              {"cveID":" cve-2021-44228","dateAdded":"2021-12-10"},
              {"cveID":"CVE-2020-0001","dateAdded":"soon"},
              {"dateAdded":"2021-12-10"}]}"#,
    );
    let known = known.expect("is readable");
    assert_eq!(known.released, time("2025-08-25T17:04:19.9796Z"));
    assert_eq!(known.rejected, 2);
    assert_eq!(known.added.len(), 2);
    assert_eq!(known.added["CVE-2021-44228"], jiff::civil::date(2021, 12, 10));
}

#[test]
fn a_catalogue_that_is_none_is_refused() {
    for (text, words) in [
        ("", "not the JSON document"),
        ("[]", "not the JSON document"),
        ("{}", "not the JSON document"),
        (r#"{"vulnerabilities":[]}"#, "no usable entry"),
        (
            r#"{"count":2,"vulnerabilities":[{"cveID":"CVE-2020-0001"}]}"#,
            "says to have 2 entries, but has 1",
        ),
        (
            r#"{"vulnerabilities":[{"cveID":"CVE-2020-0001"}]}"#,
            "(1 are malformed)",
        ),
    ] {
        let error = kev(text).expect_err("is refused");
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn the_published_files_are_read_whole() {
    let Some(fixtures) = std::env::var_os("TIDEWAITER_FIXTURES") else {
        return;
    };
    let open = |name: &str| {
        let path = std::path::Path::new(&fixtures).join("osv").join(name);
        std::fs::File::open(path).expect("the fixture is readable")
    };
    let known = KnownExploited::read(open("kev.json")).expect("is a catalogue");
    assert_eq!((known.added.len(), known.rejected), (1404, 0));
    assert_eq!(known.added["CVE-2021-44228"], jiff::civil::date(2021, 12, 10));
    let scores = ExploitProbabilities::read(open("epss.csv.gz")).expect("are scores");
    assert_eq!((scores.scores.len(), scores.rejected), (360_142, 0));
    assert!(scores.as_of.is_some());
    assert!(scores.scores["CVE-2021-44228"] > Probability::new(0.9));
}

proptest::proptest! {
    #[test]
    fn no_file_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), text in "\\PC{0,60}") {
        let _ = KnownExploited::read(bytes.as_slice());
        let _ = ExploitProbabilities::read(bytes.as_slice());
        let _ = ExploitProbabilities::read(gzip(&format!("cve,epss\n{text}\nCVE-2024-{text},{text}")).as_slice());
        let _ = (cve(&text), timestamp(&text));
    }
}
