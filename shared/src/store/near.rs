//! Verdicts that this process has read a moment ago, so that asking again costs no round trip.
//!
//! A store before another store: everything but look-ups goes straight through. A verdict is kept together with a
//! [`Watch`] that began *before* it was read, so that no news falls between: as soon as anything is stored
//! about the digest, by any process, the copy is worth nothing (I6). News can be late by as long as a broken
//! subscription goes unnoticed, so no copy is believed for longer than [`LONGEST`].
//! Only verdicts are kept: what is unknown or pending may be known at any moment.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use metrics::Counter;
use moka::Equivalent;
use moka::sync::Cache;

use super::{Lease, SharedStore, Sighting, StoreError, VerdictStore, Watch};
use crate::model::digest::Digest;
use crate::model::report::Report;
use crate::model::verdict::{Lookup, Pending, PolicyName, Verdict};

/// How long a copy is believed without asking again, although nobody said that it changed.
const LONGEST: Duration = Duration::from_secs(2);
/// The memory that copies may take, in bytes, by estimate.
const LARGEST: u64 = 64 << 20;

/// See the module.
pub struct NearStore {
    far: SharedStore,
    copies: Cache<(PolicyName, Digest), Copy>,
    answered_near: Counter,
    answered_far: Counter,
}

/// A verdict as it was read, and whether anything has happened since.
#[derive(Clone)]
struct Copy {
    verdict: Arc<Verdict>,
    watch: Watch,
    read_at: Instant,
}

/// What a copy is found by, borrowed: a look-up copies no texts. It hashes as the pair that is kept does.
#[derive(Hash)]
struct Asked<'a> {
    policy: &'a PolicyName,
    digest: &'a Digest,
}

impl Equivalent<(PolicyName, Digest)> for Asked<'_> {
    fn equivalent(&self, (policy, digest): &(PolicyName, Digest)) -> bool {
        self.policy == policy && self.digest == digest
    }
}

impl Copy {
    fn is_good(&self) -> bool {
        self.read_at.elapsed() < LONGEST && !self.watch.has_news()
    }
}

impl NearStore {
    /// A store that remembers for a moment what `far` said.
    pub fn new(far: SharedStore) -> Self {
        let copies = Cache::builder()
            .max_capacity(LARGEST)
            .weigher(|_, copy: &Copy| weight(&copy.verdict))
            .time_to_live(LONGEST)
            .build();
        let answered = |answer| metrics::counter!("tidewaiter_near_verdicts_total", "answer" => answer);
        Self { far, copies, answered_near: answered("near"), answered_far: answered("far") }
    }

    fn copy(&self, digest: &Digest, policy: &PolicyName) -> Option<Arc<Verdict>> {
        let copy = self.copies.get(&Asked { policy, digest })?;
        copy.is_good().then_some(copy.verdict)
    }

    async fn ask_far(&self, digests: &[Digest], policy: &PolicyName) -> Result<Vec<Lookup>, StoreError> {
        let mut watches = Vec::with_capacity(digests.len());
        for digest in digests {
            watches.push(self.far.watch(digest).await?);
        }
        let read_at = Instant::now();
        let found = self.far.lookup(digests, policy).await?;
        for ((digest, watch), lookup) in digests.iter().zip(watches).zip(&found) {
            if let Lookup::Known(verdict) = lookup {
                let copy = Copy { verdict: Arc::clone(verdict), watch, read_at };
                self.copies.insert((policy.clone(), digest.clone()), copy);
            }
        }
        Ok(found)
    }
}

/// About how many bytes a verdict takes; its texts are bounded when it is made.
fn weight(verdict: &Verdict) -> u32 {
    let parts = verdict.reasons.len() + verdict.problems.len() + verdict.children.len();
    u32::try_from(1024 + parts * 512).unwrap_or(u32::MAX)
}

#[async_trait]
impl VerdictStore for NearStore {
    async fn lookup(&self, digests: &[Digest], policy: &PolicyName) -> Result<Vec<Lookup>, StoreError> {
        let mut found: Vec<Option<Lookup>> =
            digests.iter().map(|digest| self.copy(digest, policy).map(Lookup::Known)).collect();
        let missing: Vec<Digest> = digests
            .iter()
            .zip(&found)
            .filter(|(_, copy)| copy.is_none())
            .map(|(digest, _)| digest.clone())
            .collect();
        self.answered_near.increment((digests.len() - missing.len()) as u64);
        if !missing.is_empty() {
            self.answered_far.increment(missing.len() as u64);
            let answers = self.ask_far(&missing, policy).await?;
            let gaps = found.iter_mut().filter(|copy| copy.is_none());
            for (gap, answer) in gaps.zip(answers) {
                *gap = Some(answer);
            }
        }
        Ok(found.into_iter().map(|lookup| lookup.unwrap_or(Lookup::Unknown)).collect())
    }

    async fn restore(
        &self,
        report: &Report,
        verdicts: &[Verdict],
        stood: &[Verdict],
        lease: &Lease,
    ) -> Result<(), StoreError> {
        self.far.restore(report, verdicts, stood, lease).await
    }

    async fn restate(&self, digest: &Digest, verdicts: &[Verdict]) -> Result<(), StoreError> {
        self.far.restate(digest, verdicts).await?;
        // Whoever restates reads its own words next; the news about them may still be on its way.
        for verdict in verdicts {
            self.copies.invalidate(&Asked { policy: &verdict.policy, digest });
        }
        Ok(())
    }

    async fn report(&self, digest: &Digest) -> Result<Option<Report>, StoreError> {
        self.far.report(digest).await
    }

    async fn mark_pending(&self, digest: &Digest, pending: Pending) -> Result<(), StoreError> {
        self.far.mark_pending(digest, pending).await
    }

    async fn record_sighting(&self, digest: &Digest, sighting: &Sighting) -> Result<(), StoreError> {
        self.far.record_sighting(digest, sighting).await
    }

    async fn note_push(&self, digest: &Digest, pending: Pending, seen: &Sighting) -> Result<(), StoreError> {
        self.far.note_push(digest, pending, seen).await
    }

    async fn sightings(&self, digest: &Digest) -> Result<Vec<Sighting>, StoreError> {
        self.far.sightings(digest).await
    }

    async fn watch(&self, digest: &Digest) -> Result<Watch, StoreError> {
        self.far.watch(digest).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.far.ping().await
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::model::sample;
    use crate::model::verdict::Outcome;
    use crate::store::embedded::EmbeddedStore;
    use crate::store::{Acquired, Leases};

    struct Site {
        near: NearStore,
        far: Arc<EmbeddedStore>,
        _folder: TempDir,
    }

    fn site() -> Site {
        let folder = tempfile::tempdir().unwrap();
        let far = Arc::new(EmbeddedStore::open(&folder.path().join("store.redb")).unwrap());
        Site { near: NearStore::new(far.clone()), far, _folder: folder }
    }

    async fn judged(site: &Site, digest: &Digest, outcome: Outcome) {
        let report = sample::report(digest);
        let verdicts = [sample::verdict(&report, "default", outcome)];
        let Acquired::Held(lease) = site.far.acquire(digest, LONGEST).await.unwrap() else {
            panic!("nobody else wants it");
        };
        site.far.store(&report, &verdicts, &lease).await.unwrap();
        site.far.release(lease).await.unwrap();
    }

    async fn outcomes(site: &Site, digests: &[Digest]) -> Vec<Option<Outcome>> {
        let found = site.near.lookup(digests, &PolicyName::default_policy()).await.unwrap();
        let outcome = |lookup: Lookup| match lookup {
            Lookup::Known(verdict) => Some(verdict.outcome),
            Lookup::Unknown | Lookup::Pending(_) => None,
        };
        found.into_iter().map(outcome).collect()
    }

    #[tokio::test]
    async fn a_second_question_is_answered_from_here_with_the_same_words() {
        let site = site();
        let digest = Digest::of(b"asked twice");
        judged(&site, &digest, Outcome::Fail).await;
        let default = PolicyName::default_policy();
        let one = std::slice::from_ref(&digest);
        let first = site.near.lookup(one, &default).await.unwrap().remove(0);
        let second = site.near.lookup(one, &default).await.unwrap().remove(0);
        let (Lookup::Known(first), Lookup::Known(second)) = (first, second) else { panic!("it is known") };
        assert!(Arc::ptr_eq(&first, &second), "the second was read again");
    }

    #[tokio::test]
    async fn i6_a_verdict_that_was_replaced_is_never_served_again() {
        let site = site();
        let digest = Digest::of(b"judged anew");
        for outcome in [Outcome::Pass, Outcome::Fail, Outcome::Warn] {
            judged(&site, &digest, outcome).await;
            for _ in 0..3 {
                assert_eq!(outcomes(&site, std::slice::from_ref(&digest)).await, [Some(outcome)]);
            }
        }
    }

    #[tokio::test]
    async fn near_and_far_answers_keep_the_order_that_was_asked() {
        let site = site();
        let digests: Vec<Digest> = (0..9_u8).map(|number| Digest::of(&[number])).collect();
        for (digest, outcome) in
            digests.iter().zip([Outcome::Pass, Outcome::Warn, Outcome::Fail].into_iter().cycle())
        {
            judged(&site, digest, outcome).await;
        }
        let whole = outcomes(&site, &digests).await;
        let unknown = Digest::of(b"unknown");
        let fresh = Digest::of(b"fresh");
        judged(&site, &fresh, Outcome::Fail).await;
        let asked = [unknown, digests[4].clone(), fresh, digests[1].clone()];
        assert_eq!(outcomes(&site, &asked).await, [None, whole[4], Some(Outcome::Fail), whole[1]]);
    }
}
