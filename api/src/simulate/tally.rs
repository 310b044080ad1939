//! What a candidate changes, counted: totals of everything, and the first images of each kind. Pure.

use serde::Serialize;
use shared::model::digest::Digest;
use shared::model::report::Revision;
use shared::model::verdict::{Mode, Outcome, PolicyName, Verdict};
use shared::policy::Policy;

/// What would change if a policy were enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Simulation {
    /// The candidate's name.
    pub policy: PolicyName,
    /// The candidate's revision.
    pub revision: Revision,
    /// Revision of the policy in force that it was compared with. Without one, nothing was blocked before.
    pub against: Option<Revision>,
    /// How many digests were judged.
    pub examined: u64,
    /// How many were never seen in a repository that the candidate is about.
    pub out_of_scope: u64,
    /// How many would be treated as they are.
    pub unchanged: u64,
    /// What would no longer run.
    pub newly_blocked: Differences,
    /// What would run again.
    pub newly_allowed: Differences,
    /// What would run with a warning that it does not have now.
    pub newly_warned: Differences,
    /// What would run without the warning that it has now.
    pub no_longer_warned: Differences,
    /// Where to go on; `null` when everything was looked at.
    pub next: Option<Digest>,
}

/// Images that would be treated differently.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Differences {
    /// How many.
    pub total: u64,
    /// The first of them, at most 50.
    pub images: Vec<DifferentImage>,
}

/// An image that would be treated differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DifferentImage {
    /// The manifest or index.
    pub digest: Digest,
    /// What the policy in force says.
    pub before: Option<Outcome>,
    /// What the candidate says.
    pub after: Outcome,
    /// Where it was seen, newest first; at most five places.
    pub seen: Vec<String>,
    /// Why: of what objects to it, the worst reasons; at most three.
    pub reasons: Vec<String>,
}

/// What a candidate changes about one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The candidate is not about it.
    OutOfScope,
    /// Nothing.
    None,
    /// It would no longer run.
    Blocked(Judged),
    /// It would run again.
    Allowed(Judged),
    /// It would run with a warning.
    Warned(Judged),
    /// It would run without a warning.
    Calmed(Judged),
}

/// What both policies say about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    before: Option<Outcome>,
    after: Outcome,
    reasons: Vec<String>,
}

/// How a gate would treat an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    Runs,
    RunsWarned,
    Blocked,
}

impl Treatment {
    fn of(outcome: Outcome, mode: Mode) -> Self {
        match (outcome, mode) {
            (Outcome::Pass | Outcome::NotAnImage, _) => Self::Runs,
            (Outcome::Warn, _) | (Outcome::Fail | Outcome::Error, Mode::Audit) => Self::RunsWarned,
            (Outcome::Fail | Outcome::Error, Mode::Enforce) => Self::Blocked,
        }
    }
}

impl Difference {
    /// What the candidate's verdict changes. Its own mode does not matter: the question is what enforcing it does.
    pub fn between(before: Option<&Verdict>, after: &Verdict) -> Self {
        use Treatment::{Blocked, Runs, RunsWarned};
        let treated = before.map_or(Runs, |before| Treatment::of(before.outcome, before.mode));
        let said = before.map(|before| before.outcome);
        let judged = |by: &Verdict| Judged {
            before: said,
            after: after.outcome,
            reasons: by
                .reasons
                .iter()
                .map(|reason| reason.message.clone())
                .take(DifferentImage::MOST_REASONS)
                .collect(),
        };
        let objected = before.unwrap_or(after);
        match (treated, Treatment::of(after.outcome, Mode::Enforce)) {
            (Runs, Runs) | (RunsWarned, RunsWarned) | (Blocked, Blocked) => Self::None,
            (Runs | RunsWarned, Blocked) => Self::Blocked(judged(after)),
            (Blocked, Runs | RunsWarned) => Self::Allowed(judged(objected)),
            (Runs, RunsWarned) => Self::Warned(judged(after)),
            (RunsWarned, Runs) => Self::Calmed(judged(objected)),
        }
    }
}

impl DifferentImage {
    /// The most places that are told.
    pub const MOST_PLACES: usize = 5;
    /// The most reasons that are told.
    const MOST_REASONS: usize = 3;
}

impl Differences {
    /// The most images that are listed.
    const MOST_IMAGES: usize = 50;

    fn count(&mut self, digest: &Digest, judged: Judged) -> Option<&mut DifferentImage> {
        self.total += 1;
        if self.images.len() >= Self::MOST_IMAGES {
            return None;
        }
        let Judged { before, after, reasons } = judged;
        self.images.push(DifferentImage { digest: digest.clone(), before, after, seen: Vec::new(), reasons });
        self.images.last_mut()
    }
}

impl Simulation {
    /// Nothing counted yet.
    pub fn new(candidate: &Policy, current: Option<&Policy>) -> Self {
        Self {
            policy: candidate.name.clone(),
            revision: candidate.revision.clone(),
            against: current.map(|current| current.revision.clone()),
            examined: 0,
            out_of_scope: 0,
            unchanged: 0,
            newly_blocked: Differences::default(),
            newly_allowed: Differences::default(),
            newly_warned: Differences::default(),
            no_longer_warned: Differences::default(),
            next: None,
        }
    }

    /// Counts one image. Answers its row where it is listed, for the places where it was seen.
    pub fn count(&mut self, digest: &Digest, difference: Difference) -> Option<&mut DifferentImage> {
        if difference == Difference::OutOfScope {
            self.out_of_scope += 1;
            return None;
        }
        self.examined += 1;
        match difference {
            Difference::OutOfScope | Difference::None => {
                self.unchanged += 1;
                None
            }
            Difference::Blocked(judged) => self.newly_blocked.count(digest, judged),
            Difference::Allowed(judged) => self.newly_allowed.count(digest, judged),
            Difference::Warned(judged) => self.newly_warned.count(digest, judged),
            Difference::Calmed(judged) => self.no_longer_warned.count(digest, judged),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use shared::model::report::{Report, ScanRevisions, Subject};
    use shared::policy::{Circumstances, PolicySet};

    use super::*;

    fn verdict(outcome: Outcome, mode: Mode) -> Verdict {
        let report = Report {
            digest: Digest::of(b"image"),
            subject: Subject::Artifact { artifact_type: "application/x".to_owned() },
            revisions: ScanRevisions {
                analyzer: Revision::new("a"),
                database: Revision::new("d"),
                database_as_of: Timestamp::UNIX_EPOCH,
            },
            scanned_at: Timestamp::UNIX_EPOCH,
            findings: Vec::new(),
            problems: Vec::new(),
            coverage: Vec::new(),
            support_ends: None,
            observations: Vec::new(),
            signatures: Vec::new(),
            sboms: Vec::new(),
        };
        let policies = PolicySet::built_in();
        let policy = policies.get(&PolicyName::default_policy()).unwrap();
        let judged = policy.judge(&report, &[], &Circumstances::anywhere(Timestamp::UNIX_EPOCH));
        Verdict { outcome, mode, ..judged }
    }

    fn name(difference: &Difference) -> &'static str {
        match difference {
            Difference::OutOfScope => "out of scope",
            Difference::None => "none",
            Difference::Blocked(_) => "blocked",
            Difference::Allowed(_) => "allowed",
            Difference::Warned(_) => "warned",
            Difference::Calmed(_) => "calmed",
        }
    }

    #[test]
    fn what_a_gate_would_do_is_compared_and_not_what_a_policy_says() {
        use Mode::{Audit, Enforce};
        use Outcome::{Error, Fail, NotAnImage, Pass, Warn};
        for (before, after, expected) in [
            (Some((Pass, Enforce)), Fail, "blocked"),
            (Some((Warn, Enforce)), Fail, "blocked"),
            (Some((Fail, Audit)), Fail, "blocked"),
            (None, Fail, "blocked"),
            (None, Warn, "warned"),
            (None, Pass, "none"),
            (Some((Fail, Enforce)), Error, "none"),
            (Some((Fail, Enforce)), Warn, "allowed"),
            (Some((Error, Enforce)), Pass, "allowed"),
            (Some((Pass, Enforce)), Warn, "warned"),
            (Some((Warn, Enforce)), Pass, "calmed"),
            (Some((Fail, Audit)), Pass, "calmed"),
            (Some((NotAnImage, Enforce)), NotAnImage, "none"),
        ] {
            let before = before.map(|(outcome, mode)| verdict(outcome, mode));
            // A candidate in audit mode is asked about as if it were enforced.
            let found = Difference::between(before.as_ref(), &verdict(after, Mode::Audit));
            assert_eq!(name(&found), expected, "{:?} → {after:?}", before.map(|before| before.outcome));
        }
    }

    #[test]
    fn totals_count_on_where_lists_end() {
        let policies = PolicySet::built_in();
        let policy = policies.get(&PolicyName::default_policy()).unwrap();
        let mut simulation = Simulation::new(policy, None);
        let blocked = || Difference::between(None, &verdict(Outcome::Fail, Mode::Enforce));
        for number in 0..60_u32 {
            let listed = simulation.count(&Digest::of(&number.to_be_bytes()), blocked()).is_some();
            assert_eq!(listed, number < 50);
        }
        simulation.count(&Digest::of(b"other"), Difference::OutOfScope);
        simulation.count(&Digest::of(b"same"), Difference::None);
        assert_eq!((simulation.newly_blocked.total, simulation.newly_blocked.images.len()), (60, 50));
        assert_eq!((simulation.examined, simulation.unchanged, simulation.out_of_scope), (61, 1, 1));
    }
}
