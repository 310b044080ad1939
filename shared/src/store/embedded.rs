//! The store for one process: a single redb file.
//!
//! The semantics of Redis, except that reports and verdicts never expire; sightings are bounded all the
//! same. Every change is one durable transaction. `file` is what touches the disk, always on a thread
//! where waiting is allowed; `leases` live in memory only, because they are void once their process is gone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::measure::Backend;
use super::record;
use super::watchers::Watchers;
use super::{Acquired, Lease, Leases, Sighting, StoreError, VerdictStore, Watch};
use crate::model::digest::Digest;
use crate::model::report::Report;
use crate::model::verdict::{Lookup, Pending, PolicyName, Verdict};

mod file;
mod history;
mod layers;
mod leases;
mod notes;
mod parts;
mod pending;
mod seams;
mod sightings;

#[cfg(test)]
mod tests;

use file::File;
use leases::LeaseTable;

/// Reports, verdicts and leases in one file that belongs to one process.
///
/// What was stored survives `kill -9`; opening the file again takes milliseconds. Leases do not survive:
/// whoever held one is gone. Expired notes are removed as new ones are written.
pub struct EmbeddedStore {
    file: Arc<File>,
    /// One writer at a time; the others wait here instead of each on a thread of its own.
    turn: Arc<Semaphore>,
    leases: Arc<LeaseTable>,
    watchers: Arc<Watchers>,
}

impl EmbeddedStore {
    /// Opens the file, or makes it; its directory must exist. Blocks for as long as the disk takes.
    ///
    /// [`StoreError::Unusable`] if another process has it open, if it is not such a file, or if a newer
    /// version of the program wrote it; the message says what to do.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            file: Arc::new(File::open(path)?),
            turn: Arc::new(Semaphore::new(1)),
            leases: Arc::new(LeaseTable::new()),
            watchers: Arc::new(Watchers::new()),
        })
    }

    /// Runs what reads on a thread that may wait for the disk.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&File) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = Arc::clone(&self.file);
        let done = spawn_blocking(move || work(&file)).await;
        done.map_err(|error| self.died(error))?
    }

    /// The same for what writes. Once begun it is finished, even if the caller stops waiting.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&File) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.expect("the semaphore is never closed");
        self.read(move |file| {
            let _turn = turn;
            work(file)
        })
        .await
    }

    async fn put(
        &self,
        report: &Report,
        verdicts: &[Verdict],
        stood: &[Verdict],
        lease: &Lease,
    ) -> Result<(), StoreError> {
        let (report, verdicts, stood) = (report.clone(), verdicts.to_vec(), stood.to_vec());
        let pinned = match lease.digest == report.digest {
            true => LeaseTable::pin(&self.leases, lease),
            false => None,
        };
        let Some(pinned) = pinned else {
            return Err(StoreError::LeaseLost(report.digest));
        };
        let watchers = Arc::clone(&self.watchers);
        self.write(move |file| {
            file.restore(&report, &verdicts, &stood)?;
            // Nobody takes the lease over while this is being written.
            drop(pinned);
            watchers.wake(&report.digest);
            Ok(())
        })
        .await
    }

    async fn derive(&self, digest: &Digest, verdicts: &[Verdict]) -> Result<(), StoreError> {
        let (digest, verdicts) = (digest.clone(), verdicts.to_vec());
        let watchers = Arc::clone(&self.watchers);
        self.write(move |file| {
            if file.restate(&digest, &verdicts)? > 0 {
                watchers.wake(&digest);
            }
            Ok(())
        })
        .await
    }

    fn died(&self, error: tokio::task::JoinError) -> StoreError {
        StoreError::Unavailable { place: self.file.place().to_owned(), source: Box::new(error) }
    }
}

#[async_trait]
impl VerdictStore for EmbeddedStore {
    async fn lookup(&self, digests: &[Digest], policy: &PolicyName) -> Result<Vec<Lookup>, StoreError> {
        let (digests, policy) = (digests.to_vec(), policy.clone());
        let looked = self.read(move |file| file.lookup(&digests, &policy, Timestamp::now()));
        Backend::Embedded.measured("lookup", looked).await
    }

    async fn restore(
        &self,
        report: &Report,
        verdicts: &[Verdict],
        stood: &[Verdict],
        lease: &Lease,
    ) -> Result<(), StoreError> {
        Backend::Embedded.measured("store", self.put(report, verdicts, stood, lease)).await
    }

    async fn restate(&self, digest: &Digest, verdicts: &[Verdict]) -> Result<(), StoreError> {
        Backend::Embedded.measured("restate", self.derive(digest, verdicts)).await
    }

    async fn report(&self, digest: &Digest) -> Result<Option<Report>, StoreError> {
        let digest = digest.clone();
        let fetched = self.read(move |file| file.report(&digest));
        Backend::Embedded.measured("report", fetched).await
    }

    async fn mark_pending(&self, digest: &Digest, pending: Pending) -> Result<(), StoreError> {
        let digest = digest.clone();
        let marked = self.write(move |file| file.mark_pending(&digest, pending, Timestamp::now()));
        Backend::Embedded.measured("mark_pending", marked).await
    }

    async fn record_sighting(&self, digest: &Digest, sighting: &Sighting) -> Result<(), StoreError> {
        let (digest, place) = (digest.clone(), record::encode_place(sighting));
        let seen_us = sighting.seen_at.as_microsecond();
        let noted = self.write(move |file| file.record_sighting(&digest, place, seen_us));
        Backend::Embedded.measured("record_sighting", noted).await
    }

    async fn note_push(&self, digest: &Digest, pending: Pending, seen: &Sighting) -> Result<(), StoreError> {
        let (digest, place) = (digest.clone(), record::encode_place(seen));
        let seen_us = seen.seen_at.as_microsecond();
        let noted =
            self.write(move |file| file.note_push(&digest, pending, (place, seen_us), Timestamp::now()));
        Backend::Embedded.measured("note_push", noted).await
    }

    async fn sightings(&self, digest: &Digest) -> Result<Vec<Sighting>, StoreError> {
        let digest = digest.clone();
        let seen = self.read(move |file| file.sightings(&digest));
        Backend::Embedded.measured("sightings", seen).await
    }

    async fn watch(&self, digest: &Digest) -> Result<Watch, StoreError> {
        Ok(self.watchers.watch(digest))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Backend::Embedded.measured("ping", self.read(File::ping)).await
    }
}

#[async_trait]
impl Leases for EmbeddedStore {
    async fn acquire(&self, digest: &Digest, ttl: Duration) -> Result<Acquired, StoreError> {
        let acquired = async { Ok(self.leases.acquire(digest, ttl)) };
        Backend::Embedded.measured("acquire", acquired).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        let renewed = async {
            match self.leases.renew(lease, ttl) {
                true => Ok(()),
                false => Err(StoreError::LeaseLost(lease.digest.clone())),
            }
        };
        Backend::Embedded.measured("renew", renewed).await
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        let released = async {
            self.leases.release(&lease);
            Ok(())
        };
        Backend::Embedded.measured("release", released).await
    }
}
