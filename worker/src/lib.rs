//! The worker: takes jobs, has them scanned, stores what was found, and settles the job last (I2).
//!
//! Reading order: [`consume`] (take, bound, settle, stop), [`job`] (what a job asks for), [`judge`] (one
//! digest from nothing to stored verdicts), [`rejudge`] (all verdicts when policies or time changed), [`hold`]
//! (the lease that keeps two workers from one digest), [`layers`] (what is known of layers, and who reads one), [`notify`] (an endpoint is told of a changed verdict).
//! [`overdue`]: what waits for too long is queued again.
//! [`attest`]: proof that travels, and back. [`attachments`]: what others attach. [`sweep`]: what a registry has that nobody announced.
//! A worker keeps nothing: as many as you like, anywhere.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use scanner::advisories::Database;
use scanner::image::Engine;
use shared::announce::Announcer;
use shared::policy::PolicySet;
use shared::queue::{JobQueue, QueueError};
use shared::registry::{LentCredentials, RegistryClient};
use shared::store::{Known, Leases, Notes, Overdue, VerdictStore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

mod attachments;
mod attest;
mod bases;
mod consume;
mod hold;
mod job;
mod judge;
mod layers;
mod login;
mod notify;
mod overdue;
mod rejudge;
mod sweep;

pub use attest::{Attestations, Press};
pub use bases::Bases;
pub use layers::LayerShelf;
pub use notify::{EndpointError, Endpoints};
pub use sweep::Sweeping;

/// Everything that a worker is made of.
pub struct Parts {
    /// Where jobs wait.
    pub queue: Arc<dyn JobQueue>,
    /// Where verdicts go.
    pub store: Arc<dyn VerdictStore>,
    /// Who scans what.
    pub leases: Arc<dyn Leases>,
    /// What workers tell one another.
    pub notes: Arc<dyn Notes>,
    /// Which images others are built on.
    pub bases: Bases,
    /// Every digest that has a report.
    pub known: Arc<dyn Known>,
    /// Digests that wait for too long.
    pub overdue: Arc<dyn Overdue>,
    /// Who tells of changed verdicts.
    pub announcer: Arc<Announcer>,
    /// Who is told over HTTP.
    pub endpoints: Endpoints,
    /// Where images come from.
    pub registries: RegistryClient,
    /// Credentials that were lent for single images.
    pub lent: Option<LentCredentials>,
    /// What reads them.
    pub engine: Engine,
    /// What is known about packages; swapped while running.
    pub database: Arc<ArcSwap<Database>>,
    /// What is thought about them; swapped while running.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// Jobs at the same time.
    pub concurrency: NonZeroUsize,
    /// How long a lease lasts between renewals.
    pub lease: Duration,
    /// How long running jobs may go on after the shutdown began.
    pub grace: Duration,
    /// How often a job is tried before the queue buries it.
    pub attempts: u32,
    /// How long a digest waits for its first verdict before it is queued again.
    pub pending_ttl: Duration,
    /// How registries are compared with what is known.
    pub sweeping: Sweeping,
    /// Whether verdicts are signed and attached, and whose attestations are believed.
    pub attest: Attestations,
}

/// Works until `shutdown`; then finishes what it has begun within the grace period, hands back the rest
/// and returns.
pub async fn run(parts: Parts, shutdown: CancellationToken) -> Result<(), QueueError> {
    let watch = rejudge::PolicyWatch::of(&parts);
    let _watching = AbortOnDropHandle::new(tokio::spawn(watch.run()));
    let _reaping = AbortOnDropHandle::new(tokio::spawn(overdue::Reaper::of(&parts).run()));
    let sweeping = sweep::begin_when_due(parts.sweeping.clone(), shutdown.clone());
    let _sweeping = AbortOnDropHandle::new(tokio::spawn(sweeping));
    let newest = parts.database.load().as_of().as_duration().as_secs_f64();
    metrics::gauge!("tidewaiter_advisories_newest_timestamp_seconds").set(newest);
    consume::consume(parts, shutdown).await
}
