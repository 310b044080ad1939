//! The one thread that writes the file: takes orders, carries out many of them in one commit, answers.
//!
//! Committing costs a sync of the disk whatever is in it, so everything that arrived meanwhile goes into
//! the next commit together. An answer is given after the commit, and never if it fails. Hand-outs are
//! part of the commit too: a process that is killed with a job in its hands finds it counted.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use redb::Database;
use tokio::sync::{mpsc, oneshot};

use super::super::turns::Turns;
use super::super::{DeadJob, DeadSelection, QueueError, QueueStatus, RetryRules, Settlement, meters};
use super::file;
use super::ledger::{Ledger, Number, Stored, Taken};
use super::record::Record;
use crate::model::job::{JobId, Lane};

/// Most orders that go into one commit.
const BATCH: usize = 1024;

/// The wait before the file is tried again after it failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Where an answer goes; dropped without one if the commit fails.
pub(super) type Answer<T> = oneshot::Sender<Result<T, QueueError>>;

/// One consumer.
pub(super) type TakerId = u64;

/// What the clerk is asked to do.
pub(super) enum Order {
    /// Keep a new record.
    Publish(Record, Answer<()>),
    /// Somebody will take jobs, at most so many unsettled at a time.
    Join(TakerId, u16, mpsc::UnboundedSender<Taken>),
    /// He wants one.
    Want(TakerId),
    /// He wants no more.
    Leave(TakerId, Answer<()>),
    /// What became of a job.
    Settle(Number, JobId, Settlement, Answer<()>),
    /// A job was dropped by whoever had it.
    TakeBack(Number),
    /// How full the queue is.
    Status(Answer<QueueStatus>),
    /// The oldest dead letters.
    Dead(usize, Answer<Vec<DeadJob>>),
    /// Dead letters back to their lanes.
    Requeue(DeadSelection, Answer<usize>),
    /// Dead letters away.
    Discard(DeadSelection, Answer<usize>),
    /// No more orders.
    Close,
}

/// What went wrong last, for whoever gets no answer.
pub(super) type Trouble = Arc<Mutex<Option<String>>>;

/// The thread's state.
pub(super) struct Clerk {
    path: PathBuf,
    rules: RetryRules,
    /// `None` after a failure, until it can be opened again.
    database: Option<Database>,
    takers: BTreeMap<TakerId, Taker>,
    last_served: TakerId,
    held: BTreeMap<Number, (TakerId, Lane)>,
    /// In nobody's hands any more, but the commit that was to say so failed: to be taken back.
    owed: Vec<Number>,
    /// Handed out to somebody who was gone: never in anybody's hands.
    missed: Vec<Number>,
    turns: Turns,
    trouble: Trouble,
}

struct Taker {
    prefetch: usize,
    unsettled: usize,
    wants: bool,
    out: mpsc::UnboundedSender<Taken>,
}

/// What is to be done once the commit has succeeded.
#[derive(Default)]
struct Afterwards {
    answers: Vec<Box<dyn FnOnce()>>,
    handed: Vec<(TakerId, Taken)>,
}

impl Clerk {
    /// A clerk for the file at `path`, already open.
    pub(super) fn new(path: PathBuf, rules: RetryRules, database: Database, trouble: Trouble) -> Self {
        Self {
            path,
            rules,
            database: Some(database),
            takers: BTreeMap::new(),
            last_served: 0,
            held: BTreeMap::new(),
            owed: Vec::new(),
            missed: Vec::new(),
            turns: Turns::default(),
            trouble,
        }
    }

    /// Works until told to close.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        let mut due = Some(Timestamp::now());
        loop {
            let waited = match due {
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => orders.recv_timeout(until(due)),
            };
            let mut batch = match waited {
                Ok(order) => vec![order],
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            batch.extend(orders.try_iter().take(BATCH));
            let closing = batch.iter().position(|order| matches!(order, Order::Close));
            batch.truncate(closing.unwrap_or(batch.len()));
            due = self.work(batch);
            if closing.is_some() {
                return;
            }
        }
    }

    /// Carries out the batch; returns when there is something to do next, if nobody asks before.
    fn work(&mut self, batch: Vec<Order>) -> Option<Timestamp> {
        let released: Vec<_> = batch.iter().filter_map(released).collect();
        for number in &released {
            self.release(*number);
        }
        match self.commit(batch) {
            Ok((afterwards, due)) => {
                self.owed.clear();
                self.missed.clear();
                self.finish(afterwards);
                let again = (!self.missed.is_empty()).then(Timestamp::now);
                again.or(due)
            }
            Err(error) => {
                tracing::error!(file = %self.path.display(), %error, "the queue's file failed");
                *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
                self.owed.extend(released);
                self.database = None;
                Some(Timestamp::now() + PAUSE)
            }
        }
    }

    /// One transaction: what is owed, the orders, what is due, and jobs for those who want one.
    fn commit(&mut self, batch: Vec<Order>) -> Result<(Afterwards, Option<Timestamp>), redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => {
                let database = file::open_database(&self.path)?;
                meters::recovered();
                database
            }
        };
        let now = Timestamp::now();
        let mut afterwards = Afterwards::default();
        let mut transaction = database.begin_write()?;
        // Recovery after a kill must not read the whole file.
        transaction.set_quick_repair(true);
        let rules = self.rules.clone();
        let mut ledger = Ledger::open(&transaction, &rules)?;
        for number in &self.owed {
            ledger.take_back(*number, now)?;
        }
        for number in &self.missed {
            ledger.settle(*number, &Settlement::HandBack, now)?;
        }
        for order in batch {
            self.carry_out(order, &mut ledger, now, &mut afterwards)?;
        }
        let due = ledger.wake(now)?;
        self.hand_out(&mut ledger, now, &mut afterwards)?;
        let changed = ledger.changed();
        drop(ledger);
        if changed {
            transaction.commit()?;
        } else {
            transaction.abort()?;
        }
        self.database = Some(database);
        Ok((afterwards, due))
    }

    fn carry_out(
        &mut self,
        order: Order,
        ledger: &mut Ledger<'_>,
        now: Timestamp,
        afterwards: &mut Afterwards,
    ) -> Stored<()> {
        match order {
            Order::Publish(record, answer) => {
                ledger.append(&record)?;
                afterwards.answer(answer, Ok(()));
            }
            Order::Join(taker, prefetch, out) => {
                let taker_of_jobs =
                    Taker { prefetch: prefetch.max(1).into(), unsettled: 0, wants: false, out };
                self.takers.insert(taker, taker_of_jobs);
            }
            Order::Want(taker) => {
                if let Some(taker) = self.takers.get_mut(&taker) {
                    taker.wants = true;
                }
            }
            Order::Leave(taker, answer) => {
                self.takers.remove(&taker);
                afterwards.answer(answer, Ok(()));
            }
            Order::Settle(number, job, settlement, answer) => {
                let settled = ledger.settle(number, &settlement, now)?;
                afterwards.answer(answer, if settled { Ok(()) } else { Err(QueueError::Stale(job)) });
            }
            Order::TakeBack(number) => ledger.take_back(number, now)?,
            Order::Status(answer) => {
                let count = |lane| self.held.values().filter(|(_, held)| *held == lane).count() as u64;
                let status = ledger.status(Lane::ALL.map(count), self.takers.len() as u64)?;
                afterwards.answer(answer, Ok(status));
            }
            Order::Dead(limit, answer) => afterwards.answer(answer, Ok(ledger.dead(limit)?)),
            Order::Requeue(which, answer) => afterwards.answer(answer, Ok(ledger.requeue(&which)?)),
            Order::Discard(which, answer) => afterwards.answer(answer, Ok(ledger.discard(&which)?)),
            // The loop ends before it.
            Order::Close => {}
        }
        Ok(())
    }

    /// One job for each taker who wants one and may have it, beginning behind whoever was served last.
    fn hand_out(
        &mut self,
        ledger: &mut Ledger<'_>,
        now: Timestamp,
        afterwards: &mut Afterwards,
    ) -> Stored<()> {
        let behind = self.takers.range((Bound::Excluded(self.last_served), Bound::Unbounded));
        for (id, taker) in behind.chain(self.takers.range(..=self.last_served)) {
            if !taker.wants || taker.unsettled >= taker.prefetch {
                continue;
            }
            let Some(taken) = ledger.take(self.turns.order(), now)? else {
                break;
            };
            self.turns.taken();
            afterwards.handed.push((*id, taken));
        }
        Ok(())
    }

    /// The commit stands: answer, and hand over.
    fn finish(&mut self, afterwards: Afterwards) {
        for answer in afterwards.answers {
            answer();
        }
        for (id, taken) in afterwards.handed {
            let (number, lane) = (taken.number, taken.job.lane);
            let Some(taker) = self.takers.get_mut(&id) else {
                self.missed.push(number);
                continue;
            };
            self.last_served = id;
            taker.wants = false;
            if taker.out.send(taken).is_err() {
                self.missed.push(number);
                continue;
            }
            taker.unsettled += 1;
            self.held.insert(number, (id, lane));
            meters::delivered(lane);
        }
    }

    fn release(&mut self, number: Number) {
        if let Some((taker, _)) = self.held.remove(&number)
            && let Some(taker) = self.takers.get_mut(&taker)
        {
            taker.unsettled = taker.unsettled.saturating_sub(1);
        }
    }
}

impl Afterwards {
    fn answer<T: 'static>(&mut self, to: Answer<T>, outcome: Result<T, QueueError>) {
        // Nobody may be waiting any longer.
        self.answers.push(Box::new(move || drop(to.send(outcome))));
    }
}

/// The job that is in nobody's hands after this order.
fn released(order: &Order) -> Option<Number> {
    match order {
        Order::Settle(number, ..) | Order::TakeBack(number) => Some(*number),
        Order::Publish(..)
        | Order::Join(..)
        | Order::Want(_)
        | Order::Leave(..)
        | Order::Status(_)
        | Order::Dead(..)
        | Order::Requeue(..)
        | Order::Discard(..)
        | Order::Close => None,
    }
}

/// How long to wait for `due`; not much longer than a clock that is set meanwhile may be trusted.
fn until(due: Timestamp) -> Duration {
    let wait = due.duration_since(Timestamp::now());
    Duration::try_from(wait).unwrap_or_default().min(Duration::from_secs(60))
}
