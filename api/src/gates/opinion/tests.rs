//! Findings × fail modes → answers: the table that `docs/gates/kubernetes.md` promises.

use std::sync::Arc;

use serde_json::json;
use shared::model::digest::Digest;

use super::*;
use crate::gates::fold::fold;

const NO_REASON: &str = "";

fn policy(text: &str) -> Arc<Policy> {
    Arc::new(Policy::parse(&format!("version: 1\nname: test\n{text}")).expect("a policy"))
}

fn verdict(outcome: &str) -> Arc<Verdict> {
    let reason =
        |effect: &str| json!({"rule": "r", "effect": effect, "message": format!("a reason to {effect}")});
    let reasons = match outcome {
        "fail" | "error" => json!([reason("deny"), reason("warn")]),
        "warn" => json!([reason("warn")]),
        _ => json!([]),
    };
    let counts = json!({"critical": 0, "high": 0, "medium": 0, "low": 0, "negligible": 0, "unknown": 0, "fixable": 0, "suppressed": 0});
    let moment = "2026-03-02T12:00:00Z";
    let verdict = json!({
        "digest": Digest::of(b"image"), "policy": "test", "mode": "enforce", "outcome": outcome, "reasons": reasons,
        "further_reasons": 2, "counts": counts, "problems": [], "policy_revision": "p", "scanned_at": moment, "as_of": moment,
        "revisions": {"analyzer": "a", "database": "d", "database_as_of": moment},
    });
    Arc::new(serde_json::from_value(verdict).expect("a verdict"))
}

fn found(registry: Known) -> Identity {
    let image = "r.io/team/app".parse().expect("a name");
    Identity::Found { image, tag: None, digest: Digest::of(b"image"), registry }
}

fn asked(policy: &Arc<Policy>, identity: &Identity, finding: &Finding, purpose: Purpose) -> Opinion {
    let facts = Facts {
        purpose,
        identity,
        finding,
        unqueued: None,
        enqueue: Enqueue::Allowed,
        waited: Some(Duration::from_secs(9)),
    };
    form(policy, &facts)
}

#[test]
fn fail_modes_decide_where_there_is_no_verdict_and_the_answer_says_so() {
    let away = Finding::Unavailable { reason: "no line".to_owned() };
    let here = found(Known::Configured);
    let foreign = Identity::Foreign { image: "x.io/a".parse().expect("a name") };
    let unresolved =
        Identity::Unresolved { image: "r.io/a".parse().expect("a name"), reason: "no such tag".to_owned() };
    for (mode, identity, finding, how, fragment) in [
        ("on_unknown", &here, &Finding::Unknown, How::Unknown, "never been scanned"),
        ("on_pending", &here, &Finding::Pending, How::Pending, "waiting to be scanned"),
        ("on_stale", &here, &Finding::Stale(verdict("pass")), How::Stale, "out of date"),
        ("on_error", &here, &Finding::Judged(verdict("error")), How::Error, NO_REASON),
        ("on_error", &here, &away, How::StoreUnavailable, "no line"),
        ("on_error", &unresolved, &Finding::Unknown, How::UnresolvableTag, "no such tag"),
        ("on_unknown", &foreign, &Finding::Unknown, How::RegistryNotConfigured, "[registries]"),
        (
            "on_unknown",
            &found(Known::Unconfigured),
            &Finding::Unknown,
            How::RegistryNotConfigured,
            "[registries]",
        ),
    ] {
        for (value, answer) in
            [("allow", Answer::Allowed), ("deny", Answer::Denied), ("wait", Answer::Denied)]
        {
            let opinion = asked(&policy(&format!("{mode}: {value}")), identity, finding, Purpose::Container);
            assert_eq!((opinion.answer, opinion.how), (answer, how), "{mode}: {value}");
            let told = match answer {
                Answer::Allowed => opinion.remarks.join("; "),
                Answer::Denied => opinion.denials.iter().map(|reason| reason.message.clone()).collect(),
            };
            assert!(!told.is_empty() && told.contains(fragment), "{mode}: {value} says {told:?}");
        }
    }
}

#[test]
fn verdicts_decide_where_there_are_any_and_staleness_never_makes_them_better() {
    let allow = policy("on_stale: allow");
    let here = found(Known::Configured);
    for (outcome, purpose, expected) in [
        ("pass", Purpose::Container, Answer::Allowed),
        ("warn", Purpose::Container, Answer::Allowed),
        ("fail", Purpose::Container, Answer::Denied),
        ("fail", Purpose::Volume, Answer::Denied),
        ("fail", Purpose::Pull, Answer::Denied),
        ("not_an_image", Purpose::Container, Answer::Denied),
        ("not_an_image", Purpose::Volume, Answer::Allowed),
        ("not_an_image", Purpose::Pull, Answer::Allowed),
    ] {
        for finding in [Finding::Judged(verdict(outcome)), Finding::Stale(verdict(outcome))] {
            let opinion = asked(&allow, &here, &finding, purpose);
            assert_eq!(opinion.answer, expected, "{outcome} {purpose:?}");
            assert_eq!(opinion.denials.is_empty(), expected == Answer::Allowed, "{outcome} {purpose:?}");
        }
    }
}

#[test]
fn a_digest_known_from_elsewhere_is_judged_although_its_registry_is_not_configured() {
    let finding = Finding::Judged(verdict("pass"));
    let opinion = asked(&policy(""), &found(Known::Unconfigured), &finding, Purpose::Container);
    assert_eq!((opinion.answer, opinion.how), (Answer::Allowed, How::Judged));
}

#[test]
fn where_it_comes_from_speaks_against_an_image_whatever_is_in_it() {
    let strict = policy("registries: {allow: ['r.io/other/*'], otherwise: deny}");
    let finding = Finding::Judged(verdict("pass"));
    let opinion = asked(&strict, &found(Known::Configured), &finding, Purpose::Container);
    assert_eq!((opinion.answer, opinion.how), (Answer::Denied, How::Forbidden));
}

#[test]
fn the_strictest_enforcing_policy_wins_and_one_in_audit_only_speaks() {
    let here = found(Known::Configured);
    let (pass, fail) = (Finding::Judged(verdict("pass")), Finding::Judged(verdict("fail")));
    let opinion = |mode: &str, finding: &Finding| asked(&policy(mode), &here, finding, Purpose::Container);
    for (opinions, answer, reasons, warnings) in [
        (vec![opinion("", &pass), opinion("", &fail)], Answer::Denied, 1, 0),
        (vec![opinion("", &fail), opinion("", &pass)], Answer::Denied, 1, 0),
        (vec![opinion("", &pass), opinion("mode: audit", &fail)], Answer::Allowed, 0, 2),
        (vec![opinion("mode: audit", &fail)], Answer::Allowed, 0, 2),
        (vec![opinion("", &fail), opinion("mode: audit", &fail)], Answer::Denied, 1, 2),
    ] {
        let ruling =
            fold("r.io/team/app", &here, opinions, |_, _| "http://localhost/".parse().expect("a URL"));
        assert_eq!((ruling.answer, ruling.reasons.len(), ruling.warnings.len()), (answer, reasons, warnings));
        let explained = ruling.explain();
        assert_eq!(
            explained.contains("a reason to deny; and 2 more. Read more: http"),
            answer == Answer::Denied,
            "{explained}"
        );
    }
}
