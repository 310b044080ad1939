//! A verdict explained: which rule said what about which finding, who answers for what until when, and what
//! would make it pass. Pure, and made of the same rulings as the verdict itself.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::fold::called;
use super::horizon::Horizon;
use super::reasons::{problem_reason, remedy};
use super::rule::Seen;
use super::ruling::{Ruling, Spoken};
use super::values::{FindingValues, ImageValues};
use super::{Circumstances, Policy};
use crate::model::problem::Weight;
use crate::model::report::{Finding, FindingStatus, Fix, Report, Severity, Subject};
use crate::model::verdict::{Effect, Mode, Outcome, Reason, Verdict};

/// A verdict with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Which image, for people: the digest, or the platform within an index.
    pub image: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What became of each finding, in the report's order.
    pub findings: Vec<Explained>,
    /// What is said about the image as a whole: problems, rules about the image, observations, licences, signatures.
    pub general: Vec<Reason>,
    /// What would make it pass, one step a line; empty where it passes.
    pub to_pass: Vec<String>,
    /// The images of an index.
    pub images: Vec<Explanation>,
}

/// What became of one finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The finding.
    pub advisory: String,
    /// Its severity.
    pub severity: Severity,
    /// The package.
    pub purl: String,
    /// What can be done about it.
    pub remedy: String,
    /// What the policy made of it.
    pub decision: Decision,
}

/// What a policy made of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// The report itself says that it does not count.
    NotCounted {
        /// Why.
        because: String,
    },
    /// Somebody answers for it.
    Excepted {
        /// Who.
        owner: String,
        /// Why it is acceptable.
        reason: String,
        /// The first moment at which it no longer is.
        until: Timestamp,
    },
    /// No rule is about it.
    Unruled,
    /// A rule says that it does not matter.
    Ignored {
        /// Which.
        rule: String,
    },
    /// A rule objects.
    Objected {
        /// Which.
        rule: String,
        /// How much.
        effect: Effect,
        /// It denies, and only warns until then.
        grace_until: Option<Timestamp>,
        /// Why it is not sure that the rule is about this finding.
        doubt: Option<String>,
    },
}

impl Policy {
    /// Explains what the policy thinks of a report. `children` are the reports of an index's images.
    pub fn explain(
        &self,
        report: &Report,
        children: &[Report],
        circumstances: &Circumstances<'_>,
    ) -> Explanation {
        let judged: Vec<Verdict> =
            children.iter().map(|child| self.judge(child, &[], circumstances)).collect();
        let verdict = self.judge(report, &judged, circumstances);
        let mut explanation = Explanation {
            image: report.digest.to_string(),
            findings: self.explain_findings(report, circumstances),
            general: self.explain_image(report, circumstances),
            to_pass: Vec::new(),
            images: Vec::new(),
            verdict,
        };
        if let Subject::Index { children: listed } = &report.subject {
            for child in listed.iter().filter(|child| self.cares_about(child)) {
                if let Some(report) = children.iter().find(|report| report.digest == child.digest) {
                    let explained = self.explain(report, &[], circumstances);
                    explanation.images.push(Explanation { image: called(child), ..explained });
                }
            }
        }
        explanation.to_pass = explanation.steps(report);
        explanation
    }

    fn explain_findings(&self, report: &Report, circumstances: &Circumstances<'_>) -> Vec<Explained> {
        let values = ImageValues::new(report, circumstances.now);
        let mut horizon = Horizon::new(circumstances.now);
        let explained = report.findings.iter().filter_map(|finding| {
            let package = report.package_of(finding)?;
            let seen =
                Seen { report, finding, package, image_values: &values, values: FindingValues::default() };
            Some(Explained {
                advisory: finding.id.clone(),
                severity: finding.severity,
                purl: package.purl.to_string(),
                remedy: remedy(&finding.fix),
                decision: decision(finding, self.ruling(&seen, circumstances, &mut horizon)),
            })
        });
        explained.collect()
    }

    fn explain_image(&self, report: &Report, circumstances: &Circumstances<'_>) -> Vec<Reason> {
        let now = circumstances.now;
        let mut horizon = Horizon::new(now);
        let mut reasons = Vec::new();
        let timed = match &report.subject {
            Subject::Image(_) => self.problems_of_time(report, now, &mut horizon),
            Subject::Index { .. } | Subject::Artifact { .. } | Subject::Unreadable => Vec::new(),
        };
        let blocking = report.problems.iter().chain(&timed);
        for problem in blocking.filter(|problem| problem.kind.weight() == Weight::Blocking) {
            if let Some(effect) = self.effect_of(problem.kind) {
                reasons.push(problem_reason(problem, effect));
            }
        }
        match &report.subject {
            Subject::Image(_) => {
                reasons.extend(self.image_reasons(report, &ImageValues::new(report, now), &mut horizon));
                reasons.extend(self.observation_reasons(report, circumstances, &mut horizon));
                reasons.extend(self.license_reasons(report, circumstances, &mut horizon));
                reasons.extend(self.missing_signatures(report));
            }
            Subject::Index { .. } => reasons.extend(self.missing_signatures(report)),
            Subject::Artifact { .. } | Subject::Unreadable => {}
        }
        reasons
    }
}

fn decision(finding: &Finding, ruling: Ruling<'_>) -> Decision {
    match ruling {
        Ruling::NotCounted => Decision::NotCounted { because: why_not_counted(&finding.status) },
        Ruling::Excepted(exception) => Decision::Excepted {
            owner: exception.owner.clone(),
            reason: exception.reason.clone(),
            until: exception.expires,
        },
        Ruling::Unruled => Decision::Unruled,
        Ruling::Ignored(rule) => Decision::Ignored { rule: rule.name.clone() },
        Ruling::Spoken(Spoken { rule, effect, grace_until, doubt }) => Decision::Objected {
            rule: rule.name.clone(),
            effect,
            grace_until,
            doubt: doubt.map(Cow::into_owned),
        },
    }
}

fn why_not_counted(status: &FindingStatus) -> String {
    match status {
        FindingStatus::Affected | FindingStatus::DisputedRange => "it counts".to_owned(),
        FindingStatus::DistroUnassessed => "its distribution has not said either way".to_owned(),
        FindingStatus::Suppressed { reason } => match serde_json::to_value(reason) {
            Ok(value) => value["because"].as_str().unwrap_or("suppressed").replace('-', " "),
            Err(_) => "suppressed".to_owned(),
        },
    }
}

impl Explanation {
    /// What has to happen so that what decided the outcome no longer does.
    fn steps(&self, report: &Report) -> Vec<String> {
        let worst = match self.verdict.outcome {
            Outcome::Fail => Effect::Deny,
            Outcome::Warn => Effect::Warn,
            Outcome::Error => return vec!["have it examined: see its problems".to_owned()],
            Outcome::Pass | Outcome::NotAnImage => return Vec::new(),
        };
        let mut steps: Vec<String> =
            self.general.iter().filter(|reason| reason.effect == worst).map(step).collect();
        let mut updates: BTreeMap<(String, String), Vec<&str>> = BTreeMap::new();
        for (explained, finding) in self.findings.iter().zip(with_package(report)) {
            let objected =
                matches!(&explained.decision, Decision::Objected { effect, .. } if *effect == worst);
            match (&finding.fix, objected) {
                (_, false) => {}
                (Fix::Fixed { version }, true) => {
                    let key = (explained.purl.clone(), version.clone());
                    updates.entry(key).or_default().push(&explained.advisory);
                }
                (Fix::NoneYet | Fix::WillNotFix | Fix::ProOnly { .. } | Fix::Unknown, true) => {
                    steps.push(format!(
                        "{} in {}: {}; remove the package, or write an exception with an owner and an end",
                        explained.advisory, explained.purl, explained.remedy
                    ));
                }
            }
        }
        let updates = updates
            .into_iter()
            .map(|((purl, version), ids)| format!("update {purl} to {version} ({})", ids.join(", ")));
        steps.extend(updates);
        for image in &self.images {
            steps.extend(image.to_pass.iter().map(|step| format!("{}: {step}", image.image)));
        }
        steps
    }
}

/// The findings that have an explanation, in its order.
fn with_package(report: &Report) -> impl Iterator<Item = &Finding> {
    report.findings.iter().filter(|finding| report.package_of(finding).is_some())
}

fn step(reason: &Reason) -> String {
    match reason.problem {
        Some(kind) => format!("resolve \"{}\", or accept it: problems: {{{kind}: accept}}", reason.message),
        None => format!("{}: {}", reason.rule, reason.message),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = &self.verdict;
        let audit = match verdict.mode {
            Mode::Enforce => "",
            Mode::Audit => " (audit: gates do not obey it)",
        };
        writeln!(f, "{}: {} by policy {}{audit}", self.image, verdict.outcome, verdict.policy)?;
        if let Some(until) = verdict.valid_until {
            writeln!(f, "  time alone changes this at {until}")?;
        }
        for reason in &self.general {
            match reason.problem {
                // Its slug is both the rule's name and the beginning of the message.
                Some(_) => writeln!(f, "  {} {}", word(reason.effect), reason.message)?,
                None => writeln!(f, "  {} {}: {}", word(reason.effect), reason.rule, reason.message)?,
            }
        }
        for explained in &self.findings {
            writeln!(f, "  {explained}")?;
        }
        for image in &self.images {
            for line in image.to_string().lines().filter(|line| !line.starts_with("To pass")) {
                writeln!(f, "  {line}")?;
            }
        }
        if !self.to_pass.is_empty() {
            writeln!(f, "To pass:")?;
            for step in &self.to_pass {
                writeln!(f, "  - {step}")?;
            }
        }
        Ok(())
    }
}

fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Deny => "deny",
        Effect::Warn => "warn",
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { advisory, severity, purl, remedy, decision } = self;
        let what = format!("{advisory} ({severity}) in {purl}, {remedy}");
        match decision {
            Decision::NotCounted { because } => write!(f, "not counted {what}: {because}"),
            Decision::Excepted { owner, reason, until } => {
                write!(f, "excepted {what}: by {owner} until {until}: {reason}")
            }
            Decision::Unruled => write!(f, "no rule {what}"),
            Decision::Ignored { rule } => write!(f, "ignore {what}: rule {rule}"),
            Decision::Objected { rule, effect, grace_until, doubt } => {
                write!(f, "{} {what}: rule {rule}", word(*effect))?;
                if let Some(until) = grace_until {
                    write!(f, ", in grace until {until}, then deny")?;
                }
                doubt.as_ref().map_or(Ok(()), |doubt| write!(f, "; not sure: {doubt}"))
            }
        }
    }
}
