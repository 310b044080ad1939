//! Verdicts found, and those that policy or time have changed derived again from what is stored (I6).
//!
//! In: digests and a policy. Out: what is known about each, as of now. Reports are read only where that can help:
//! of a verdict that is past its time, and of a digest that was judged before its policy existed. Several at the
//! same time, but not all of them: a question about 500 digests takes its share of the store and no more.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use shared::derive::Stored;
use shared::model::digest::Digest;
use shared::model::verdict::{Lookup, PolicyName, Verdict};
use shared::policy::{Place, Policy};
use shared::store::StoreError;
use shared::telemetry::chain;

use super::Verdicts;

/// How many reports one question reads at once.
const READS_AT_ONCE: usize = 8;

impl Verdicts {
    /// What is known about each digest under a policy, as of now.
    pub async fn find(&self, digests: &[Digest], policy: &Arc<Policy>) -> Result<Vec<Lookup>, StoreError> {
        let now = Timestamp::now();
        let mut found = self.store.lookup(digests, &policy.name).await?;
        let outdated = self.outdated(digests, &found, policy, now).await?;
        if outdated.is_empty() {
            return Ok(found);
        }
        let derive = |at: usize| async move { Ok((at, self.derive(&digests[at], policy, now).await?)) };
        let mut derived = stream::iter(outdated).map(derive).buffer_unordered(READS_AT_ONCE);
        while let Some((at, verdict)) = derived.try_next().await? {
            // Without a report any more the old verdict stays, and says itself that its time is over.
            if let Some(verdict) = verdict {
                found[at] = Lookup::Known(Arc::new(verdict));
            }
        }
        Ok(found)
    }

    /// Which of these have a report that makes the answer a better one.
    async fn outdated(
        &self,
        digests: &[Digest],
        found: &[Lookup],
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Vec<usize>, StoreError> {
        let mut outdated = Vec::new();
        let mut without = Vec::new();
        for (at, lookup) in found.iter().enumerate() {
            match lookup {
                Lookup::Known(verdict) if verdict.is_current(&policy.revision, now) => {}
                Lookup::Known(_) => outdated.push(at),
                Lookup::Unknown | Lookup::Pending(_) => without.push(at),
            }
        }
        outdated.extend(self.judged_before(digests, without, policy).await?);
        Ok(outdated)
    }

    /// Those of `without` that were judged when `policy` did not exist yet: its verdict is one derivation away.
    ///
    /// Every scan is judged by the default policy, so whoever is unknown to it as well has no report.
    async fn judged_before(
        &self,
        digests: &[Digest],
        without: Vec<usize>,
        policy: &Policy,
    ) -> Result<Vec<usize>, StoreError> {
        if policy.name.is_default() || without.is_empty() {
            return Ok(Vec::new());
        }
        let default = PolicyName::default_policy();
        let asked: Vec<Digest> = without.iter().map(|at| digests[*at].clone()).collect();
        let by_default = self.store.lookup(&asked, &default).await?;
        let judged = without.into_iter().zip(by_default);
        Ok(judged.filter(|(_, lookup)| matches!(lookup, Lookup::Known(_))).map(|(at, _)| at).collect())
    }

    /// Judges the stored report again and keeps the verdict. `None` if there is no report any more.
    async fn derive(
        &self,
        digest: &Digest,
        policy: &Arc<Policy>,
        now: Timestamp,
    ) -> Result<Option<Verdict>, StoreError> {
        let Some(verdict) = self.judge_stored(digest, policy, now, None).await? else { return Ok(None) };
        match self.store.restate(digest, std::slice::from_ref(&verdict)).await {
            Ok(()) => self.announcer.soon(digest, None),
            // The answer is right all the same; the next question derives it once more.
            Err(error) => {
                tracing::warn!(image.digest = %digest, error = %chain(&error), "derived verdict not kept");
            }
        }
        Ok(Some(verdict))
    }

    /// What the policy says about a stored report at a place; not kept. `None` if there is no report any more.
    pub async fn derive_at(
        &self,
        digest: &Digest,
        policy: &Arc<Policy>,
        place: &Place,
    ) -> Result<Option<Verdict>, StoreError> {
        self.judge_stored(digest, policy, Timestamp::now(), Some(place.clone())).await
    }

    async fn judge_stored(
        &self,
        digest: &Digest,
        policy: &Arc<Policy>,
        now: Timestamp,
        place: Option<Place>,
    ) -> Result<Option<Verdict>, StoreError> {
        let Some(stored) = Stored::read(&*self.store, digest).await? else { return Ok(None) };
        metrics::counter!("tidewaiter_verdicts_derived_total").increment(1);
        let policy = Arc::clone(policy);
        // A large report takes its time, and this thread has other callers.
        let judging = tokio::task::spawn_blocking(move || stored.judge_at(&policy, now, place.as_ref()));
        judging.await.map(Some).map_err(|error| StoreError::Unavailable {
            place: "a judging thread".to_owned(),
            source: Box::new(error),
        })
    }
}
