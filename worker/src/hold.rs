//! Holding a lease while something long is done: renewed in time, and the work stops when it is lost.

use std::sync::Arc;
use std::time::Duration;

use shared::model::digest::Digest;
use shared::store::{Acquired, Lease, Leases, StoreError};

/// Does `work` under the lease of `digest`, and gives the lease back afterwards.
///
/// `None` if somebody else holds it, with the time until it runs out at the latest. The work is dropped
/// as soon as the lease is known to be lost: whoever holds it now does the same.
pub(crate) async fn under_lease<T, E, W>(
    leases: &Arc<dyn Leases>,
    digest: &Digest,
    ttl: Duration,
    work: impl FnOnce(Arc<Lease>) -> W,
) -> Result<Held<T>, E>
where
    W: Future<Output = Result<T, E>>,
    E: From<StoreError>,
{
    let lease = match leases.acquire(digest, ttl).await? {
        Acquired::Held(lease) => Arc::new(lease),
        Acquired::Busy { remaining } => {
            count("busy");
            return Ok(Held::Busy { remaining });
        }
    };
    count("held");
    let done = tokio::select! {
        done = work(Arc::clone(&lease)) => done,
        lost = keep(leases, &lease, ttl) => {
            count("lost");
            Err(lost.into())
        }
    };
    if let Some(lease) = Arc::into_inner(lease)
        && let Err(error) = leases.release(lease).await
    {
        // It runs out by itself.
        tracing::debug!(image.digest = %digest, error = %error, "lease not released");
    }
    done.map(Held::Done)
}

fn count(outcome: &'static str) {
    metrics::counter!("tidewaiter_leases_total", "outcome" => outcome).increment(1);
}

/// How it went.
pub(crate) enum Held<T> {
    /// The work was done.
    Done(T),
    /// Somebody else is at it.
    Busy {
        /// For at most this long, if they do not renew.
        remaining: Duration,
    },
}

/// Renews a lease for ever; returns only when it is lost. A store that is away for a moment loses nothing
/// while the lease still runs.
async fn keep(leases: &Arc<dyn Leases>, lease: &Lease, ttl: Duration) -> StoreError {
    let mut failures = 0_u32;
    loop {
        tokio::time::sleep(ttl / 3).await;
        match leases.renew(lease, ttl).await {
            Ok(()) => failures = 0,
            Err(lost @ StoreError::LeaseLost(_)) => return lost,
            Err(error) => {
                failures += 1;
                if failures >= 3 {
                    return error;
                }
            }
        }
    }
}
