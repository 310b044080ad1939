//! What people read: the message of a denial, warnings that `kubectl` prints, annotations in the audit log.

use std::collections::BTreeMap;

use shared::model::verdict::{Mode, PolicyName};
use shared::policy::{Level, PodRule, Policy};
use url::Url;

use super::image::NamedImage;
use super::offences::Offence;
use super::review::Reply;
use crate::gates::legible::legible;
use crate::gates::{Answer, Decision, Gates, How, Ruling, TOLD_REASONS};

/// The API server asks for warnings of less than 120 characters each.
const WARNING: usize = 119;
/// And cuts all of them together at 4,096.
const MOST_WARNINGS: usize = 30;
/// As many denied images are explained; more would not be read.
const MOST_PARAGRAPHS: usize = 5;
/// An annotation in the audit log.
const ANNOTATION: usize = 1024;

/// What policies say about a pod as such.
#[derive(Debug, Default)]
pub(super) struct Objections {
    denials: BTreeMap<PolicyName, Vec<(PodRule, String)>>,
    warnings: Vec<String>,
}

impl Objections {
    /// Notes that `policy` takes an offence so seriously.
    pub(super) fn note(&mut self, policy: &Policy, level: Level, offence: &Offence) {
        let told = format!("{} ({})", offence.message, offence.rule.name());
        match (level, policy.mode) {
            (Level::Off, _) => {}
            (Level::Warn, _) => self.warnings.push(format!("{}: {told}", policy.name)),
            (Level::Deny, Mode::Audit) => {
                self.warnings.push(format!("{} (audit) would deny: {told}", policy.name));
            }
            (Level::Deny, Mode::Enforce) => {
                self.denials.entry(policy.name.clone()).or_default().push((offence.rule, told));
            }
        }
    }

    /// Whether a policy denies the pod as it is.
    pub(super) fn deny(&self) -> bool {
        !self.denials.is_empty()
    }

    fn paragraphs(&self, gates: &Gates) -> Vec<String> {
        let paragraph = |(policy, offences): (&PolicyName, &Vec<(PodRule, String)>)| {
            let told = by_rule(offences);
            let further = told.len().saturating_sub(TOLD_REASONS);
            let further = if further > 0 { format!("; and {further} more") } else { String::new() };
            let told: Vec<&str> = told.into_iter().take(TOLD_REASONS).collect();
            let more = gates.about_policy(policy);
            format!("the pod: denied by policy {policy}: {}{further}. Read more: {more}", told.join("; "))
        };
        self.denials.iter().map(paragraph).collect()
    }
}

/// The first offence against each rule before further ones: fifteen host paths shall not hide a privileged pod.
fn by_rule(offences: &[(PodRule, String)]) -> Vec<&str> {
    let is_first = |at: &usize| !offences[..*at].iter().any(|earlier| earlier.0 == offences[*at].0);
    let (firsts, others): (Vec<usize>, Vec<usize>) = (0..offences.len()).partition(is_first);
    firsts.into_iter().chain(others).map(|at| offences[at].1.as_str()).collect()
}

/// The answer about a pod.
pub(super) fn reply(
    images: &[NamedImage<'_>],
    decision: &Decision,
    objections: Objections,
    gates: &Gates,
) -> Reply {
    let mut paragraphs = objections.paragraphs(gates);
    let mut warnings = objections.warnings;
    for (image, ruling) in images.iter().zip(&decision.rulings) {
        if ruling.answer == Answer::Denied {
            paragraphs.push(format!("{}: {}", image.owner(), ruling.explain()));
        }
        if !ruling.warnings.is_empty() {
            let owner = image.owner();
            warnings.extend(ruling.warnings.iter().map(|warning| format!("{owner}: {warning}")));
        }
    }
    let allowed = paragraphs.is_empty();
    Reply {
        denial: (!allowed).then(|| message(paragraphs)),
        warnings: fit(warnings),
        annotations: annotations(allowed, decision),
        patch: None,
    }
}

/// Allowed, because there is nothing to judge.
pub(super) fn nothing_judged(remark: Option<String>) -> Reply {
    Reply { warnings: fit(remark.into_iter().collect()), ..Reply::default() }
}

/// Denied without a judgement.
pub(super) fn denied(reason: &str, more: &Url) -> Reply {
    Reply { denial: Some(message(vec![format!("{reason}. Read more: {more}")])), ..Reply::default() }
}

fn message(mut paragraphs: Vec<String>) -> String {
    let further = paragraphs.len().saturating_sub(MOST_PARAGRAPHS);
    paragraphs.truncate(MOST_PARAGRAPHS);
    if further > 0 {
        paragraphs.push(format!("and {further} more images are denied"));
    }
    format!("tidewaiter: {}", paragraphs.join("\n"))
}

/// Warnings as the API server takes them: each once, short, and not too many.
pub(super) fn fit(warnings: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut left_out = 0_usize;
    for warning in warnings {
        let warning = shortened(&format!("tidewaiter: {warning}"), WARNING);
        if kept.contains(&warning) {
            continue;
        }
        if kept.len() < MOST_WARNINGS {
            kept.push(warning);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        kept.push(format!("tidewaiter: {left_out} more warnings; the verdicts have all of them"));
    }
    kept
}

/// At most `most` bytes of a text without control characters; an ellipsis stands for the rest.
fn shortened(text: &str, most: usize) -> String {
    let clean = legible(text, usize::MAX);
    if clean.len() <= most {
        return clean;
    }
    let end = (0..=most - '…'.len_utf8()).rev().find(|at| clean.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &clean[..end])
}

fn annotations(allowed: bool, decision: &Decision) -> BTreeMap<&'static str, String> {
    let mut annotations = BTreeMap::new();
    annotations.insert("decision", if allowed { "allowed" } else { "denied" }.to_owned());
    // The ruling that people ask for first: one against, else the one that says most.
    let worst = decision.denied().next().or_else(|| {
        decision.rulings.iter().find(|ruling| ruling.how != How::Judged).or(decision.rulings.first())
    });
    if let Some(worst) = worst {
        annotations.insert("verdict", verdict(worst).to_owned());
        annotations.insert("policy", worst.policy.to_string());
    }
    let digests: Vec<&str> =
        decision.rulings.iter().filter_map(|ruling| Some(ruling.digest.as_ref()?.as_str())).collect();
    if !digests.is_empty() {
        annotations.insert("digests", shortened(&digests.join(","), ANNOTATION));
    }
    annotations
}

/// `pass`, `warn`, `fail` where a verdict decided, else how it came to the answer: `pending`, `unknown` …
pub(super) fn verdict(ruling: &Ruling) -> &'static str {
    match ruling.how {
        How::Judged => {
            ruling.verdicts.iter().map(|verdict| verdict.outcome).max().map_or("pass", |one| one.name())
        }
        how => how.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_short_unique_and_not_too_many() {
        let long = "ä".repeat(300);
        let fitted = fit(vec![long.clone(), long, "a\nb".to_owned()]);
        assert_eq!(fitted.len(), 2);
        assert!(fitted.iter().all(|warning| warning.len() < 120), "{fitted:?}");
        assert!(fitted[0].ends_with('…'));
        assert_eq!(fitted[1], "tidewaiter: a b");
        let many = fit((0..100).map(|number| number.to_string()).collect());
        assert_eq!(many.len(), MOST_WARNINGS + 1);
        assert!(many.iter().map(String::len).sum::<usize>() < 4096);
    }
}
