//! What all examinations of a process share: limits, the prebuilt matcher, memory, and places for layers.

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use shared::model::digest::Digest;
use shared::model::document::Descriptor;
use shared::model::report::Revision;
use tokio::sync::Semaphore;
use tokio::task;

use super::analysis::LayerAnalysis;
use super::capture::Pool;
use super::matcher::{Analyzers, Matcher};
use crate::analyzers;
use crate::limits::Limits;
use crate::malware::{Basis, Malware};
use crate::secrets::Secrets;

/// Windows of `--long` zstd streams: one of the largest at a time.
const WINDOW_BYTES: u64 = 128 << 20;

/// Examines images. Cheap to clone; clones share memory and places.
#[derive(Clone)]
pub struct Engine {
    pub(super) kit: Arc<Kit>,
    /// Layers that are read at the same time.
    pub(super) places: Arc<Semaphore>,
    /// Whose turn it is to hold a whole database and its log in memory.
    pub(super) joins: Arc<Semaphore>,
    pub(super) cache: Option<Arc<dyn LayerCache>>,
}

/// The part of an engine that a pass over a layer needs.
pub(super) struct Kit {
    pub(super) limits: Limits,
    pub(super) analyzers: Analyzers,
    pub(super) matcher: Matcher,
    pub(super) pool: Pool,
    pub(super) windows: Pool,
    /// Who searches every file for what gives access to something.
    pub(super) secrets: Arc<Secrets>,
    /// Who searches every file for malware.
    pub(super) malware: Malware,
    /// What findings rest on besides what is known of malware.
    basis: String,
    standing: RwLock<Standing>,
}

/// What findings rest on at a moment: an examination has one from its beginning to its end.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    /// The revision of all of it (I6).
    pub(super) revision: Revision,
    pub(super) lasting: Lasting,
}

/// Whether analyses of layers may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lasting {
    /// Under the revision.
    Kept,
    /// The same revision may find something else tomorrow.
    NotKept,
}

impl Standing {
    fn of(basis: &str, malware: &Malware) -> Self {
        if malware.is_nobody() {
            return Self { revision: Revision::of(basis.as_bytes()), lasting: Lasting::Kept };
        }
        let (known, lasting) = match malware.basis() {
            Basis::Stated(text) => (text, Lasting::Kept),
            Basis::Unstated(text) => (text, Lasting::NotKept),
        };
        Self { revision: Revision::of(format!("{basis}\n{known}").as_bytes()), lasting }
    }
}

/// Remembers analyses of layers, over images and processes.
///
/// Whatever it gives is used only if it names the layer and the revision that were asked for (I6). It may
/// forget anything at any time.
#[async_trait]
pub trait LayerCache: Send + Sync {
    /// What was remembered about a layer under a revision of the analyzers.
    async fn load(&self, layer: &Digest, revision: &Revision) -> Option<Arc<LayerAnalysis>>;

    /// Remembers an analysis; its bytes were verified (I5).
    async fn save(&self, analysis: Arc<LayerAnalysis>);

    /// Asked before an unknown layer is read. Waits for whoever reads the same layer just now, but not longer
    /// than reading it might take: whoever waits must not be worse off than without a cache.
    async fn turn(&self, layer: &Descriptor, revision: &Revision) -> Turn;
}

/// Whose turn it is to read a layer.
pub enum Turn {
    /// Nobody's: somebody has just read it.
    Known(Arc<LayerAnalysis>),
    /// Yours; others wait for as long as this is held.
    Yours(Box<dyn Any + Send>),
}

/// Hears how far an examination is.
pub trait Progress: Send + Sync {
    /// A layer's bytes begin to arrive.
    fn layer_started(&self, layer: &Descriptor);
    /// So many more bytes of it were read.
    fn layer_read(&self, layer: &Digest, bytes: u64);
    /// Nothing more will be heard of it: it was read, known already, or cannot be read.
    fn layer_done(&self, layer: &Digest);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn layer_started(&self, _layer: &Descriptor) {}
    fn layer_read(&self, _layer: &Digest, _bytes: u64) {}
    fn layer_done(&self, _layer: &Digest) {}
}

impl Engine {
    /// An engine with every analyzer that there is.
    pub fn new(limits: Limits, layers_in_parallel: NonZeroUsize) -> Self {
        Self::with_searches(limits, layers_in_parallel, Secrets::built_in(), Malware::default())
    }

    /// An engine that searches for secrets as a site wants it, and for malware.
    ///
    /// Asks whoever searches for malware what findings rest on, which blocks for some seconds at most.
    pub fn with_searches(
        limits: Limits,
        layers_in_parallel: NonZeroUsize,
        secrets: Arc<Secrets>,
        malware: Malware,
    ) -> Self {
        Self::assembled(limits, layers_in_parallel, analyzers::ALL, secrets, malware)
    }

    /// An engine with other analyzers than all.
    #[cfg(test)]
    pub(crate) fn with_analyzers(
        limits: Limits,
        layers_in_parallel: NonZeroUsize,
        analyzers: Analyzers,
    ) -> Self {
        Self::assembled(limits, layers_in_parallel, analyzers, Secrets::built_in(), Malware::default())
    }

    /// An engine with other analyzers than all, and somebody who searches for malware.
    #[cfg(test)]
    pub(crate) fn with_malware(
        limits: Limits,
        layers_in_parallel: NonZeroUsize,
        analyzers: Analyzers,
        malware: Malware,
    ) -> Self {
        Self::assembled(limits, layers_in_parallel, analyzers, Secrets::built_in(), malware)
    }

    fn assembled(
        limits: Limits,
        layers_in_parallel: NonZeroUsize,
        analyzers: Analyzers,
        secrets: Arc<Secrets>,
        malware: Malware,
    ) -> Self {
        let basis = analyzers::basis_of(analyzers, &secrets, &limits);
        let kit = Kit {
            analyzers,
            matcher: Matcher::new(analyzers),
            pool: Pool::new(limits.capture_bytes),
            windows: Pool::new(WINDOW_BYTES),
            standing: RwLock::new(Standing::of(&basis, &malware)),
            basis,
            malware,
            secrets,
            limits,
        };
        let places = layers_in_parallel.get().min(Semaphore::MAX_PERMITS);
        Self {
            kit: Arc::new(kit),
            places: Arc::new(Semaphore::new(places)),
            joins: Arc::new(Semaphore::new(1)),
            cache: None,
        }
    }

    /// The same engine, remembering layers.
    #[must_use]
    pub fn with_cache(mut self, cache: Arc<dyn LayerCache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// The budgets.
    pub fn limits(&self) -> &Limits {
        &self.kit.limits
    }

    /// The revision of everything that decides what is found, as far as was heard (I6).
    pub fn revision(&self) -> Revision {
        self.kit.standing().revision
    }

    /// Asks again what findings rest on: who searches for malware may know more than a moment ago.
    pub async fn look_again(&self) {
        if self.kit.malware.is_nobody() {
            return;
        }
        let kit = Arc::clone(&self.kit);
        let looking = task::spawn_blocking(move || {
            let standing = Standing::of(&kit.basis, &kit.malware);
            *kit.standing.write().unwrap_or_else(PoisonError::into_inner) = standing;
        });
        if let Err(error) = looking.await {
            tracing::error!(%error, "cannot ask what is known of malware");
        }
    }
}

impl Kit {
    /// What findings rest on now.
    pub(super) fn standing(&self) -> Standing {
        self.standing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
