//! Reports in Redis: a head each, and parts that live at least as long as every head that needs them.
//!
//! Parts are in slots of their own, so no script touches them together with the head. They are written, or their time
//! is renewed, before the head is; and reading a head renews both. A report that lacks a part counts as forgotten.

use std::io;
use std::time::Duration;

use futures_util::future::try_join_all;
use metrics::counter;
use redis::{Cmd, FromRedisValue};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{block_in_place, spawn_blocking};

use super::{RedisStore, millis};
use crate::model::digest::Digest;
use crate::model::report::Report;
use crate::store::StoreError;
use crate::store::record::RecordError;
use crate::store::record::report::{Cut, Head, Part, cut_report};
use crate::telemetry::Throttle;

/// How much longer than a head its parts live: longer than anything takes that is done to both.
const MARGIN: Duration = Duration::from_secs(3600);

impl RedisStore {
    /// See [`VerdictStore::report`](crate::store::VerdictStore::report).
    pub(super) async fn fetch(&self, digest: &Digest) -> Result<Option<Report>, StoreError> {
        let mut read = redis::cmd("GETEX");
        read.arg(self.keys.report(digest)).arg("PX").arg(millis(self.config.report_ttl));
        let read = &read;
        let bytes: Option<Vec<u8>> =
            self.bulk.run(|mut connection| async move { read.query_async(&mut connection).await }).await?;
        let Some(bytes) = bytes else { return Ok(None) };
        let whose = digest.clone();
        let head = self.beside(move || Head::decode(&whose, &bytes)).await?;
        let head = head.map_err(|error| error.unreadable("report", digest))?;
        let names = head.parts();
        let Some(parts) = self.parts(&names).await? else {
            tell_of_gap(digest);
            return Ok(None);
        };
        match self.beside(move || head.join(parts)).await? {
            Ok(report) => Ok(Some(report)),
            Err(error) => {
                // Whoever scans again must not find that they are there already.
                self.forget_parts(&names).await?;
                Err(error.unreadable("report", digest))
            }
        }
    }

    /// A report cut, with every part stored already; what is left is its head.
    pub(super) async fn cut(&self, report: &Report) -> Result<Vec<u8>, StoreError> {
        let cut = here(|| cut_report(report));
        let Cut { head, parts } = cut.map_err(|error| self.too_large(&error))?;
        let held = self.renew(&parts).await?;
        let all = parts.len();
        let missing: Vec<Part> =
            parts.into_iter().zip(held).filter(|(_, is_held)| !is_held).map(|(part, _)| part).collect();
        count("known", all - missing.len());
        count("new", missing.len());
        self.add(missing).await?;
        Ok(head)
    }

    /// Lets parts live on; which of them are there.
    async fn renew(&self, parts: &[Part]) -> Result<Vec<bool>, StoreError> {
        let renewed = parts.iter().map(|part| {
            let mut renew = redis::cmd("PEXPIRE");
            renew.arg(self.keys.part(&part.name)).arg(self.part_ttl());
            renew
        });
        self.all(renewed.collect()).await
    }

    async fn add(&self, parts: Vec<Part>) -> Result<(), StoreError> {
        let compress = move || {
            let compressed = parts.into_iter().map(|part| Ok((part.compressed()?, part.name)));
            compressed.collect::<io::Result<Vec<_>>>()
        };
        let compressed = self.beside(compress).await?.map_err(RecordError::Compression);
        let compressed = compressed.map_err(|error| self.too_large(&error))?;
        let added = compressed.into_iter().map(|(bytes, name)| {
            let mut add = redis::cmd("SET");
            add.arg(self.keys.part(&name)).arg(bytes).arg("PX").arg(self.part_ttl());
            add
        });
        self.all::<()>(added.collect()).await.map(drop)
    }

    /// The parts as they are stored, in order; `None` if one of them is gone.
    async fn parts(&self, names: &[Digest]) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        let read = names.iter().map(|name| {
            let mut read = redis::cmd("GETEX");
            read.arg(self.keys.part(name)).arg("PX").arg(self.part_ttl());
            read
        });
        let parts: Vec<Option<Vec<u8>>> = self.all(read.collect()).await?;
        Ok(parts.into_iter().collect())
    }

    async fn forget_parts(&self, names: &[Digest]) -> Result<(), StoreError> {
        let forgotten = names.iter().map(|name| {
            let mut forget = redis::cmd("UNLINK");
            forget.arg(self.keys.part(name));
            forget
        });
        self.all::<()>(forgotten.collect()).await.map(drop)
    }

    /// Sends all at once, each to the server that has its slot; the answers in order.
    async fn all<T: FromRedisValue>(&self, commands: Vec<Cmd>) -> Result<Vec<T>, StoreError> {
        let sent = commands.iter().map(|command| {
            self.bulk.run(move |mut connection| async move { command.query_async(&mut connection).await })
        });
        try_join_all(sent).await
    }

    fn part_ttl(&self) -> u64 {
        millis(self.config.report_ttl.saturating_add(MARGIN))
    }

    /// Compressing and reading JSON take a while: not on a thread that others need.
    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        spawn_blocking(work).await.map_err(|error| self.died(error))
    }
}

/// Work that takes a while, on what is only borrowed: a copy of a report may be tens of megabytes. Where the runtime has
/// other threads, they take over what this one would have done.
fn here<T>(work: impl FnOnce() -> T) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(),
        _ => block_in_place(work),
    }
}

fn count(outcome: &'static str, parts: usize) {
    counter!("tidewaiter_report_parts_total", "outcome" => outcome).increment(parts as u64);
}

/// One part that is gone is missed by every image on its base: people are told once in a while.
fn tell_of_gap(digest: &Digest) {
    static GAPS: Throttle = Throttle::new();
    count("gone", 1);
    if let Some(others) = GAPS.pass() {
        tracing::warn!(image.digest = %digest, others, "part of a stored report is gone: it counts as forgotten");
    }
}
