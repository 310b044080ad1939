//! Resolved tags against the store: what is known is sighted, what was never seen, or not to its end, is queued.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use shared::model::digest::Digest;
use shared::model::image::{ImageName, Tag};
use shared::model::job::{Job, Lane, Task};
use shared::model::problem::ProblemKind;
use shared::model::sweep::Sweep;
use shared::model::verdict::{Lookup, Pending, PolicyName};
use shared::registry::RegistryError;
use shared::store::Sighting;
use shared::telemetry::chain;

use super::Setback;
use crate::job::Carrier;

/// How long a digest that a sweep has queued counts as pending: the background lane may be long.
const PENDING: SignedDuration = SignedDuration::from_hours(24);

/// What became of one tag: nothing was asked (it names an artifact), or the registry's answer.
pub(super) type Resolved = (Tag, Option<Result<Digest, RegistryError>>);

impl Carrier {
    /// Counts and compares tags that were resolved, or will never be.
    pub(super) async fn compare(
        &self,
        sweep: &mut Sweep,
        name: &ImageName,
        resolved: Vec<Resolved>,
    ) -> Result<(), Setback> {
        let mut found = Vec::with_capacity(resolved.len());
        sweep.tally.tags += resolved.len() as u64;
        for (tag, answer) in resolved {
            match answer {
                Some(Ok(digest)) => found.push((tag, digest)),
                // Deleted since it was listed.
                None | Some(Err(RegistryError::NotFound { .. })) => sweep.tally.skipped += 1,
                Some(Err(error)) => {
                    let reason = format!("tag {tag}: {}", chain(&error));
                    sweep.tally.trouble(Some(name.repository.clone()), &reason);
                }
            }
        }
        let mut wanting = self.wanting(&found).await?;
        let (mut jobs, mut sightings) = (Vec::new(), Vec::new());
        let now = Timestamp::now();
        for (tag, digest) in found {
            let seen = Sighting { image: name.clone(), tag: Some(tag.clone()), seen_at: now };
            // Of several tags of one digest the first brings it in.
            if wanting.remove(&digest) {
                jobs.push(Job::scan(name.clone(), digest.clone(), Some(tag), Lane::Background, now));
            } else {
                sweep.tally.known += 1;
            }
            sightings.push((digest, seen));
        }
        try_join_all(jobs.iter().map(|job| self.parts.queue.publish(job))).await?;
        sweep.tally.enqueued += jobs.len() as u64;
        count("enqueued", jobs.len());
        count("known", sightings.len() - jobs.len());
        self.note_seen(&jobs, &sightings, now).await
    }

    /// The digests of which the store knows neither a verdict nor that they wait for one, and those that nobody could
    /// search for malware when they were scanned: whoever searches may be back.
    async fn wanting(&self, found: &[(Tag, Digest)]) -> Result<BTreeSet<Digest>, Setback> {
        let digests: Vec<Digest> =
            found.iter().map(|(_, digest)| digest.clone()).collect::<BTreeSet<_>>().into_iter().collect();
        if digests.is_empty() {
            return Ok(BTreeSet::new());
        }
        let lookups = self.parts.store.lookup(&digests, &PolicyName::default_policy()).await?;
        let known: BTreeMap<Digest, Lookup> = digests.into_iter().zip(lookups).collect();
        Ok(known
            .into_iter()
            .filter(|(_, lookup)| match lookup {
                Lookup::Unknown => true,
                Lookup::Pending(_) => false,
                Lookup::Known(verdict) => {
                    verdict.problems.iter().any(|problem| problem.kind == ProblemKind::MalwareNotSearched)
                }
            })
            .map(|(digest, _)| digest)
            .collect())
    }

    /// Notes what is pending now, and where everything was seen.
    async fn note_seen(
        &self,
        jobs: &[Job],
        sightings: &[(Digest, Sighting)],
        now: Timestamp,
    ) -> Result<(), Setback> {
        let until = now.saturating_add(PENDING).unwrap_or(Timestamp::MAX);
        let queued = jobs.iter().filter_map(|job| match &job.task {
            Task::Scan { digest, .. } => Some(digest),
            Task::Resolve { .. }
            | Task::Notify { .. }
            | Task::Rejudge { .. }
            | Task::Sweep(_)
            | Task::Attest { .. }
            | Task::Attachments { .. } => None,
        });
        let pending = Pending { since: now, until };
        try_join_all(queued.map(|digest| self.parts.store.mark_pending(digest, pending))).await?;
        let sighted = sightings.iter().map(|(digest, seen)| self.parts.store.record_sighting(digest, seen));
        try_join_all(sighted).await?;
        Ok(())
    }
}

fn count(result: &'static str, digests: usize) {
    metrics::counter!("tidewaiter_sweep_tags_total", "result" => result).increment(digests as u64);
}
