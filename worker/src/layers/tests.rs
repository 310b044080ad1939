//! Several workers on one store: who reads a layer, and what happens when somebody does not finish.

use std::io::Cursor;
use std::num::NonZeroUsize;

use scanner::image::{Engine, analyze_layer};
use scanner::limits::Limits;
use shared::store::embedded::EmbeddedStore;
use shared::store::{Layers, Leases, StoreError};
use tempfile::TempDir;

use super::*;

/// An empty tar.
const TAR: [u8; 1024] = [0; 1024];

struct Workers {
    store: Arc<EmbeddedStore>,
    engine: Engine,
    layer: Descriptor,
    analysis: Arc<LayerAnalysis>,
    _folder: TempDir,
}

impl Workers {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(EmbeddedStore::open(&folder.path().join("store")).unwrap());
        let engine = Engine::new(Limits::default(), NonZeroUsize::MIN);
        let layer = Descriptor {
            media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
            digest: Digest::of(&TAR),
            size: TAR.len() as u64,
            annotations: Default::default(),
            artifact_type: None,
            platform: None,
        };
        let analysis = analyze_layer(Box::new(Cursor::new(TAR)), &layer, &engine).unwrap();
        Self { store, engine, layer, analysis: Arc::new(analysis), _folder: folder }
    }

    /// A worker of its own: another process as far as the shelf can tell.
    fn worker(&self) -> LayerShelf {
        LayerShelf::new(Arc::clone(&self.store) as _, Arc::clone(&self.store) as _)
    }

    async fn turn(&self, worker: &LayerShelf) -> Turn {
        worker.turn(&self.layer, &self.engine.revision()).await
    }

    async fn must_read(&self, worker: &LayerShelf) -> Box<dyn std::any::Any + Send> {
        match self.turn(worker).await {
            Turn::Yours(held) => held,
            Turn::Known(_) => panic!("nobody has read it"),
        }
    }

    /// Has `first` read the layer while `second` waits; gives how often it was read.
    async fn at_once(&self, first: &LayerShelf, second: &LayerShelf) -> usize {
        let held = self.must_read(first).await;
        let reading = async {
            sleep(Duration::from_millis(100)).await;
            first.save(Arc::clone(&self.analysis)).await;
            drop(held);
        };
        let ((), turn) = tokio::join!(reading, self.turn(second));
        match turn {
            Turn::Known(analysis) => {
                assert_eq!(*analysis, *self.analysis);
                1
            }
            Turn::Yours(_) => 2,
        }
    }
}

#[tokio::test]
async fn what_one_worker_has_read_every_worker_knows() {
    let workers = Workers::new();
    let (one, other) = (workers.worker(), workers.worker());
    let revision = workers.engine.revision();
    assert_eq!(one.load(&workers.layer.digest, &revision).await, None);
    one.save(Arc::clone(&workers.analysis)).await;
    let known = other.load(&workers.layer.digest, &revision).await;
    assert_eq!(known.as_ref(), Some(&workers.analysis));
    assert_eq!(other.load(&workers.layer.digest, &Revision::new("another")).await, None);
}

#[tokio::test]
async fn a_layer_that_two_meet_at_once_is_read_once() {
    let workers = Workers::new();
    let one = workers.worker();
    assert_eq!(workers.at_once(&one, &workers.worker()).await, 1, "two processes");
    let workers = Workers::new();
    let one = workers.worker();
    assert_eq!(workers.at_once(&one, &one).await, 1, "one process");
}

#[tokio::test]
async fn i3_whoever_waits_for_a_worker_that_never_finishes_reads_by_itself() {
    let workers = Workers::new();
    let (one, other) = (workers.worker(), workers.worker());
    let _never_given_back = workers.must_read(&one).await;
    let began = Instant::now();
    let (in_another, in_the_same) = tokio::join!(workers.must_read(&other), workers.must_read(&one));
    assert!(began.elapsed() < SHORTEST_PATIENCE * 5);
    drop((in_another, in_the_same));
}

#[tokio::test]
async fn a_turn_that_ended_without_a_result_goes_to_the_next_at_once() {
    let workers = Workers::new();
    let (one, other) = (workers.worker(), workers.worker());
    drop(workers.must_read(&one).await);
    let began = Instant::now();
    drop(workers.must_read(&other).await);
    drop(workers.must_read(&one).await);
    assert!(began.elapsed() < SHORTEST_PATIENCE);
}

#[tokio::test]
async fn i6_damaged_bytes_are_read_again_and_replaced() {
    let workers = Workers::new();
    let (worker, revision) = (workers.worker(), workers.engine.revision());
    workers.store.save_layer(&workers.layer.digest, &revision, b"\x01nonsense").await.unwrap();
    assert_eq!(worker.load(&workers.layer.digest, &revision).await, None);
    drop(workers.must_read(&worker).await);
    worker.save(Arc::clone(&workers.analysis)).await;
    assert!(worker.load(&workers.layer.digest, &revision).await.is_some());
}

#[tokio::test]
async fn what_a_worker_used_last_it_knows_without_the_store() {
    let workers = Workers::new();
    let (worker, other, revision) = (workers.worker(), workers.worker(), workers.engine.revision());
    worker.save(Arc::clone(&workers.analysis)).await;
    assert!(other.load(&workers.layer.digest, &revision).await.is_some());
    workers.store.save_layer(&workers.layer.digest, &revision, b"\x01nonsense").await.unwrap();
    for worker in [worker, other] {
        assert_eq!(worker.load(&workers.layer.digest, &revision).await.as_ref(), Some(&workers.analysis));
        assert_eq!(worker.load(&workers.layer.digest, &Revision::of(b"another")).await, None);
    }
    assert_eq!(workers.worker().load(&workers.layer.digest, &revision).await, None);
}

/// A store that is away.
struct Away;

fn away<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable { place: "nowhere".to_owned(), source: "away".into() })
}

#[async_trait]
impl Layers for Away {
    async fn load_layer(&self, _layer: &Digest, _revision: &Revision) -> Result<Option<Vec<u8>>, StoreError> {
        away()
    }

    async fn save_layer(&self, _: &Digest, _: &Revision, _bytes: &[u8]) -> Result<(), StoreError> {
        away()
    }
}

#[async_trait]
impl Leases for Away {
    async fn acquire(&self, _digest: &Digest, _ttl: Duration) -> Result<Acquired, StoreError> {
        away()
    }

    async fn renew(&self, _lease: &Lease, _ttl: Duration) -> Result<(), StoreError> {
        away()
    }

    async fn release(&self, _lease: Lease) -> Result<(), StoreError> {
        away()
    }
}

#[tokio::test]
async fn i13_without_a_store_every_layer_is_read() {
    let workers = Workers::new();
    let worker = LayerShelf::new(Arc::new(Away), Arc::new(Away));
    let began = Instant::now();
    assert_eq!(worker.load(&workers.layer.digest, &workers.engine.revision()).await, None);
    drop(workers.must_read(&worker).await);
    worker.save(Arc::clone(&workers.analysis)).await;
    assert!(began.elapsed() < SHORTEST_PATIENCE);
}
