//! What the store knows, by policy and digest, and the wait for what it does not know yet.
//!
//! One round trip a policy, however many images. Whoever waits is woken by the store; nothing polls it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use shared::model::digest::Digest;
use shared::model::verdict::{Lookup, Outcome, Verdict};
use shared::policy::{FailMode, Policy};
use shared::store::StoreError;
use shared::telemetry::chain;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::verdicts::Verdicts;

/// What is known about one digest under one policy.
#[derive(Clone, Debug)]
pub(super) enum Finding {
    /// A verdict that is current.
    Judged(Arc<Verdict>),
    /// A verdict past its time, whose report is gone: it cannot be derived again.
    Stale(Arc<Verdict>),
    /// It waits for its first verdict.
    Pending,
    /// Nothing.
    Unknown,
    /// The store cannot be asked.
    Unavailable {
        /// Why not.
        reason: String,
    },
}

/// Findings by digest, and by policy: few judge one image.
#[derive(Default)]
pub(super) struct Ledger(BTreeMap<Digest, Vec<(Arc<Policy>, Finding)>>);

impl Ledger {
    pub(super) fn get(&self, policy: &Policy, digest: &Digest) -> &Finding {
        const NOTHING: &Finding = &Finding::Unknown;
        let findings = self.0.get(digest).map_or(&[][..], Vec::as_slice);
        findings.iter().find(|row| row.0.name == policy.name).map_or(NOTHING, |row| &row.1)
    }

    pub(super) fn put(&mut self, policy: &Arc<Policy>, digest: &Digest, finding: Finding) {
        let findings = self.0.entry(digest.clone()).or_default();
        match findings.iter_mut().find(|row| row.0.name == policy.name) {
            Some(row) => row.1 = finding,
            None => findings.push((Arc::clone(policy), finding)),
        }
    }
}

impl Finding {
    /// `asked_at` is when the question began: a verdict whose time ended on the way here was in time.
    fn of(lookup: Lookup, policy: &Policy, asked_at: Timestamp) -> Self {
        match lookup {
            Lookup::Known(verdict) if verdict.is_current(&policy.revision, asked_at) => Self::Judged(verdict),
            Lookup::Known(verdict) => Self::Stale(verdict),
            Lookup::Pending(_) => Self::Pending,
            Lookup::Unknown => Self::Unknown,
        }
    }

    /// Which fail mode decides; `None` where there is a judgement to go by.
    pub(super) fn fail_mode(&self, policy: &Policy) -> Option<FailMode> {
        let modes = &policy.fail_modes;
        match self {
            Self::Judged(verdict) => match verdict.outcome {
                Outcome::NotAnImage | Outcome::Pass | Outcome::Warn | Outcome::Fail => None,
                Outcome::Error => Some(modes.on_error),
            },
            Self::Stale(_) => Some(modes.on_stale),
            Self::Pending => Some(modes.on_pending),
            Self::Unknown => Some(modes.on_unknown),
            Self::Unavailable { .. } => Some(modes.on_error),
        }
    }

    /// Whether a scan could change it for the better.
    pub(super) fn wants_scan(&self, policy: &Policy) -> bool {
        match self {
            Self::Unknown | Self::Pending | Self::Stale(_) => true,
            // What could not be examined is examined again where a policy waits for that, not at every question.
            Self::Judged(_) => self.fail_mode(policy) == Some(FailMode::Wait),
            Self::Unavailable { .. } => false,
        }
    }

    /// Whether it is news compared with `before`: a judgement that one can go by.
    fn settles(&self, before: &Self) -> bool {
        match (self, before) {
            (Self::Judged(now), Self::Judged(then)) => {
                now.outcome != Outcome::Error || now.as_of > then.as_of
            }
            (Self::Judged(_), _) => true,
            (Self::Stale(_) | Self::Pending | Self::Unknown | Self::Unavailable { .. }, _) => false,
        }
    }
}

/// Looks things up, in time.
pub(super) struct Archive {
    verdicts: Arc<Verdicts>,
}

/// A store that does not answer is asked again after so long, where a policy waits for it.
const PAUSE: Duration = Duration::from_millis(250);

impl Archive {
    pub(super) fn new(verdicts: Arc<Verdicts>) -> Self {
        Self { verdicts }
    }

    /// What is known about `digests` under each policy, by `deadline` at the latest.
    pub(super) async fn look_up(&self, wanted: &[(Arc<Policy>, Vec<Digest>)], deadline: Instant) -> Ledger {
        let rows = wanted.iter().map(|(policy, digests)| self.look_up_under(policy, digests, deadline));
        let mut ledger = Ledger::default();
        for ((policy, digests), findings) in wanted.iter().zip(join_all(rows).await) {
            for (digest, finding) in digests.iter().zip(findings) {
                ledger.put(policy, digest, finding);
            }
        }
        ledger
    }

    async fn look_up_under(
        &self,
        policy: &Arc<Policy>,
        digests: &[Digest],
        deadline: Instant,
    ) -> Vec<Finding> {
        loop {
            let asked_at = Timestamp::now();
            let reason = match timeout_at(deadline, self.verdicts.find(digests, policy)).await {
                Ok(Ok(found)) => {
                    return found.into_iter().map(|lookup| Finding::of(lookup, policy, asked_at)).collect();
                }
                Ok(Err(error)) => chain(&error),
                Err(_) => "it did not answer in time".to_owned(),
            };
            let again = Instant::now() + PAUSE;
            if policy.fail_modes.on_error != FailMode::Wait || again >= deadline {
                return vec![Finding::Unavailable { reason }; digests.len()];
            }
            sleep_until(again).await;
        }
    }

    /// Waits until `digest` is judged under each policy, and returns those findings that are news by then.
    pub(super) async fn wait(
        &self,
        digest: &Digest,
        policies: &[(Arc<Policy>, Finding)],
        deadline: Instant,
    ) -> Vec<(Arc<Policy>, Finding)> {
        let mut news = Vec::new();
        let mut open: Vec<&(Arc<Policy>, Finding)> = policies.iter().collect();
        // Watched first and looked at afterwards, so that no news falls between.
        let watching = timeout_at(deadline, self.verdicts.watch(digest)).await;
        let Ok(Ok(mut watch)) = watching else { return news };
        while !open.is_empty() && Instant::now() < deadline {
            let mut left = Vec::new();
            for row in open {
                match self.found(digest, &row.0, deadline).await {
                    Ok(finding) if finding.settles(&row.1) => news.push((Arc::clone(&row.0), finding)),
                    // A store that is away for a moment ends no wait: it wakes everybody when it is back.
                    Ok(_) | Err(_) => left.push(row),
                }
            }
            open = left;
            if !open.is_empty() {
                watch.changed(deadline.saturating_duration_since(Instant::now())).await;
            }
        }
        news
    }

    async fn found(
        &self,
        digest: &Digest,
        policy: &Arc<Policy>,
        deadline: Instant,
    ) -> Result<Finding, StoreError> {
        let (one, asked_at) = (std::slice::from_ref(digest), Timestamp::now());
        match timeout_at(deadline, self.verdicts.find(one, policy)).await {
            Ok(found) => {
                let lookup = found?.pop().unwrap_or(Lookup::Unknown);
                Ok(Finding::of(lookup, policy, asked_at))
            }
            Err(_) => Ok(Finding::Unknown),
        }
    }
}
