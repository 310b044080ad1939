//! All verdicts again, when policies or time have changed them: from stored reports, page by page (I6).
//!
//! [`PolicyWatch`] runs in every worker. The first one that finds other policies in force than the fleet's last
//! job was about, publishes the next job; so does one of all workers every quarter of an hour, for verdicts whose
//! `valid_until` has passed. A job deals with one page and publishes the rest before it is settled; a redelivered
//! one may start the rest twice, which costs look-ups. Verdicts of policies that are gone are left: nobody can
//! ask for them, and the next scan replaces all.
//!
//! Workers may have different policies for a while. The note `latest` names those of the newest job: a job
//! about others is outdated, and a worker that has not read the newest ones yet tries again later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use shared::derive::Stored;
use shared::model::digest::Digest;
use shared::model::job::Job;
use shared::model::report::Revision;
use shared::model::verdict::{Lookup, Verdict};
use shared::policy::{Policy, PolicySet};
use shared::queue::{JobQueue, QueueError};
use shared::reload::{LOOK_EVERY, revision_of};
use shared::store::{Known, NoteName, Notes, StoreError};
use shared::telemetry::chain;

use crate::Parts;
use crate::attachments::AmendError;
use crate::job::{Carried, Carrier};

/// How many digests one job deals with.
const PAGE: usize = 100;
/// How often verdicts that time has changed are looked for.
const PASS_EVERY: Duration = Duration::from_secs(15 * 60);
/// How long the policies of the newest job are remembered; after that the next pass names them again.
const MEMORY: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long a worker may take to publish a job before another one does.
const PUBLISHING: Duration = Duration::from_secs(30);

/// Why a page was not dealt with.
#[derive(Debug, thiserror::Error)]
enum RejudgeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the rest could not be queued")]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Derive(#[from] DeriveError),
}

/// Why verdicts were not derived.
#[derive(Debug, thiserror::Error)]
enum DeriveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("judging {0} panicked")]
    Panicked(Digest),
}

/// Which policies the newest job is about.
fn latest() -> NoteName {
    NoteName::new("rejudge", "latest")
}

/// Kept until the next pass over everything.
fn pass() -> NoteName {
    NoteName::new("rejudge", "pass")
}

/// Sees to it that jobs are published when they are needed.
pub(crate) struct PolicyWatch {
    queue: Arc<dyn JobQueue>,
    notes: Arc<dyn Notes>,
    known: Arc<dyn Known>,
    policies: Arc<ArcSwap<PolicySet>>,
}

impl PolicyWatch {
    pub(crate) fn of(parts: &Parts) -> Self {
        Self {
            queue: Arc::clone(&parts.queue),
            notes: Arc::clone(&parts.notes),
            known: Arc::clone(&parts.known),
            policies: Arc::clone(&parts.policies),
        }
    }

    /// Watches for ever.
    pub(crate) async fn run(self) {
        let mut dealt_with: Option<Revision> = None;
        let mut failing = false;
        loop {
            let own = revision_of(&self.policies.load());
            let is_new = dealt_with.as_ref() != Some(&own);
            let looked = self.look(&own, is_new).await;
            match &looked {
                Ok(true) => dealt_with = Some(own),
                Ok(false) => {}
                // Told once, not at each look.
                Err(error) if !failing => {
                    tracing::warn!(error = %chain(error), "verdicts wait to be derived again");
                }
                Err(_) => {}
            }
            failing = looked.is_err();
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Publishes what is to be published; whether these policies are dealt with.
    async fn look(&self, own: &Revision, is_new: bool) -> Result<bool, RejudgeError> {
        if is_new && !self.is_latest(own).await? {
            return self.publish_once(own).await;
        }
        // Read first: that costs the disk nothing, and it is nearly always there.
        let is_due = self.notes.read(&pass()).await?.is_none();
        if is_due && self.notes.claim(&pass(), b"", PASS_EVERY).await? {
            self.publish(own).await?;
        }
        Ok(true)
    }

    /// One of all that have these policies publishes; whether it happened.
    async fn publish_once(&self, own: &Revision) -> Result<bool, RejudgeError> {
        let publishing = NoteName::new("rejudge", "publishing");
        if !self.notes.claim(&publishing, own.as_str().as_bytes(), PUBLISHING).await? {
            return Ok(false);
        }
        if !self.is_latest(own).await? {
            self.publish(own).await?;
        }
        self.notes.forget(&publishing).await?;
        Ok(true)
    }

    async fn is_latest(&self, own: &Revision) -> Result<bool, StoreError> {
        let found = self.notes.read(&latest()).await?;
        Ok(found.as_deref() == Some(own.as_str().as_bytes()))
    }

    async fn publish(&self, own: &Revision) -> Result<(), RejudgeError> {
        // First, or a worker would take the job for an outdated one.
        self.notes.keep(&latest(), own.as_str().as_bytes(), MEMORY).await?;
        self.notes.keep(&pass(), b"", PASS_EVERY).await?;
        let first = self.known.known_after(None, 1).await?;
        if first.digests.is_empty() && first.next.is_none() {
            return Ok(());
        }
        let job = Job::rejudge(own.clone(), None, Timestamp::now());
        if let Err(error) = self.queue.publish(&job).await {
            self.notes.forget(&latest()).await?;
            return Err(error.into());
        }
        tracing::info!(job.id = %job.id, policies.revision = %own, "stored verdicts are to be derived again");
        Ok(())
    }
}

impl Carrier {
    /// Deals with one page after `after`, and publishes the rest.
    pub(crate) async fn rejudge(&self, wanted: &Revision, after: Option<&Digest>) -> Carried {
        match self.rejudge_page(wanted, after).await {
            Ok(carried) => carried,
            Err(RejudgeError::Store(error) | RejudgeError::Derive(DeriveError::Store(error))) => {
                Carried::after_store(&error)
            }
            Err(RejudgeError::Queue(error)) => Carried::after_queue(&error),
            Err(error @ RejudgeError::Derive(DeriveError::Panicked(_))) => {
                Carried::Failed { error: chain(&error) }
            }
        }
    }

    async fn rejudge_page(&self, wanted: &Revision, after: Option<&Digest>) -> Result<Carried, RejudgeError> {
        let newest = self.parts.notes.read(&latest()).await?;
        if newest.is_some_and(|newest| newest != wanted.as_str().as_bytes()) {
            tracing::info!(policies.revision = %wanted, "outdated: other policies are in force by now");
            return Ok(Carried::Done);
        }
        let policies = self.parts.policies.load_full();
        let own = revision_of(&policies);
        if own != *wanted {
            let error = format!("this worker has not read policies {wanted} yet, it has {own}");
            return Ok(Carried::Failed { error });
        }
        let page = self.parts.known.known_after(after, PAGE).await?;
        let mut restated = 0;
        for (digest, stale) in self.stale(&page.digests, &policies).await? {
            restated += self.derive(&digest, stale).await?;
        }
        tracing::info!(
            page.digests = page.digests.len(),
            page.restated = restated,
            "page of verdicts derived again"
        );
        if let Some(next) = page.next {
            let rest = Job::rejudge(wanted.clone(), Some(next), Timestamp::now());
            self.parts.queue.publish(&rest).await?;
        }
        Ok(Carried::Done)
    }

    /// By digest the policies under which its verdict is not what it would be now.
    async fn stale(
        &self,
        digests: &[Digest],
        policies: &PolicySet,
    ) -> Result<BTreeMap<Digest, Vec<Arc<Policy>>>, StoreError> {
        let now = Timestamp::now();
        let mut stale: BTreeMap<Digest, Vec<Arc<Policy>>> = BTreeMap::new();
        for policy in policies.iter() {
            let lookups = self.parts.store.lookup(digests, &policy.name).await?;
            for (digest, lookup) in digests.iter().zip(lookups) {
                let current = match lookup {
                    Lookup::Known(verdict) => verdict.is_current(&policy.revision, now),
                    // A report without a verdict: the policy is younger than the scan.
                    Lookup::Unknown | Lookup::Pending(_) => false,
                };
                if !current {
                    stale.entry(digest.clone()).or_default().push(Arc::clone(policy));
                }
            }
        }
        Ok(stale)
    }

    /// What every policy thinks of a digest now, from what is stored; nothing if there is no report.
    pub(crate) async fn restate(&self, digest: &Digest) -> Result<(), AmendError> {
        let policies = self.parts.policies.load_full().iter().map(Arc::clone).collect();
        match self.derive(digest, policies).await {
            Ok(_) => Ok(()),
            Err(DeriveError::Store(error)) => Err(AmendError::Store(error)),
            Err(DeriveError::Panicked(digest)) => Err(AmendError::Panicked(digest)),
        }
    }

    /// Answers how many verdicts were restated.
    async fn derive(&self, digest: &Digest, policies: Vec<Arc<Policy>>) -> Result<usize, DeriveError> {
        let Some(stored) = Stored::read(&*self.parts.store, digest).await? else { return Ok(0) };
        let judging = tokio::task::spawn_blocking(move || {
            let now = Timestamp::now();
            policies.iter().map(|policy| stored.judge(policy, now)).collect::<Vec<Verdict>>()
        });
        let verdicts = judging.await.map_err(|_| DeriveError::Panicked(digest.clone()))?;
        self.parts.store.restate(digest, &verdicts).await?;
        self.parts.announcer.announce(digest, None).await;
        metrics::counter!("tidewaiter_verdicts_derived_total").increment(verdicts.len() as u64);
        Ok(verdicts.len())
    }
}
