//! The contract on a file, and what only a file promises.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tempfile::TempDir;

use super::{EmbeddedQueue, Record};
use crate::model::job::Lane;
use crate::queue::contract::{self, Ground};
use crate::queue::{JobQueue as _, QueueError, RetryRules, Settlement, SharedQueue};

contract::promises!(Site::new());

/// A directory of its own.
struct Site {
    directory: TempDir,
}

impl Site {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("queue.redb")
    }

    fn queue(&self, rules: RetryRules) -> Result<EmbeddedQueue, QueueError> {
        EmbeddedQueue::open(&self.file(), rules)
    }

    /// The file as a kill at this moment would leave it.
    fn after_a_kill(&self) -> Self {
        let other = Self::new();
        std::fs::copy(self.file(), other.file()).unwrap();
        other
    }
}

#[async_trait]
impl Ground for Site {
    async fn open(&self, rules: RetryRules) -> SharedQueue {
        Arc::new(self.queue(rules).unwrap())
    }

    async fn inject(&self, lane: Lane, body: Vec<u8>) {
        let queue = self.queue(contract::quick(3)).unwrap();
        queue.inject(Record::with_body(lane, body)).await;
    }

    async fn clear(&self) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_what_was_published_survives_a_kill() {
    let site = Site::new();
    let queue = site.queue(contract::quick(3)).unwrap();
    let job = contract::job(Lane::Push);
    queue.publish(&job).await.unwrap();
    let killed = site.after_a_kill().open(contract::quick(3)).await;
    let mut consumer = killed.consume(1).await.unwrap();
    let delivery = contract::next(&mut consumer).await;
    assert_eq!((delivery.job.clone(), delivery.attempt), (job, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_a_job_that_kills_its_process_is_counted_and_ends_dead() {
    let job = contract::job(Lane::Urgent);
    let mut site = Site::new();
    let queue = site.open(contract::quick(2)).await;
    queue.publish(&job).await.unwrap();
    drop(queue);
    for attempt in 1..=2 {
        let queue = site.open(contract::quick(2)).await;
        let mut consumer = queue.consume(1).await.unwrap();
        let delivery = contract::next(&mut consumer).await;
        assert_eq!(delivery.attempt, attempt);
        let killed = site.after_a_kill();
        drop((delivery, consumer, queue));
        site = killed;
    }
    let queue = site.open(contract::quick(2)).await;
    let dead = contract::dead_letters(&queue, 1).await.remove(0);
    assert_eq!((dead.id, dead.attempts), (Some(job.id), 2));
    assert!(dead.error.contains("may have killed its worker"), "{}", dead.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_opener_is_told_what_to_do() {
    let site = Site::new();
    let _first = site.queue(contract::quick(3)).unwrap();
    let Err(QueueError::Unusable { place, reason }) = site.queue(contract::quick(3)) else {
        panic!("two processes must not share a file");
    };
    assert_eq!(place, site.file().display().to_string());
    assert!(reason.contains("another process has it open"), "{reason}");
    assert!(reason.contains("RabbitMQ"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_queue_is_named_and_left_alone() {
    let site = Site::new();
    std::fs::write(site.file(), b"precious notes").unwrap();
    let Err(error) = site.queue(contract::quick(3)) else {
        panic!("notes are no queue");
    };
    assert!(error.to_string().contains("queue.redb"), "{error}");
    assert_eq!(std::fs::read(site.file()).unwrap(), b"precious notes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_newer_format_is_refused() {
    let site = Site::new();
    drop(site.queue(contract::quick(3)).unwrap());
    let database = redb::Database::open(site.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let counts = redb::TableDefinition::<&[u8], u64>::new("counts");
        let mut counts = transaction.open_table(counts).unwrap();
        counts.insert(b"format".as_slice(), 2).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let Err(QueueError::Unusable { reason, .. }) = site.queue(contract::quick(3)) else {
        panic!("format 2 is unknown");
    };
    assert!(reason.contains("format 2"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_consumers_and_refuses_what_comes_after() {
    let site = Site::new();
    let queue = site.open(contract::quick(3)).await;
    let job = contract::job(Lane::Push);
    queue.publish(&job).await.unwrap();
    let mut consumer = queue.consume(2).await.unwrap();
    let held = contract::next(&mut consumer).await;
    drop(queue);
    assert!(consumer.next().await.is_none());
    let late = held.settle(Settlement::Done).await;
    assert!(matches!(late, Err(QueueError::Unavailable { .. })), "{late:?}");
    let queue = site.open(contract::quick(3)).await;
    let mut consumer = queue.consume(1).await.unwrap();
    let again = contract::next(&mut consumer).await;
    assert_eq!((&again.job, again.attempt), (&job, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_fall_due_over_a_restart() {
    let site = Site::new();
    let queue = site.open(contract::quick(3)).await;
    queue.publish(&contract::job(Lane::Push)).await.unwrap();
    let mut consumer = queue.consume(1).await.unwrap();
    let retry = Settlement::Retry { error: "later".to_owned() };
    contract::next(&mut consumer).await.settle(retry).await.unwrap();
    drop((consumer, queue));
    let queue = site.open(contract::quick(3)).await;
    let mut consumer = queue.consume(1).await.unwrap();
    assert_eq!(contract::next(&mut consumer).await.attempt, 2);
}
