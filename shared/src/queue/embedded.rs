//! The queue in one file, for one process.
//!
//! A redb database (pure Rust, one file, exclusive lock), written by one thread. `ledger` is what the file
//! holds and how jobs move in it, `clerk` the thread, `record` one job's bytes, `file` the opening.
//! Everything that was answered is on disk and survives a kill; jobs that were in somebody's hands come
//! back when the file is opened again, counted as an attempt.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::{
    Consumer, DeadJob, DeadSelection, Delivery, JobQueue, QueueError, QueueStatus, Receipt, RetryRules,
    Settlement, meters,
};
use crate::model::job::{Job, Lane};
use crate::telemetry::traces::{self, Origin, Place};
use clerk::{Answer, Clerk, Order, TakerId, Trouble};
use ledger::{Number, Taken};
use record::Record;

mod clerk;
mod file;
mod ledger;
pub(crate) mod record;

#[cfg(test)]
mod tests;

/// Jobs in a file.
///
/// A publish waits for the disk, which has no deadline of its own.
///
/// Dropping it closes the file, and waits for that: at most for one commit. Its consumers end; deliveries
/// that are still in somebody's hands can no longer be settled, and come back when the file is opened
/// again.
pub struct EmbeddedQueue {
    desk: Arc<Desk>,
    clerk: Option<JoinHandle<()>>,
}

/// Where orders are handed in.
struct Desk {
    orders: Sender<Order>,
    path: PathBuf,
    trouble: Trouble,
    takers: AtomicU64,
}

impl EmbeddedQueue {
    /// Opens the queue in the file at `path`, or makes it; its directory must exist.
    ///
    /// Fails when another process has it open, when it is not a queue of this format, or when it cannot
    /// be read or written.
    pub fn open(path: &Path, retry: RetryRules) -> Result<Self, QueueError> {
        let unavailable = |source: std::io::Error| QueueError::Unavailable {
            place: path.display().to_string(),
            source: source.into(),
        };
        let database = file::open_queue(path, &retry)?;
        let (orders, incoming) = std::sync::mpsc::channel();
        let trouble = Trouble::default();
        let clerk = Clerk::new(path.to_owned(), retry, database, trouble.clone());
        let clerk = std::thread::Builder::new()
            .name("queue".to_owned())
            .spawn(move || clerk.run(&incoming))
            .map_err(unavailable)?;
        Ok(Self {
            desk: Arc::new(Desk { orders, path: path.to_owned(), trouble, takers: AtomicU64::new(1) }),
            clerk: Some(clerk),
        })
    }

    /// Keeps something that is no job of this build.
    #[cfg(test)]
    async fn inject(&self, record: Record) {
        let kept = self.desk.ask(|answer| Order::Publish(record, answer)).await;
        kept.expect("the file can be written");
    }
}

impl Drop for EmbeddedQueue {
    fn drop(&mut self) {
        self.desk.order(Order::Close);
        if let Some(clerk) = self.clerk.take()
            && clerk.join().is_err()
        {
            tracing::error!("the thread that writes the queue's file failed");
        }
    }
}

impl Desk {
    /// Hands in an order that nobody waits for.
    fn order(&self, order: Order) {
        // After the close there is nobody to take it, and nothing that it could change.
        let _ = self.orders.send(order);
    }

    /// Hands in an order and waits for the answer.
    async fn ask<T>(&self, order: impl FnOnce(Answer<T>) -> Order) -> Result<T, QueueError> {
        let (answer, answered) = oneshot::channel();
        self.order(order(answer));
        answered.await.unwrap_or_else(|_| Err(self.no_answer()))
    }

    fn no_answer(&self) -> QueueError {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let reason = trouble.clone().unwrap_or_else(|| "it was closed".to_owned());
        QueueError::Unavailable { place: self.path.display().to_string(), source: reason.into() }
    }
}

#[async_trait]
impl JobQueue for EmbeddedQueue {
    async fn publish(&self, job: &Job) -> Result<(), QueueError> {
        let begun = Instant::now();
        let span = traces::publish(job, || place_of(job.lane));
        let record = Record::new(job, span.context().as_ref());
        let outcome = self.desk.ask(|answer| Order::Publish(record, answer)).await;
        span.outcome(&outcome, "not_queued");
        meters::published(job.lane, begun.elapsed(), &outcome);
        outcome
    }

    async fn consume(&self, prefetch: u16) -> Result<Box<dyn Consumer>, QueueError> {
        let taker = self.desk.takers.fetch_add(1, Ordering::Relaxed);
        let (out, jobs) = mpsc::unbounded_channel();
        self.desk.order(Order::Join(taker, prefetch, out));
        Ok(Box::new(EmbeddedConsumer { desk: self.desk.clone(), taker, jobs, wait: Wait::Idle }))
    }

    async fn status(&self) -> Result<QueueStatus, QueueError> {
        self.desk.ask(Order::Status).await
    }

    async fn dead(&self, limit: usize) -> Result<Vec<DeadJob>, QueueError> {
        self.desk.ask(|answer| Order::Dead(limit, answer)).await
    }

    async fn requeue(&self, which: DeadSelection) -> Result<usize, QueueError> {
        self.desk.ask(|answer| Order::Requeue(which, answer)).await
    }

    async fn discard(&self, which: DeadSelection) -> Result<usize, QueueError> {
        self.desk.ask(|answer| Order::Discard(which, answer)).await
    }

    async fn ping(&self) -> Result<(), QueueError> {
        self.status().await.map(|_| ())
    }
}

/// One taker of jobs. The clerk hands out one job for each time that it is asked, so that an abandoned
/// wait costs at most one job, which waits here for the next.
struct EmbeddedConsumer {
    desk: Arc<Desk>,
    taker: TakerId,
    jobs: mpsc::UnboundedReceiver<Taken>,
    wait: Wait,
}

/// Where a consumer is with asking for its next job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Idle,
    Asked,
    Stopped,
}

impl EmbeddedConsumer {
    fn delivery(&self, taken: Taken) -> Delivery {
        let receipt = FileReceipt { desk: self.desk.clone(), number: Some(taken.number) };
        let origin = Origin { place: place_of(taken.job.lane), trace: taken.trace };
        Delivery::new(taken.job, taken.attempt, taken.postponed, taken.last_error, origin, Box::new(receipt))
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn next(&mut self) -> Option<Delivery> {
        match self.wait {
            Wait::Idle => self.desk.order(Order::Want(self.taker)),
            Wait::Asked => {}
            Wait::Stopped => return None,
        }
        self.wait = Wait::Asked;
        let taken = self.jobs.recv().await?;
        self.wait = Wait::Idle;
        Some(self.delivery(taken))
    }

    async fn stop(&mut self) {
        self.wait = Wait::Stopped;
        // Without an answer the file is closed or failing, and hands out nothing either.
        let _ = self.desk.ask(|answer| Order::Leave(self.taker, answer)).await;
        while let Ok(taken) = self.jobs.try_recv() {
            let job = taken.job.id;
            if let Err(error) = self.delivery(taken).settle(Settlement::HandBack).await {
                tracing::warn!(job.id = %job, %error, "prefetched job not handed back; it comes again");
            }
        }
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        let nobody = || oneshot::channel().0;
        self.desk.order(Order::Leave(self.taker, nobody()));
        self.jobs.close();
        while let Ok(taken) = self.jobs.try_recv() {
            let back = Order::Settle(taken.number, taken.job.id, Settlement::HandBack, nobody());
            self.desk.order(back);
        }
    }
}

/// How traces name a lane.
fn place_of(lane: Lane) -> Place {
    Place { system: "tidewaiter", destination: lane.name().to_owned() }
}

/// The file's half of a delivery.
struct FileReceipt {
    desk: Arc<Desk>,
    /// `None` once settled.
    number: Option<Number>,
}

#[async_trait]
impl Receipt for FileReceipt {
    async fn settle(
        mut self: Box<Self>,
        job: &Job,
        _attempt: u32,
        settlement: Settlement,
    ) -> Result<(), QueueError> {
        let number = self.number.take().expect("a receipt is settled once");
        let said = settlement.clone();
        let outcome = self.desk.ask(|answer| Order::Settle(number, job.id, said, answer)).await;
        match &outcome {
            Ok(()) => meters::settled(&settlement),
            Err(QueueError::Stale(_)) => meters::stale(),
            Err(_) => {}
        }
        outcome
    }
}

impl Drop for FileReceipt {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            meters::dropped();
            self.desk.order(Order::TakeBack(number));
        }
    }
}
