//! What is known: reports, verdicts and what became of them, pending markers, sightings and leases, by digest.
//!
//! The store is a cache (I13): losing it loses no push and no truth. The doc comments of
//! [`VerdictStore`] and [`Leases`] are the contract; `contract` is the same as tests, and both backends
//! run all of it. [`redis`] is for many processes, [`embedded`] for one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::StoreConfig;
use crate::model::change::{ChangeId, Recorded};
use crate::model::digest::Digest;
use crate::model::image::{ImageName, Tag};
use crate::model::report::{Report, Revision};
use crate::model::verdict::{Lookup, Pending, PolicyName, Verdict};

pub mod embedded;
pub mod near;
pub mod redis;

mod measure;
pub(crate) mod record;
mod watchers;

#[cfg(test)]
mod contract;

/// Reports and verdicts by digest.
#[async_trait]
pub trait VerdictStore: Send + Sync {
    /// What is known about each digest under one policy, in the order asked. One round trip.
    async fn lookup(&self, digests: &[Digest], policy: &PolicyName) -> Result<Vec<Lookup>, StoreError>;

    /// Stores a report and the verdicts derived from it, removes the pending marker and wakes everybody
    /// who watches the digest: all of it or nothing.
    ///
    /// `lease` fences: a holder whose lease was taken over gets [`StoreError::LeaseLost`] and changes nothing.
    /// One that ran out but was taken over by nobody is still good for it.
    async fn store(&self, report: &Report, verdicts: &[Verdict], lease: &Lease) -> Result<(), StoreError> {
        self.restore(report, verdicts, &[], lease).await
    }

    /// The same of a digest that this store may have forgotten, and somebody else remembers: `stood` are the verdicts
    /// that people were told of before. Where none stands here those count, so that only what differs is a change.
    async fn restore(
        &self,
        report: &Report,
        verdicts: &[Verdict],
        stood: &[Verdict],
        lease: &Lease,
    ) -> Result<(), StoreError>;

    /// Stores verdicts derived again from the stored report: a policy changed, an exception expired.
    ///
    /// A verdict whose `revisions` differ from those of the stored report is left out: it is older news. What
    /// changes for people is recorded in the same step, here and in [`VerdictStore::store`]; see [`History`].
    async fn restate(&self, digest: &Digest, verdicts: &[Verdict]) -> Result<(), StoreError>;

    /// The stored report.
    async fn report(&self, digest: &Digest) -> Result<Option<Report>, StoreError>;

    /// Marks a digest as waiting for its first verdict. Keeps an earlier marker's `since` and extends its
    /// `until`; changes nothing that [`VerdictStore::lookup`] says about a digest that has a verdict (I10).
    async fn mark_pending(&self, digest: &Digest, pending: Pending) -> Result<(), StoreError>;

    /// Notes where an image was seen. Bounded: the oldest sightings of a digest make room. A place (image
    /// and tag) is kept once, with its newest time to the microsecond.
    async fn record_sighting(&self, digest: &Digest, sighting: &Sighting) -> Result<(), StoreError>;

    /// [`VerdictStore::mark_pending`] and [`VerdictStore::record_sighting`] in one step and one round trip:
    /// what there is to note about every push.
    async fn note_push(&self, digest: &Digest, pending: Pending, seen: &Sighting) -> Result<(), StoreError>;

    /// Where an image was seen, newest first.
    async fn sightings(&self, digest: &Digest) -> Result<Vec<Sighting>, StoreError>;

    /// Completes when verdicts are stored or restated about the digest after the call returned, by this
    /// process or another. May complete for nothing; look again. Never blocks a store.
    async fn watch(&self, digest: &Digest) -> Result<Watch, StoreError>;

    /// Whether something could be stored now, within a second or two; for readiness.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Single-flight: at most one holder a digest at a time, until the lease runs out.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Takes the lease of a digest for `ttl`, or says that somebody else holds it.
    async fn acquire(&self, digest: &Digest, ttl: Duration) -> Result<Acquired, StoreError>;

    /// Holds it for another `ttl` from now, also if it ran out and nobody has asked for it since.
    /// [`StoreError::LeaseLost`] if it was taken over or has vanished.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError>;

    /// Gives it back; nothing happens if it was lost already.
    async fn release(&self, lease: Lease) -> Result<(), StoreError>;
}

/// Small facts that processes share for a while: what a scan id of Harbor stands for, who sweeps a registry.
///
/// Losing them loses no push and no verdict (I13); whoever keeps one says what happens then.
#[async_trait]
pub trait Notes: Send + Sync {
    /// Keeps `value` under `name` for `ttl`, in the place of what was there. [`StoreError::TooLarge`] if it has
    /// more than [`NoteName::LARGEST_VALUE`] bytes.
    async fn keep(&self, name: &NoteName, value: &[u8], ttl: Duration) -> Result<(), StoreError>;

    /// Keeps it only where nothing is kept under that name: `true` for exactly one of many who claim it.
    async fn claim(&self, name: &NoteName, value: &[u8], ttl: Duration) -> Result<bool, StoreError>;

    /// What is kept under `name`, unless its time is over.
    async fn read(&self, name: &NoteName) -> Result<Option<Vec<u8>>, StoreError>;

    /// Forgets it; nothing happens if nothing is kept.
    async fn forget(&self, name: &NoteName) -> Result<(), StoreError>;
}

/// What became of every verdict, by digest; and the feed: the changes of all digests, as they were announced.
///
/// Changes are recorded in the step that stores or restates a verdict, see
/// [`Change::between`](crate::model::change::Change::between). Bounded: of each digest
/// and in the feed the oldest make room. Losing it loses only history (I13).
#[async_trait]
pub trait History: Send + Sync {
    /// The changes of one digest under all policies, newest first, at most `limit`.
    async fn history(&self, digest: &Digest, limit: usize) -> Result<Vec<Recorded>, StoreError>;

    /// The changes of one digest that nobody has announced yet, oldest first, at most `limit`.
    async fn unannounced(&self, digest: &Digest, limit: usize) -> Result<Vec<Recorded>, StoreError>;

    /// Appends changes of one digest to the feed and wakes whoever watches it; afterwards they, and what came
    /// before them, are no longer unannounced. Call it last: a process that dies before it has somebody else
    /// announce them again, and even then the feed may have a change twice, never not at all.
    async fn announce(&self, changes: &[Recorded]) -> Result<(), StoreError>;

    /// What the feed has after a place, oldest first, at most `limit`; `None` means from its beginning. The id
    /// of each is its place in the feed.
    async fn feed_after(&self, after: Option<ChangeId>, limit: usize) -> Result<Vec<Recorded>, StoreError>;

    /// The place of the newest change in the feed.
    async fn feed_end(&self) -> Result<Option<ChangeId>, StoreError>;

    /// Completes when something is appended to the feed after the call returned, by this process or another.
    /// May complete for nothing; look again.
    async fn watch_feed(&self) -> Result<Watch, StoreError>;
}

/// Every digest that has a report.
#[async_trait]
pub trait Known: Send + Sync {
    /// At most `limit` digests that come after one, in an order of the store's own; `None` begins. A digest
    /// that has a report from the first page to the last is on one of them, whatever else is stored meanwhile.
    async fn known_after(&self, after: Option<&Digest>, limit: usize) -> Result<KnownPage, StoreError>;
}

/// Digests that wait for a verdict for longer than anybody thought: whatever should have judged them was lost on its
/// way (I3).
///
/// Losing them loses no job that is still queued (I13).
#[async_trait]
pub trait Overdue: Send + Sync {
    /// Digests whose pending marker ran out before `now` and that were neither judged nor marked nor given up since;
    /// at most `limit`. One that was judged before it was marked may be among them.
    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<Digest>, StoreError>;

    /// Nobody waits for it any longer; nothing happens if nobody did.
    async fn give_up(&self, digest: &Digest) -> Result<(), StoreError>;
}

/// What layers contain, in bytes that only whoever wrote them understands, by layer and revision of the analyzers.
///
/// Bounded: what nobody has asked for in a while is forgotten. Losing it costs a second reading (I13).
#[async_trait]
pub trait Layers: Send + Sync {
    /// The bytes that were saved last for a layer under a revision. Asking keeps them for longer.
    async fn load_layer(&self, layer: &Digest, revision: &Revision) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps bytes in the place of what was there. [`StoreError::TooLarge`] if there are more than
    /// [`LARGEST_LAYER`].
    async fn save_layer(&self, layer: &Digest, revision: &Revision, bytes: &[u8]) -> Result<(), StoreError>;
}

/// The most bytes that are kept about one layer: 16 MiB, which is a layer of a million files.
pub const LARGEST_LAYER: usize = 16 << 20;

/// Some of the digests that have a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPage {
    /// Each once; may be fewer than asked for, even none, before the end.
    pub digests: Vec<Digest>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Digest>,
}

/// Under which name a note is kept: which room keeps it, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoteName(String);

impl NoteName {
    /// The most bytes that a note may have: notes are small.
    pub const LARGEST_VALUE: usize = 64 << 10;

    /// `room` is a word of ours, so that no two rooms meet; `about` may come from outside: only its digest is kept.
    pub fn new(room: &'static str, about: &str) -> Self {
        Self(format!("{room}:{}", Digest::of(about.as_bytes()).encoded()))
    }

    /// The name as text: letters, digits, dashes and one colon.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The answer to somebody who wants a lease.
#[derive(Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It is yours.
    Held(Lease),
    /// Somebody else has it, for at most this long.
    Busy {
        /// Until it runs out, if its holder does not renew it.
        remaining: Duration,
    },
}

/// The right to scan one digest, for a while.
#[derive(Debug, PartialEq, Eq)]
pub struct Lease {
    /// What it is for.
    pub digest: Digest,
    /// Grows with every new holder of the same digest: later holders win over earlier ones.
    pub(crate) fence: u64,
    /// Distinguishes this holder from every other.
    pub(crate) owner: uuid::Uuid,
}

/// Where and under which name an image was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sighting {
    /// Registry and repository.
    pub image: ImageName,
    /// The tag, if one was named.
    #[serde(default)]
    pub tag: Option<Tag>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
}

/// A wait for news about one digest; see [`VerdictStore::watch`].
#[derive(Clone)]
pub struct Watch(tokio::sync::watch::Receiver<u64>);

impl Watch {
    /// Made by the backends; the sender's value changes whenever there is news.
    pub(crate) fn new(receiver: tokio::sync::watch::Receiver<u64>) -> Self {
        Self(receiver)
    }

    /// Whether news came since the watch began, or may have been missed.
    pub fn has_news(&self) -> bool {
        self.0.has_changed().unwrap_or(true)
    }

    /// Waits for news, at most `limit`. Returns at once if news came since the watch began.
    pub async fn changed(&mut self, limit: Duration) {
        // A closed sender means that the backend restarts its subscription: looking again is right then too.
        let _ = tokio::time::timeout(limit, self.0.changed()).await;
    }
}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The server cannot be reached, or did not answer in time.
    #[error("the store at {place} is unavailable")]
    Unavailable {
        /// Host and port, or file; never credentials.
        place: String,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server answered and refused: out of memory, disk full, read-only replica, wrong password.
    #[error("the store at {place} refused: {reason}")]
    Refused {
        /// Host and port, or file.
        place: String,
        /// The server's words.
        reason: String,
    },
    /// The value is larger than what is kept; no other time is better.
    #[error("the store at {place} cannot keep it: {reason}")]
    TooLarge {
        /// Host and port, or file.
        place: String,
        /// What is too large.
        reason: String,
    },
    /// A stored value cannot be read by this build: treated as absent by readers that can scan again.
    #[error("the stored {what} of {digest} cannot be read: {reason}")]
    Unreadable {
        /// `report`, `verdict` …
        what: &'static str,
        /// Whose.
        digest: Digest,
        /// Why not.
        reason: String,
    },
    /// Another holder has taken over; nothing was changed.
    #[error("the lease of {0} was lost to another worker")]
    LeaseLost(Digest),
    /// The file cannot be used.
    #[error("the store at {place} cannot be used: {reason}")]
    Unusable {
        /// The file.
        place: String,
        /// What is wrong and how to repair it.
        reason: String,
    },
}

impl StoreError {
    /// Whether it says something about the server alone: the same will do once that is well again.
    pub fn is_away(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Refused { .. } => true,
            Self::TooLarge { .. } | Self::Unreadable { .. } | Self::LeaseLost(_) | Self::Unusable { .. } => {
                false
            }
        }
    }
}

/// A store that several parts of a process share.
pub type SharedStore = Arc<dyn VerdictStore>;
/// Leases that several parts of a process share.
pub type SharedLeases = Arc<dyn Leases>;
/// Notes that several parts of a process share.
pub type SharedNotes = Arc<dyn Notes>;

/// Histories that several parts of a process share.
pub type SharedHistory = Arc<dyn History>;
/// Known digests that several parts of a process share.
pub type SharedKnown = Arc<dyn Known>;
/// Digests that wait for too long, shared by several parts of a process.
pub type SharedOverdue = Arc<dyn Overdue>;
/// What layers contain, shared by several parts of a process.
pub type SharedLayers = Arc<dyn Layers>;

/// An opened store, by the ways in which it is used.
#[derive(Clone)]
pub struct Opened {
    /// Reports and verdicts.
    pub verdicts: SharedStore,
    /// Who scans what.
    pub leases: SharedLeases,
    /// Small facts that processes share.
    pub notes: SharedNotes,
    /// What became of verdicts.
    pub history: SharedHistory,
    /// Every digest that has a report.
    pub known: SharedKnown,
    /// Digests that wait for too long.
    pub overdue: SharedOverdue,
    /// What layers contain.
    pub layers: SharedLayers,
}

impl Opened {
    fn new<S: VerdictStore + Leases + Notes + History + Known + Overdue + Layers + 'static>(
        store: S,
    ) -> Self {
        let store = Arc::new(store);
        Self {
            verdicts: store.clone(),
            leases: store.clone(),
            notes: store.clone(),
            history: store.clone(),
            known: store.clone(),
            overdue: store.clone(),
            layers: store,
        }
    }
}

/// Opens the store that the configuration names.
pub async fn open(config: &StoreConfig) -> Result<Opened, StoreError> {
    Ok(match config {
        StoreConfig::Redis(config) => Opened::new(redis::RedisStore::connect(config.clone()).await?),
        StoreConfig::Embedded { file } => {
            make_folder(file)?;
            Opened::new(embedded::EmbeddedStore::open(file)?)
        }
    })
}

/// Refuses a note that is larger than notes may be.
fn check_note(value: &[u8], place: &str) -> Result<(), StoreError> {
    if value.len() <= NoteName::LARGEST_VALUE {
        return Ok(());
    }
    Err(StoreError::TooLarge {
        place: place.to_owned(),
        reason: format!("a note of {} bytes; at most {} are kept", value.len(), NoteName::LARGEST_VALUE),
    })
}

/// Refuses what is more than may be kept about a layer.
fn check_layer(bytes: &[u8], place: &str) -> Result<(), StoreError> {
    if bytes.len() <= LARGEST_LAYER {
        return Ok(());
    }
    Err(StoreError::TooLarge {
        place: place.to_owned(),
        reason: format!("{} bytes about one layer; at most {LARGEST_LAYER} are kept", bytes.len()),
    })
}

fn make_folder(file: &Path) -> Result<(), StoreError> {
    let made = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.map_err(|source| StoreError::Unavailable {
        place: file.display().to_string(),
        source: source.into(),
    })
}
