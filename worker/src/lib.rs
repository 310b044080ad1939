//! The worker: takes jobs, has them scanned, stores what was found, and settles the job last (I2).
//!
//! Reading order: [`consume`] (take, bound, settle, stop), [`job`] (what a job asks for), [`judge`] (one
//! digest from nothing to stored verdicts), [`attest`] (proof that travels, and back), [`hold`] (the lease that keeps two workers from one digest).
//! A worker keeps nothing: as many as you like, anywhere.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use scanner::advisories::Database;
use scanner::image::Engine;
use shared::policy::PolicySet;
use shared::queue::{JobQueue, QueueError};
use shared::registry::RegistryClient;
use shared::store::{Leases, VerdictStore};
use tokio_util::sync::CancellationToken;

mod attest;
mod consume;
mod hold;
mod job;
mod judge;
mod signatures;

pub use attest::{Attestations, Press};

/// Everything that a worker is made of.
pub struct Parts {
    /// Where jobs wait.
    pub queue: Arc<dyn JobQueue>,
    /// Where verdicts go.
    pub store: Arc<dyn VerdictStore>,
    /// Who scans what.
    pub leases: Arc<dyn Leases>,
    /// Where images come from.
    pub registries: RegistryClient,
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
    /// Whether verdicts are signed and attached, and whose attestations are believed.
    pub attest: Attestations,
}

/// Works until `shutdown`; then finishes what it has begun within the grace period, hands back the rest
/// and returns.
pub async fn run(parts: Parts, shutdown: CancellationToken) -> Result<(), QueueError> {
    consume::consume(parts, shutdown).await
}
