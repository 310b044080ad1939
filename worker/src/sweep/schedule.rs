//! Sweeps that nobody has to ask for: each worker looks now and then whether one is due, and of all of them
//! exactly one begins it.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use shared::config::RegistrySettings;
use shared::sweeps::Begun;
use shared::telemetry::chain;
use tokio_util::sync::CancellationToken;

use super::Sweeping;

/// How often a worker looks, at the latest.
const LOOK: Duration = Duration::from_secs(60);

/// Looks after every registry's schedule until `shutdown`. A registry that was never swept is due at once.
pub(crate) async fn begin_when_due(sweeping: Sweeping, shutdown: CancellationToken) {
    let scheduled = sweeping.registries.iter().filter_map(|registry| {
        let every = registry.sweep.every?;
        Some(keep_swept(&sweeping, registry, every))
    });
    tokio::select! {
        _ = join_all(scheduled.collect::<Vec<_>>()) => shutdown.cancelled().await,
        () = shutdown.cancelled() => {}
    }
}

async fn keep_swept(sweeping: &Sweeping, registry: &RegistrySettings, every: Duration) {
    let look = LOOK.min(every / 4);
    let host = &registry.client.host;
    // Workers that start together do not look together.
    tokio::time::sleep(look.mul_f64(random_fraction() / 2.0)).await;
    loop {
        match sweeping.sweeps.begin_if_due(host, every, Timestamp::now()).await {
            Ok(None) => {}
            Ok(Some(Begun::Now(progress) | Begun::Before(progress))) => {
                tracing::info!(sweep.id = %progress.id, registry = %host, "sweep is due");
            }
            Err(error) => tracing::warn!(registry = %host, error = %chain(&error), "sweep could not begin"),
        }
        tokio::time::sleep(look.mul_f64(0.5 + random_fraction() / 2.0)).await;
    }
}

/// Between 0 and 1. Without a source of randomness everybody looks at the same time, which is no failure.
fn random_fraction() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
