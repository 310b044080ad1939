//! The tables of the file, and every way in which a job moves between them.
//!
//! | table | key | holds |
//! |---|---|---|
//! | `urgent`, `push`, `background` | number | jobs that wait, lowest number first |
//! | `taken` | number | jobs in somebody's hands |
//! | `retrying` | due time in ms since 1970, number | jobs that wait for their next attempt |
//! | `dead` | number | dead letters, oldest first |
//! | `counts` | name | `format`: version of this layout; `next`: the next number |
//!
//! Numbers are big-endian `u64`. A job keeps its number, and so its place, while it is taken and handed
//! back. Everything here happens within one write transaction of the caller; nothing reads a clock.

use std::time::Duration;

use jiff::Timestamp;
use redb::{ReadableTable as _, ReadableTableMetadata as _, StorageError, Table, TableDefinition};

use super::super::dead_letter::{Death, never_settled, undecodable};
use super::super::{DeadJob, DeadSelection, LaneStatus, QueueStatus, RetryRules, Settlement, dice, meters};
use super::record::Record;
use crate::model::job::{Job, JobDecodeError, Lane};
use crate::telemetry::traces::TraceContext;

type Bytes = &'static [u8];

const LANES: [TableDefinition<Bytes, Bytes>; 3] =
    [TableDefinition::new("urgent"), TableDefinition::new("push"), TableDefinition::new("background")];
const TAKEN: TableDefinition<Bytes, Bytes> = TableDefinition::new("taken");
const RETRYING: TableDefinition<Bytes, Bytes> = TableDefinition::new("retrying");
const DEAD: TableDefinition<Bytes, Bytes> = TableDefinition::new("dead");
const COUNTS: TableDefinition<Bytes, u64> = TableDefinition::new("counts");

/// The version of the layout above.
pub(super) const FORMAT: u64 = 1;

/// The place of a job in the queue, and its identity within the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number(u64);

impl Number {
    fn key(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Reads the last eight bytes of a key.
    fn of_key(key: &[u8]) -> Self {
        let number = key.last_chunk().copied();
        Self(number.map_or(0, u64::from_be_bytes))
    }
}

/// A job on its way into somebody's hands.
pub(super) struct Taken {
    pub(super) number: Number,
    pub(super) attempt: u32,
    pub(super) postponed: u32,
    pub(super) last_error: Option<String>,
    pub(super) trace: Option<TraceContext>,
    pub(super) job: Job,
}

/// The open tables.
pub(super) struct Ledger<'txn> {
    lanes: [Table<'txn, Bytes, Bytes>; 3],
    taken: Table<'txn, Bytes, Bytes>,
    retrying: Table<'txn, Bytes, Bytes>,
    dead: Table<'txn, Bytes, Bytes>,
    counts: Table<'txn, Bytes, u64>,
    rules: &'txn RetryRules,
    changed: bool,
}

/// The outcome of an operation: the file can always fail.
pub(super) type Stored<T> = Result<T, StorageError>;

impl<'txn> Ledger<'txn> {
    /// Opens the tables, making those that are missing.
    pub(super) fn open(
        transaction: &'txn redb::WriteTransaction,
        rules: &'txn RetryRules,
    ) -> Result<Self, redb::TableError> {
        let [urgent, push, background] = LANES;
        Ok(Self {
            lanes: [
                transaction.open_table(urgent)?,
                transaction.open_table(push)?,
                transaction.open_table(background)?,
            ],
            taken: transaction.open_table(TAKEN)?,
            retrying: transaction.open_table(RETRYING)?,
            dead: transaction.open_table(DEAD)?,
            counts: transaction.open_table(COUNTS)?,
            rules,
            changed: false,
        })
    }

    /// Whether there is anything to commit.
    pub(super) fn changed(&self) -> bool {
        self.changed
    }

    /// The layout's version as found in the file, written there first if the file is new.
    pub(super) fn format(&mut self) -> Stored<u64> {
        let found = self.counts.get(b"format".as_slice())?.map(|found| found.value());
        match found {
            Some(format) => Ok(format),
            None => {
                self.counts.insert(b"format".as_slice(), FORMAT)?;
                self.changed = true;
                Ok(FORMAT)
            }
        }
    }

    /// A new record at the end of its lane.
    pub(super) fn append(&mut self, record: &Record) -> Stored<()> {
        let number = self.next_number()?;
        self.put(number, record)
    }

    /// Takes the first job of the first lane of `order` that has one.
    pub(super) fn take(&mut self, order: [Lane; 3], now: Timestamp) -> Stored<Option<Taken>> {
        for lane in order {
            while let Some((key, bytes)) = first(self.lane(lane))? {
                let number = Number::of_key(&key);
                self.lane(lane).remove(number.key().as_slice())?;
                self.changed = true;
                let Some(record) = Record::decode(&bytes) else {
                    self.bury_unreadable(number, lane, bytes, now)?;
                    continue;
                };
                match Job::from_json(&record.body) {
                    Ok(job) => {
                        self.taken.insert(number.key().as_slice(), bytes.as_slice())?;
                        let (attempt, postponed) = (record.attempt, record.deferrals);
                        let (trace, last_error) = (record.trace_context(), record.error);
                        return Ok(Some(Taken { number, attempt, postponed, last_error, trace, job }));
                    }
                    Err(error) => self.sort_out(number, record, &error, now)?,
                }
            }
        }
        Ok(None)
    }

    /// Carries out what somebody said about a job in his hands. Returns whether it was in anybody's.
    pub(super) fn settle(&mut self, number: Number, settlement: &Settlement, now: Timestamp) -> Stored<bool> {
        let Some(record) = self.untake(number, now)? else {
            return Ok(false);
        };
        match settlement {
            Settlement::Done => {}
            Settlement::HandBack => self.put(number, &record)?,
            Settlement::Bury { error } => self.bury(record, error, now)?,
            Settlement::Retry { error } => match self.rules.after(record.attempt) {
                Some(delay) => self.delay(number, &record.after_failure(error), now, delay)?,
                None => self.bury(record, error, now)?,
            },
            Settlement::Postpone { wait, error } => {
                match self.rules.postponed(record.deferrals, *wait, dice()) {
                    Some(again) => self.delay(number, &record.put_off(error), now, again.wait)?,
                    None => self.bury(record, error, now)?,
                }
            }
        }
        Ok(true)
    }

    /// Takes a job back from somebody who said nothing: an attempt like any other.
    pub(super) fn take_back(&mut self, number: Number, now: Timestamp) -> Stored<()> {
        let Some(record) = self.untake(number, now)? else {
            return Ok(());
        };
        if record.attempt >= self.rules.attempts {
            let error = never_settled(record.attempt);
            return self.bury(record, &error, now);
        }
        let attempt = record.attempt.saturating_add(1);
        self.put(number, &Record { attempt, ..record })
    }

    /// Takes back everything that was in somebody's hands when the last process ended; returns how many.
    pub(super) fn take_back_all(&mut self, now: Timestamp) -> Stored<usize> {
        let mut count = 0;
        while let Some((key, _)) = first(&self.taken)? {
            self.take_back(Number::of_key(&key), now)?;
            count += 1;
        }
        Ok(count)
    }

    /// Moves jobs whose time has come into their lanes; returns when the next one's comes.
    pub(super) fn wake(&mut self, now: Timestamp) -> Stored<Option<Timestamp>> {
        loop {
            let Some((key, bytes)) = first(&self.retrying)? else {
                return Ok(None);
            };
            let due = due_of(&key);
            if due > now {
                return Ok(Some(due));
            }
            self.retrying.remove(key.as_slice())?;
            self.changed = true;
            let number = Number::of_key(&key);
            match Record::decode(&bytes) {
                Some(record) => self.put(number, &record)?,
                None => self.bury_unreadable(number, Lane::Background, bytes, now)?,
            }
        }
    }

    /// How full the tables are; `consumers` is passed through.
    pub(super) fn status(&self, unsettled: [u64; 3], consumers: u64) -> Stored<QueueStatus> {
        let mut lanes = Vec::with_capacity(Lane::ALL.len());
        for (lane, (table, unsettled)) in Lane::ALL.into_iter().zip(self.lanes.iter().zip(unsettled)) {
            lanes.push(LaneStatus {
                lane,
                ready: table.len()?,
                unsettled: Some(unsettled),
                consumers: Some(consumers),
            });
        }
        Ok(QueueStatus { lanes, retrying: self.retrying.len()?, dead: self.dead.len()? })
    }

    /// The oldest dead letters.
    pub(super) fn dead(&self, limit: usize) -> Stored<Vec<DeadJob>> {
        let mut rows = Vec::new();
        for entry in self.dead.iter()?.take(limit) {
            let (_, value) = entry?;
            let record = Record::decode(value.value());
            let record =
                record.unwrap_or_else(|| Record::with_body(Lane::Background, value.value().to_vec()));
            let death = Death {
                lane: Some(record.lane),
                attempts: record.attempt,
                error: record.error.unwrap_or_default(),
                died_at: record.died_at,
            };
            rows.push(DeadJob::from_letter(&record.body, death));
        }
        Ok(rows)
    }

    /// Puts the selected dead letters that are jobs back at the end of their lanes.
    pub(super) fn requeue(&mut self, which: &DeadSelection) -> Stored<usize> {
        let mut done = 0;
        for (number, record) in self.selected(which)? {
            if let Ok(job) = Job::from_json(&record.body) {
                self.dead.remove(number.key().as_slice())?;
                self.append(&Record { trace: record.trace, ..Record::with_body(job.lane, record.body) })?;
                done += 1;
            }
        }
        Ok(done)
    }

    /// Forgets the selected dead letters.
    pub(super) fn discard(&mut self, which: &DeadSelection) -> Stored<usize> {
        let selected = self.selected(which)?;
        self.changed |= !selected.is_empty();
        for (number, _) in &selected {
            self.dead.remove(number.key().as_slice())?;
        }
        Ok(selected.len())
    }

    fn selected(&self, which: &DeadSelection) -> Stored<Vec<(Number, Record)>> {
        let mut selected = Vec::new();
        for entry in self.dead.iter()? {
            let (key, value) = entry?;
            let record = Record::decode(value.value());
            let record =
                record.unwrap_or_else(|| Record::with_body(Lane::Background, value.value().to_vec()));
            let is_selected = match which {
                DeadSelection::All => true,
                DeadSelection::One(id) => Job::from_json(&record.body).is_ok_and(|job| job.id == *id),
            };
            if is_selected {
                selected.push((Number::of_key(key.value()), record));
            }
        }
        Ok(selected)
    }

    /// Deals with a record whose body is not a job of this build.
    fn sort_out(
        &mut self,
        number: Number,
        record: Record,
        error: &JobDecodeError,
        now: Timestamp,
    ) -> Stored<()> {
        let tiers = &self.rules.tiers;
        let tier = (record.deferrals as usize).min(tiers.len().saturating_sub(1));
        match (error, tiers.get(tier)) {
            (JobDecodeError::Version(_) | JobDecodeError::Kind(_), Some(delay)) => {
                let deferrals = record.deferrals.saturating_add(1);
                self.delay(number, &Record { deferrals, ..record }, now, *delay)
            }
            (JobDecodeError::Version(_) | JobDecodeError::Kind(_) | JobDecodeError::Malformed(_), _) => {
                self.bury(record, &undecodable(error), now)
            }
        }
    }

    fn bury(&mut self, record: Record, error: &str, now: Timestamp) -> Stored<()> {
        tracing::info!(job.attempt = record.attempt, error, "job buried");
        // A new number: dead letters are in the order of their deaths.
        let number = self.next_number()?;
        let attempts = record.attempt;
        let dead = record.dead(attempts, error, now).encode();
        self.dead.insert(number.key().as_slice(), dead.as_slice())?;
        meters::buried();
        Ok(())
    }

    fn bury_unreadable(&mut self, number: Number, lane: Lane, bytes: Vec<u8>, now: Timestamp) -> Stored<()> {
        tracing::error!(number = number.0, "a record of the queue's file cannot be read");
        let record = Record::with_body(lane, bytes);
        self.bury(record, "the record in the queue's file cannot be read", now)
    }

    fn delay(&mut self, number: Number, record: &Record, now: Timestamp, delay: Duration) -> Stored<()> {
        let wait = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        // Rounded up, so that nothing comes before its time.
        let due = now.as_millisecond().saturating_add(wait).saturating_add(1);
        let mut key = [0; 16];
        key[..8].copy_from_slice(&u64::try_from(due).unwrap_or(0).to_be_bytes());
        key[8..].copy_from_slice(&number.key());
        self.retrying.insert(key.as_slice(), record.encode().as_slice())?;
        Ok(())
    }

    fn untake(&mut self, number: Number, now: Timestamp) -> Stored<Option<Record>> {
        let removed = self.taken.remove(number.key().as_slice())?;
        let Some(bytes) = removed.map(|bytes| bytes.value().to_vec()) else {
            return Ok(None);
        };
        self.changed = true;
        let record = Record::decode(&bytes);
        if record.is_none() {
            self.bury_unreadable(number, Lane::Background, bytes, now)?;
        }
        Ok(record)
    }

    fn put(&mut self, number: Number, record: &Record) -> Stored<()> {
        let bytes = record.encode();
        self.lane(record.lane).insert(number.key().as_slice(), bytes.as_slice())?;
        Ok(())
    }

    fn lane(&mut self, lane: Lane) -> &mut Table<'txn, Bytes, Bytes> {
        let [urgent, push, background] = &mut self.lanes;
        match lane {
            Lane::Urgent => urgent,
            Lane::Push => push,
            Lane::Background => background,
        }
    }

    fn next_number(&mut self) -> Stored<Number> {
        let next = self.counts.get(b"next".as_slice())?.map_or(0, |next| next.value());
        self.counts.insert(b"next".as_slice(), next.saturating_add(1))?;
        self.changed = true;
        Ok(Number(next))
    }
}

fn first(table: &Table<'_, Bytes, Bytes>) -> Stored<Option<(Vec<u8>, Vec<u8>)>> {
    let entry = table.first()?;
    Ok(entry.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
}

fn due_of(key: &[u8]) -> Timestamp {
    let due = key.first_chunk().copied().map_or(0, u64::from_be_bytes);
    let due = i64::try_from(due).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(due).unwrap_or(Timestamp::MAX)
}
