//! Names of things: licence expressions, package URLs, ecosystems' names, CVSS vectors. What comes out is a fixed point.

#![no_main]

use libfuzzer_sys::fuzz_target;
use scanner::advisories::ecosystems;
use scanner::advisories::names;
use scanner::advisories::severity::{CvssType, from_cvss, from_summary, from_word};
use scanner::analyzers::{ALL, CapturedFile};
use scanner::limits::Limits;
use shared::model::license::{Stated, expression, identifiers};
use shared::model::package::{PackageKind, Purl};
use tidewaiter_fuzz::budget;

fuzz_target!(|text: &str| {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    licences(&[first.to_owned()]);
    licences(&[first.to_owned(), rest.to_owned()]);
    package_url(first);
    for kind in PackageKind::ALL {
        if let Some(ecosystem) = ecosystems::of_kind(*kind) {
            let name = names::normalized(ecosystem, first);
            assert_eq!(names::normalized(ecosystem, &name), name, "{ecosystem} {first:?}");
        }
    }
    for kind in [CvssType::V2, CvssType::V3, CvssType::V4] {
        let _ = from_cvss(&[(kind, first), (kind, rest)]);
    }
    let _ = (from_word(first), from_summary(text));
});

fn licences(texts: &[String]) {
    if let Some(found) = expression(texts) {
        assert_eq!(expression(std::slice::from_ref(&found)).as_deref(), Some(found.as_str()), "{texts:?}");
        let _ = identifiers(&found);
    }
    if let Stated::Known(terms) = Stated::of(texts) {
        let takes_all = terms.are_met(|_| true);
        assert!(takes_all, "who takes every licence may use {texts:?}");
    }
}

/// A purl as an SBOM states it: what is read is written, and read again as the same.
fn package_url(text: &str) {
    for written in read(text) {
        let again = read(&written);
        assert_eq!(again, [written.as_str()], "{text:?}");
    }
}

fn read(purl: &str) -> Vec<String> {
    let analyzer = ALL.iter().find(|analyzer| analyzer.name() == "sbom").expect("it is one of them");
    let component = serde_json::json!({"type": "library", "name": "a", "purl": purl});
    let document =
        serde_json::json!({"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [component]});
    let limits: Limits = budget::limits();
    let content = document.to_string();
    let file = CapturedFile { path: "opt/a.cdx.json", mode: 0o644, content: content.as_bytes() };
    let packages = analyzer.analyze(&file, &limits).packages;
    packages.iter().map(|found| Purl::new(&found.package, None).to_string()).collect()
}
