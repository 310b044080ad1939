//! Rules about licences, and exceptions from them.

use super::*;

fn under(licenses: &[&str]) -> Report {
    let mut package = package("jinja2");
    package.package.licenses = licenses.iter().map(|text| (*text).to_owned()).collect();
    let inventory = Inventory { packages: vec![package], ..Inventory::default() };
    Report { subject: Subject::Image(Box::new(inventory)), ..report(vec![], vec![]) }
}

fn outcome(policy: &str, licenses: &[&str]) -> Outcome {
    judge(&with(policy), &under(licenses)).outcome
}

#[test]
fn a_deny_list_is_about_what_cannot_be_had_without_it() {
    for (list, license, expected) in [
        ("'AGPL-*'", "AGPL-3.0-only", Outcome::Fail),
        ("'AGPL-*'", "AGPL-3.0-or-later", Outcome::Fail),
        ("'AGPL-*'", "MIT", Outcome::Pass),
        ("'AGPL-*'", "AGPL-3.0-only OR MIT", Outcome::Pass),
        ("'AGPL-*'", "AGPL-3.0-only AND MIT", Outcome::Fail),
        ("'AGPL-*'", "AGPL-3.0-only OR MIT AND AGPL-3.0-only", Outcome::Fail),
        ("GPL-3.0-only", "GPL-3.0", Outcome::Fail),
        ("GPL-3.0-only", "GPL-3.0-or-later", Outcome::Fail),
        ("GPL-3.0-only", "GPL-2.0-or-later", Outcome::Pass),
        ("GPL-3.0-only, GPL-2.0-only", "GPL-2.0+", Outcome::Fail),
        ("GPL-2.0-only", "GPL-2.0-only WITH Classpath-exception-2.0", Outcome::Fail),
        ("'* WITH Classpath-exception-2.0'", "GPL-2.0-only WITH Classpath-exception-2.0", Outcome::Fail),
        ("'* WITH Classpath-exception-2.0'", "GPL-2.0-only", Outcome::Pass),
        ("'LicenseRef-*'", "LicenseRef-ours", Outcome::Fail),
        ("'AGPL-*'", "AGPL, ask us", Outcome::Pass),
        ("'AGPL-*'", "", Outcome::Pass),
    ] {
        let policy = format!("licenses: [{{name: r, when: {{requires: [{list}]}}, then: deny}}]");
        assert_eq!(outcome(&policy, &[license]), expected, "{list}: {license}");
    }
}

#[test]
fn an_allow_list_is_about_what_it_does_not_suffice_for() {
    for (list, license, expected) in [
        ("MIT, Apache-2.0", "MIT", Outcome::Pass),
        ("MIT, Apache-2.0", "MIT OR GPL-3.0-only", Outcome::Pass),
        ("MIT, Apache-2.0", "MIT AND Apache-2.0", Outcome::Pass),
        ("MIT, Apache-2.0", "MIT AND GPL-3.0-only", Outcome::Fail),
        ("MIT, Apache-2.0", "(MIT OR ISC) AND Apache-2.0", Outcome::Pass),
        ("MIT, Apache-2.0", "LicenseRef-ours", Outcome::Fail),
        ("MIT, Apache-2.0", "Apache-1.1+", Outcome::Pass),
        ("Apache-1.1", "Apache-2.0+", Outcome::Fail),
        ("GPL-3.0-only", "GPL-2.0-or-later", Outcome::Pass),
        ("GPL-3.0-or-later", "GPL-2.0-or-later", Outcome::Fail),
        ("GPL-2.0-only", "GPL-2.0-only WITH Classpath-exception-2.0", Outcome::Pass),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", Outcome::Fail),
        ("'BSD-*'", "BSD-3-Clause", Outcome::Pass),
        ("'*'", "LicenseRef-ours", Outcome::Pass),
        ("MIT", "custom", Outcome::Pass),
        ("MIT", "", Outcome::Pass),
    ] {
        let policy = format!("licenses: [{{name: r, when: {{beyond: [{list}]}}, then: deny}}]");
        assert_eq!(outcome(&policy, &[license]), expected, "{list}: {license}");
    }
    let both = "licenses: [{name: r, when: {beyond: [MIT]}, then: deny}]";
    assert_eq!(outcome(both, &["MIT", "ISC"]), Outcome::Fail, "several texts hold together");
}

#[test]
fn no_licence_and_no_known_one_are_cases_of_their_own() {
    for (when, nothing, unknown, known) in [
        ("stated: [missing]", Outcome::Fail, Outcome::Pass, Outcome::Pass),
        ("stated: [unknown]", Outcome::Pass, Outcome::Fail, Outcome::Pass),
        ("stated: [missing, unknown]", Outcome::Fail, Outcome::Fail, Outcome::Pass),
        ("ecosystem: [pypi]", Outcome::Fail, Outcome::Fail, Outcome::Fail),
        ("ecosystem: [deb]", Outcome::Pass, Outcome::Pass, Outcome::Pass),
        ("package: pkg:pypi/jinja2, stated: [missing]", Outcome::Fail, Outcome::Pass, Outcome::Pass),
        ("package: pkg:pypi/other", Outcome::Pass, Outcome::Pass, Outcome::Pass),
    ] {
        let policy = format!("licenses: [{{name: r, when: {{{when}}}, then: deny}}]");
        for (licenses, expected) in [(&[][..], nothing), (&["see LICENSE"], unknown), (&["MIT"], known)] {
            assert_eq!(outcome(&policy, licenses), expected, "{when}: {licenses:?}");
        }
    }
}

#[test]
fn the_first_rule_about_a_licence_decides_and_says_which_package() {
    let policy = with(
        "licenses:\n  - {name: classpath, when: {requires: ['* WITH Classpath-exception-2.0']}, then: ignore}\n  - {name: copyleft, when: {requires: ['GPL-*']}, then: warn}\n  - {name: unclear, when: {stated: [unknown, missing]}, then: deny}",
    );
    for (licenses, expected) in [
        (&["GPL-2.0-only WITH Classpath-exception-2.0"][..], None),
        (&["GPL-2.0-only"], Some("pkg:pypi/jinja2@1.0 is under GPL-2.0-only: rule copyleft")),
        (
            &["ask\nus"],
            Some("pkg:pypi/jinja2@1.0 has a licence that is no SPDX expression, \"ask us\": rule unclear"),
        ),
        (&[], Some("pkg:pypi/jinja2@1.0 says nothing about its licence: rule unclear")),
    ] {
        let reasons = judge(&policy, &under(licenses)).reasons;
        assert_eq!(reasons.first().map(|reason| reason.message.as_str()), expected);
        assert!(reasons.iter().all(|reason| reason.purl.as_deref() == Some("pkg:pypi/jinja2@1.0")));
        let explained = policy.explain(&under(licenses), &[], &Circumstances::anywhere(at(NOW)));
        assert_eq!(explained.general, reasons);
    }
}

#[test]
fn somebody_answers_for_a_licence_until_a_day() {
    let rule = "licenses: [{name: r, when: {beyond: [MIT]}, then: deny}, {name: s, when: {stated: [missing]}, then: deny}]";
    for (about, license, expected) in [
        ("license: AGPL-3.0-only", "AGPL-3.0-only", Outcome::Pass),
        ("license: 'AGPL-*', package: pkg:pypi/jinja2", "AGPL-3.0-only", Outcome::Pass),
        ("license: 'AGPL-*', package: pkg:pypi/other", "AGPL-3.0-only", Outcome::Fail),
        ("license: 'AGPL-*'", "GPL-3.0-only", Outcome::Fail),
        ("license: '*'", "", Outcome::Pass),
        ("package: pkg:pypi/jinja2", "AGPL-3.0-only", Outcome::Fail),
    ] {
        let policy =
            format!("{rule}\nexceptions: [{{{about}, owner: me, reason: bought, expires: 2026-04-01}}]");
        let verdict = judge(&with(&policy), &under(&[license]));
        assert_eq!(verdict.outcome, expected, "{about}");
        let until = (expected == Outcome::Pass).then(|| at("2026-04-02T00:00:00Z"));
        assert_eq!(verdict.valid_until, until, "{about}");
    }
    // And it never covers a flaw of the package.
    let flawed = report(vec![finding("CVE-1", Severity::Critical, fixed())], vec![]);
    let policy = with(
        "rules: [{name: r, when: {severity: [critical]}, then: deny}]\nexceptions: [{license: '*', package: pkg:pypi/jinja2, owner: me, reason: no, expires: 2026-04-01}]",
    );
    assert_eq!(judge(&policy, &flawed).outcome, Outcome::Fail);
}

#[test]
fn lists_that_mean_nothing_are_refused_with_their_place() {
    for (text, parts) in [
        ("licenses: [{name: r, when: {}, then: deny}]", ["line 3", "when is empty"]),
        (
            "licenses:\n  - name: r\n    when: {requires: [AGPL3]}\n    then: deny",
            ["line 5, column 23", "AGPL3"],
        ),
        ("licenses: [{name: r, when: {beyond: [GPL-3.0]}, then: deny}]", ["column 38", "GPL-3.0-only"]),
        ("licenses: [{name: r, when: {beyond: ['MIT WITH x']}, then: deny}]", ["MIT WITH x", "no licence"]),
        (
            "licenses: [{name: r, when: {beyond: [MIT], stated: [missing]}, then: deny}]",
            ["stated", "make it two"],
        ),
        (
            "exceptions: [{license: a, advisory: b, owner: me, reason: no, expires: 2026-04-01}]",
            ["exceptions[0]", "make it two"],
        ),
        (
            "exceptions: [{license: a, observation: b, owner: me, reason: no, expires: 2026-04-01}]",
            ["exceptions[0]", "make it two"],
        ),
    ] {
        let error = Policy::parse(&format!("version: 1\nname: test\n{text}")).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    for list in
        ["'GPL-*'", "Apache-2.0+", "GPL-2.0-or-later", "LicenseRef-ours", "'*'", "'* WITH LLVM-exception'"]
    {
        with(&format!("licenses: [{{name: r, when: {{requires: [{list}]}}, then: deny}}]"));
    }
}
