//! What holds for every policy and every report.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::model::settings::{BaseImage, Settings};

const START: i64 = 1_772_000_000; // 2026-02-25

fn moment(days: i64) -> Timestamp {
    Timestamp::from_second(START + days * 43_200).unwrap()
}

fn findings() -> impl Strategy<Value = Vec<Finding>> {
    let one = (
        0_usize..6,
        proptest::option::of(-60_i64..60),
        proptest::option::of(-60_i64..60),
        any::<bool>(),
        any::<bool>(),
        0_u8..4,
        proptest::option::of(0.0..1.0_f64),
    );
    proptest::collection::vec(one, 0..6).prop_map(|all| {
        type Drawn = (usize, Option<i64>, Option<i64>, bool, bool, u8, Option<f64>);
        let finding =
            |(n, (severity, published, fixed_since, fixable, exploited, status, epss)): (usize, Drawn)| {
                Finding {
                    severity: Severity::WORST_FIRST[severity],
                    published: published.map(moment),
                    fixed_since: fixed_since.map(moment),
                    fix: if fixable { fixed() } else { Fix::NoneYet },
                    known_exploited: exploited,
                    epss: epss.map(Probability::new),
                    status: if status == 0 {
                        FindingStatus::DistroUnassessed
                    } else {
                        FindingStatus::Affected
                    },
                    ..finding(&format!("CVE-{}", n % 4), Severity::Low, Fix::NoneYet)
                }
            };
        all.into_iter().enumerate().map(finding).collect()
    })
}

fn reports() -> impl Strategy<Value = Report> {
    let settings = proptest::option::of((proptest::option::of(-600_i64..10), any::<bool>(), any::<bool>()));
    let times = (-20_i64..20, -20_i64..20, proptest::option::of(-20_i64..40), proptest::option::of(0_u16..2));
    (findings(), settings, times, 0_usize..3).prop_map(|(findings, settings, times, problems)| {
        let (scanned, database, support, base) = times;
        let problems = ProblemKind::ALL.iter().take(problems).map(|kind| Problem::new(*kind, "x")).collect();
        let mut report = report(findings, problems);
        report.scanned_at = moment(scanned);
        report.revisions.database_as_of = moment(database);
        report.support_ends = support.map(moment);
        if let Subject::Image(inventory) = &mut report.subject {
            inventory.base = base.map(|layers| BaseImage { layers: Some(layers), ..BaseImage::default() });
            inventory.settings = settings.map(|(created, root, healthcheck)| Settings {
                created: created.map(moment),
                user: if root { "root" } else { "1000" }.to_owned(),
                healthcheck,
                ..Settings::default()
            });
        }
        report
    })
}

fn rule() -> impl Strategy<Value = String> {
    let when = prop_oneof![
        Just(""),
        Just("severity: [critical, high]"),
        Just("fixable: true"),
        Just("known_exploited: true"),
        Just("epss_at_least: 0.5"),
        Just("published_days_at_least: 7"),
        Just("fix_days_at_least: 3, severity: [medium]"),
        Just("origin: [base]"),
        Just("origin: [app]"),
        Just("cel: 'finding.published_days > 10'"),
        Just("cel: 'finding.fixable && image.built_days > 5'"),
        Just("cel: 'finding.score > 7.0'"),
    ];
    let then = prop_oneof![
        Just("deny"),
        Just("warn"),
        Just("ignore"),
        Just("deny, grace: {days: 9}"),
        Just("deny, grace: {days: 5, from: fix}"),
    ];
    (when, then).prop_map(|(when, then)| format!("when: {{{when}}}, then: {then}"))
}

fn image_rule() -> impl Strategy<Value = String> {
    let when = prop_oneof![
        Just("runs_as_root: true"),
        Just("built_days_at_least: 20"),
        Just("scanned_days_at_least: 2"),
        Just("advisories_days_at_least: 3"),
        Just("support_ends_within_days: 5"),
        Just("cel: 'image.support_days < 4'"),
        Just("cel: 'image.scanned_days >= 1 && image.healthcheck'"),
    ];
    (when, prop_oneof![Just("deny"), Just("warn")])
        .prop_map(|(when, then)| format!("when: {{{when}}}, then: {then}"))
}

const DENY_ALL: &str = "when: {}, then: deny";

fn text(rules: &[String], image: &[String], exceptions: &[(usize, i64)]) -> String {
    let named = |(n, body): (usize, &String), prefix: &str| format!("  - {{name: {prefix}{n}, {body}}}\n");
    let rules: String = rules.iter().enumerate().map(|one| named(one, "r")).collect();
    let image: String = image.iter().enumerate().map(|one| named(one, "i")).collect();
    let exceptions: String = exceptions
        .iter()
        .map(|(id, days)| {
            let day = moment(*days).strftime("%F");
            format!("  - {{advisory: CVE-{id}, owner: o, reason: r, expires: {day}}}\n")
        })
        .collect();
    let section = |key: &str, body: String| if body.is_empty() { body } else { format!("{key}:\n{body}") };
    format!(
        "advisories_max_age_days: 4\nproblems: {{unsupported-manifest: warn, advisories-stale: warn}}\n{}{}{}",
        section("rules", rules),
        section("image", image),
        section("exceptions", exceptions)
    )
}

fn parts() -> impl Strategy<Value = (Vec<String>, Vec<String>, Vec<(usize, i64)>)> {
    (
        proptest::collection::vec(rule(), 0..4),
        proptest::collection::vec(image_rule(), 0..3),
        proptest::collection::vec((0_usize..4, -10_i64..40), 0..3),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn until_its_end_a_verdict_stays_what_it_is(
        (rules, image, exceptions) in parts(), report in reports(), day in -10_i64..30, part in 0.0..1.0_f64,
    ) {
        let policy = with(&text(&rules, &image, &exceptions));
        let now = moment(day);
        let verdict = policy.judge(&report, &[], &Circumstances::anywhere(now));
        let end = verdict.valid_until.unwrap_or_else(|| moment(2000));
        prop_assert!(end > now);
        let length = end.duration_since(now);
        let within = SignedDuration::from_secs_f64(length.as_secs_f64() * part);
        let last = end.checked_sub(SignedDuration::from_nanos(1)).unwrap();
        for later in [now.checked_add(within).unwrap().min(last), last] {
            let again = policy.judge(&report, &[], &Circumstances::anywhere(later));
            prop_assert_eq!(again.outcome, verdict.outcome, "at {} of {}..{}", later, now, end);
            prop_assert_eq!(again.counts, verdict.counts);
            let effects = |verdict: &Verdict| {
                verdict.reasons.iter().map(|reason| (reason.rule.clone(), reason.effect)).collect::<Vec<_>>()
            };
            prop_assert_eq!(effects(&again), effects(&verdict));
        }
    }

    #[test]
    fn one_more_rule_that_denies_never_improves_an_outcome(
        (mut rules, image, exceptions) in parts(), report in reports(), extra in rule(), place in 0_usize..4,
    ) {
        let before = judge(&with(&text(&rules, &image, &exceptions)), &report);
        let when = extra.split(", then:").next().unwrap();
        rules.insert(place.min(rules.len()), format!("{when}, then: deny"));
        let after = judge(&with(&text(&rules, &image, &exceptions)), &report);
        prop_assert!(after.outcome >= before.outcome, "{:?} after {:?}", after.reasons, before.reasons);
    }

    #[test]
    fn one_more_exception_never_worsens_an_outcome(
        (rules, image, mut exceptions) in parts(), report in reports(), id in 0_usize..4, end in -10_i64..40,
    ) {
        let before = judge(&with(&text(&rules, &image, &exceptions)), &report);
        exceptions.push((id, end));
        let after = judge(&with(&text(&rules, &image, &exceptions)), &report);
        prop_assert!(after.outcome <= before.outcome);
    }

    #[test]
    fn i4_a_doubt_is_never_better_than_either_certainty(
        (rules, image, exceptions) in parts(), report in reports(),
    ) {
        let policy = with(&text(&rules, &image, &exceptions));
        let with_base = |layers: Option<u16>| {
            let mut report = report.clone();
            if let Subject::Image(inventory) = &mut report.subject {
                inventory.base = layers.map(|layers| BaseImage { layers: Some(layers), ..BaseImage::default() });
            }
            judge(&policy, &report).outcome
        };
        prop_assert!(with_base(None) >= with_base(Some(0)).max(with_base(Some(1))));
    }

    #[test]
    fn an_index_is_judged_the_same_in_whatever_order_its_children_come(
        reports in proptest::collection::vec(reports(), 1..4), turn in 0_usize..4,
    ) {
        let policy = with(&text(&[DENY_ALL.to_owned()], &[], &[]));
        let children: Vec<Report> = reports
            .into_iter()
            .enumerate()
            .map(|(n, report)| Report { digest: Digest::of(&[n as u8]), ..report })
            .collect();
        let mut listed: Vec<IndexChild> =
            children.iter().map(|child| IndexChild { digest: child.digest.clone(), platform: None }).collect();
        let mut verdicts: Vec<Verdict> = children.iter().map(|child| judge(&policy, child)).collect();
        let index = |children: Vec<IndexChild>| Report {
            digest: Digest::of(b"index"),
            subject: Subject::Index { children },
            ..report(vec![], vec![])
        };
        let circumstances = Circumstances::anywhere(at(NOW));
        let before = policy.judge(&index(listed.clone()), &verdicts, &circumstances);
        let count = listed.len();
        listed.rotate_left(turn % count);
        verdicts.reverse();
        let after = policy.judge(&index(listed), &verdicts, &circumstances);
        prop_assert_eq!(
            (before.outcome, before.counts, before.valid_until, before.further_reasons),
            (after.outcome, after.counts, after.valid_until, after.further_reasons)
        );
    }

    #[test]
    fn an_explanation_says_what_the_verdict_says(
        (rules, image, exceptions) in parts(), report in reports(),
    ) {
        let policy = with(&text(&rules, &image, &exceptions));
        let circumstances = Circumstances::anywhere(at(NOW));
        let explanation = policy.explain(&report, &[], &circumstances);
        prop_assert_eq!(&explanation.verdict, &policy.judge(&report, &[], &circumstances));
        let objections = explanation.findings.iter().filter(|explained| {
            matches!(explained.decision, Decision::Objected { .. })
        });
        let reasons = explanation.verdict.reasons.len() + explanation.verdict.further_reasons as usize;
        prop_assert_eq!(objections.count() + explanation.general.len(), reasons);
        prop_assert_eq!(explanation.to_pass.is_empty(), explanation.verdict.outcome == Outcome::Pass);
    }
}
