//! `validate`: the images of a pod by their verdicts, the pod itself by the pod rules.

use std::time::Instant;

use shared::model::verdict::Mode;
use shared::policy::{Level, Place, Policy};

use super::change::{Change, PodChange};
use super::json::Malformed;
use super::offences::{Offence, Weight};
use super::review::{Admission, Reply};
use super::wording::{self, Objections};
use crate::gates::{AskedImage, Decision, Enqueue, Gates, Patience, Question};

/// What the API server is told about an object.
pub(super) async fn decide(gates: &Gates, admission: &Admission<'_>, deadline: Instant) -> Reply {
    let change = match Change::of(admission) {
        Ok(Change::Pod(change)) => change,
        Ok(Change::Nothing { remark }) => return wording::nothing_judged(remark),
        Err(malformed) => return malformed_reply(gates, admission, &malformed),
    };
    let objections = pod_rules(gates, &change);
    // What denies already is told at once; no verdict could change it.
    let patience = if objections.deny() { Patience::None } else { Patience::WholeAnswer };
    let decision = images(gates, admission, &change, patience, deadline).await;
    wording::reply(&change.images, &decision, objections, gates)
}

async fn images(
    gates: &Gates,
    admission: &Admission<'_>,
    change: &PodChange<'_>,
    patience: Patience,
    deadline: Instant,
) -> Decision {
    let asked = change.images.iter().map(|image| AskedImage {
        asked: image.image.to_owned(),
        purpose: image.purpose(),
        platform: None,
        place: change.place.clone(),
    });
    let question = Question {
        gate: "kubernetes-validate",
        images: asked.collect(),
        enqueue: if admission.rehearsal { Enqueue::DryRun } else { Enqueue::Allowed },
        patience,
    };
    gates.decide(question, deadline).await
}

/// What the policies say about the offences of a pod: each container's by the policies that cover its image,
/// those of the pod as a whole by every policy that covers one of its images.
fn pod_rules(gates: &Gates, change: &PodChange<'_>) -> Objections {
    let mut objections = Objections::default();
    if change.offences.is_empty() {
        return objections;
    }
    let mut whole: Vec<_> =
        change.all_images.iter().flat_map(|image| gates.covering(Some(image), &change.place)).collect();
    if whole.is_empty() {
        whole = gates.covering(None, &change.place);
    }
    whole.sort_by(|one, other| one.name.cmp(&other.name));
    whole.dedup_by(|one, other| one.name == other.name);
    for offence in &change.offences {
        let own = offence.image.as_deref().map(|image| gates.covering(Some(image), &change.place));
        for policy in own.as_ref().unwrap_or(&whole) {
            objections.note(policy, level(policy, offence), offence);
        }
    }
    objections
}

fn level(policy: &Policy, offence: &Offence) -> Level {
    let level = policy.pods.level(offence.rule);
    match (offence.weight, level) {
        (Weight::Full, level) => level,
        (Weight::Slight, Level::Deny) => Level::Warn,
        (Weight::Slight, Level::Warn | Level::Off) => Level::Off,
    }
}

/// An object whose shape is not that of its kind: nobody can say what it would run.
fn malformed_reply(gates: &Gates, admission: &Admission<'_>, malformed: &Malformed) -> Reply {
    let place = Place { namespace: admission.namespace.map(str::to_owned), ..Place::default() };
    let covering = gates.covering(None, &place);
    let told =
        format!("the {} cannot be judged: {malformed}", admission.kind.chars().take(40).collect::<String>());
    match covering.iter().find(|policy| policy.mode == Mode::Enforce) {
        Some(policy) => wording::denied(&told, &gates.about_policy(&policy.name)),
        None => wording::nothing_judged(Some(told)),
    }
}
