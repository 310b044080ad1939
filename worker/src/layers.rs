//! What layers contain, kept in the store: a layer is read once, whatever images have it and whoever scans them.
//!
//! The store is a cache (I13): without it every layer is read, and a worker that waits for another one to
//! read a layer waits no longer than it might take to read it itself. What a worker used last it has at hand, unpacked: most
//! images are further ones on a base that it has just seen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use metrics::counter;
use moka::sync::Cache;
use scanner::image::{LayerAnalysis, LayerCache, Turn};
use shared::model::digest::Digest;
use shared::model::document::Descriptor;
use shared::model::report::Revision;
use shared::store::{Acquired, Lease, SharedLayers, SharedLeases, StoreError};
use shared::telemetry::{Throttle, chain};
use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

/// Waiting for a small layer, and for the largest.
const SHORTEST_PATIENCE: Duration = Duration::from_secs(1);
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);
/// How much of a layer a slow worker reads in a second.
const BYTES_A_SECOND: u64 = 16 << 20;
/// Between two looks whether another process has finished; grows.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The memory that unpacked analyses may take, in bytes, by estimate.
const AT_HAND: u64 = 8 << 20;
/// How long they are at hand without the store being asked, which forgets what nobody asks for.
const AT_HAND_FOR: Duration = Duration::from_secs(10 * 60);
/// Unpacked, an analysis takes about so many times the bytes that it is stored in.
const UNPACKED: usize = 4;

/// Analyses of layers in the store.
pub struct LayerShelf {
    layers: SharedLayers,
    leases: SharedLeases,
    at_hand: Cache<(Digest, Revision), AtHand>,
    /// Layers that somebody of this process reads or waits for.
    here: Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

/// An analysis, unpacked.
#[derive(Clone)]
struct AtHand {
    analysis: Arc<LayerAnalysis>,
    /// As it is stored.
    bytes: usize,
}

/// The turn to read a layer, given back when it is dropped.
struct Held {
    lease: Option<Lease>,
    leases: SharedLeases,
    _here: OwnedMutexGuard<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Without a runtime the lease ends by itself.
        if let (Some(lease), Ok(runtime)) = (self.lease.take(), Handle::try_current()) {
            let leases = Arc::clone(&self.leases);
            runtime.spawn(async move {
                if let Err(error) = leases.release(lease).await {
                    tracing::debug!(error = chain(&error), "lease of a layer not given back");
                }
            });
        }
    }
}

impl LayerShelf {
    /// A shelf on a store.
    pub fn new(layers: SharedLayers, leases: SharedLeases) -> Self {
        let at_hand = Cache::builder()
            .max_capacity(AT_HAND)
            .weigher(|_, one: &AtHand| u32::try_from(one.bytes.saturating_mul(UNPACKED)).unwrap_or(u32::MAX))
            .time_to_live(AT_HAND_FOR)
            .build();
        Self { layers, leases, at_hand, here: Mutex::default() }
    }

    fn put_at_hand(&self, analysis: &Arc<LayerAnalysis>, bytes: usize) {
        let name = (analysis.layer.clone(), analysis.analyzer.clone());
        self.at_hand.insert(name, AtHand { analysis: Arc::clone(analysis), bytes });
    }

    /// What is kept about a layer and can be read.
    async fn find(&self, layer: &Digest, revision: &Revision) -> Option<Arc<LayerAnalysis>> {
        if let Some(AtHand { analysis, .. }) = self.at_hand.get(&(layer.clone(), revision.clone())) {
            return Some(analysis);
        }
        let bytes = match self.layers.load_layer(layer, revision).await {
            Ok(bytes) => bytes?,
            Err(error) => {
                not_shared(layer, &error, "not looked up");
                return None;
            }
        };
        let length = bytes.len();
        let analysis = spawn_blocking(move || LayerAnalysis::decode(&bytes)).await.ok().flatten();
        let analysis = analysis.filter(|analysis| analysis.layer == *layer && analysis.analyzer == *revision);
        let Some(analysis) = analysis.map(Arc::new) else {
            tracing::warn!(layer.digest = %layer, "stored layer passed over");
            return None;
        };
        self.put_at_hand(&analysis, length);
        Some(analysis)
    }

    fn lock_of(&self, name: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = here.get(name).and_then(Weak::upgrade) {
            return lock;
        }
        here.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        here.insert(name.clone(), Arc::downgrade(&lock));
        lock
    }
}

/// A store that is away costs each layer of each image some of what it is for, and people are told once in a while.
fn not_shared(layer: &Digest, error: &StoreError, what: &'static str) {
    static AWAY: Throttle = Throttle::new();
    if let Some(others) = AWAY.pass() {
        tracing::warn!(layer.digest = %layer, what, others, error = chain(error), "layer not shared with other workers");
    }
}

#[async_trait]
impl LayerCache for LayerShelf {
    async fn load(&self, layer: &Digest, revision: &Revision) -> Option<Arc<LayerAnalysis>> {
        let analysis = self.find(layer, revision).await;
        let outcome = if analysis.is_some() { "known" } else { "unknown" };
        counter!("tidewaiter_layer_lookups_total", "outcome" => outcome).increment(1);
        analysis
    }

    async fn save(&self, analysis: Arc<LayerAnalysis>) {
        let written = Arc::clone(&analysis);
        let bytes = match spawn_blocking(move || written.encode()).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => {
                tracing::warn!(layer.digest = %analysis.layer, %error, "layer cannot be written");
                return;
            }
            Err(error) => {
                tracing::warn!(layer.digest = %analysis.layer, %error, "layer cannot be written");
                return;
            }
        };
        self.put_at_hand(&analysis, bytes.len());
        if let Err(error) = self.layers.save_layer(&analysis.layer, &analysis.analyzer, &bytes).await {
            not_shared(&analysis.layer, &error, "not stored");
        }
    }

    async fn turn(&self, layer: &Descriptor, revision: &Revision) -> Turn {
        let patience = patience(layer.size);
        let until = Instant::now() + patience;
        let name = name(&layer.digest, revision);
        let Ok(here) = timeout_at(until, self.lock_of(&name).lock_owned()).await else {
            return Turn::Yours(Box::new(()));
        };
        let mut held = Held { lease: None, leases: Arc::clone(&self.leases), _here: here };
        let mut pause = FIRST_PAUSE;
        loop {
            let acquired = match self.leases.acquire(&name, patience).await {
                Ok(acquired) => acquired,
                Err(error) => {
                    not_shared(&layer.digest, &error, "read without a lease");
                    return Turn::Yours(Box::new(held));
                }
            };
            let is_ours = match acquired {
                Acquired::Held(lease) => {
                    held.lease = Some(lease);
                    true
                }
                Acquired::Busy { remaining } => {
                    sleep(pause.min(remaining).max(FIRST_PAUSE)).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                    false
                }
            };
            // Also once it is ours: whoever had it before may have finished in between.
            if let Some(analysis) = self.find(&layer.digest, revision).await {
                return Turn::Known(analysis);
            }
            if is_ours || Instant::now() >= until {
                return Turn::Yours(Box::new(held));
            }
        }
    }
}

/// How long it is worth to wait for somebody who reads so many bytes.
fn patience(bytes: u64) -> Duration {
    (SHORTEST_PATIENCE + Duration::from_secs(bytes / BYTES_A_SECOND)).min(LONGEST_PATIENCE)
}

/// Under which name a layer is leased; no image has it, whatever bytes somebody pushes as a manifest.
fn name(layer: &Digest, revision: &Revision) -> Digest {
    Digest::of(format!("layer {layer} {revision}").as_bytes())
}

#[cfg(test)]
mod tests;
