//! The store for many processes: Redis as a single server, behind sentinels, or as a cluster.
//!
//! `keys` names what is kept, `scripts` changes it in single steps, `storing` is the one that matters most, `line` is a connection that mends
//! itself, `news` hears of what others store. Commands: redis.io/commands, those of version 6.2.
//!
//! Two lines: answers to gates never queue behind a report of some megabytes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::try_join;
use redis::{RedisResult, ScriptInvocation};
use tokio_util::task::AbortOnDropHandle;

use super::measure::Backend;
use super::record::{self, MOST_SIGHTINGS};
use super::watchers::Watchers;
use super::{Lease, Sighting, StoreError, VerdictStore, Watch};
use crate::model::digest::Digest;
use crate::model::report::Report;
use crate::model::verdict::{Lookup, Pending, PolicyName, Verdict};

mod config;
mod dialer;
mod history;
mod keys;
mod known;
mod layers;
mod leases;
mod line;
mod lookup;
mod news;
mod notes;
mod overdue;
mod reports;
mod scripts;
mod storing;

#[cfg(test)]
mod tests;

pub use config::{RedisConfig, Topology};

use dialer::{Connection, Dialer};
use keys::Keys;
use line::Line;
use scripts::{Scripts, call};

/// How long what a readiness probe writes is kept.
const PROBE_TTL: Duration = Duration::from_secs(60);
/// A readiness probe must know soon.
const PING_LIMIT: Duration = Duration::from_secs(1);

/// Reports, verdicts and leases in Redis.
///
/// Lives on the runtime on which it was made; may be used from any. Survives restarts, failovers and
/// broken connections by itself. While Redis is away every operation fails with
/// [`StoreError::Unavailable`] within [`RedisConfig::timeout`].
///
/// Verdicts with their history, reports and sightings expire some time after they were last used (see [`RedisConfig`]). Times
/// of sightings are kept to the microsecond.
pub struct RedisStore {
    config: RedisConfig,
    keys: Keys,
    scripts: Arc<Scripts>,
    /// For what gates and workers wait for.
    quick: Line,
    /// For reports.
    bulk: Line,
    watchers: Arc<Watchers>,
    _listener: AbortOnDropHandle<()>,
}

impl RedisStore {
    /// Checks the configuration and that the server answers.
    ///
    /// [`StoreError::Unusable`] if the configuration cannot work, [`StoreError::Unavailable`] if nobody
    /// answers within the timeout; then it may be tried again.
    pub async fn connect(config: RedisConfig) -> Result<Self, StoreError> {
        let place = config.place();
        let dialer = || {
            Dialer::new(&config)
                .map_err(|error| StoreError::Unusable { place: place.clone(), reason: error.to_string() })
        };
        let quick = Line::new(place.clone(), dialer()?, config.timeout);
        let bulk = Line::new(place.clone(), dialer()?, config.timeout);
        quick.run(ping).await?;
        let keys = Keys::new(&config.prefix);
        let watchers = Arc::new(Watchers::deaf());
        let listener = news::listen(dialer()?, keys.news(), Arc::clone(&watchers), config.timeout);
        Ok(Self {
            config,
            keys,
            scripts: Arc::new(Scripts::new()),
            quick,
            bulk,
            watchers,
            _listener: listener,
        })
    }

    async fn note(&self, digest: &Digest, sighting: &Sighting) -> Result<(), StoreError> {
        let key = self.keys.image(digest);
        let mut note = redis::pipe();
        note.atomic()
            .cmd("ZADD")
            .arg(&key)
            .arg("GT")
            .arg(sighting.seen_at.as_microsecond())
            .arg(record::encode_place(sighting))
            .cmd("ZREMRANGEBYRANK")
            .arg(&key)
            .arg(0)
            .arg(-(MOST_SIGHTINGS as i64) - 1)
            .cmd("PEXPIRE")
            .arg(&key)
            .arg(millis(self.config.sighting_ttl));
        let note = &note;
        self.quick.run(|mut connection| async move { note.exec_async(&mut connection).await }).await
    }

    async fn note_both(
        &self,
        digest: &Digest,
        pending: Pending,
        sighting: &Sighting,
    ) -> Result<(), StoreError> {
        let mut note = call(&self.scripts.pending, &[self.keys.pending(digest), self.keys.image(digest)]);
        note.arg(record::encode_pending(pending))
            .arg(record::encode_place(sighting))
            .arg(sighting.seen_at.as_microsecond())
            .arg(MOST_SIGHTINGS)
            .arg(millis(self.config.sighting_ttl));
        let noted = self.quick.run(|connection| invoke::<()>(connection, &note));
        try_join!(noted, self.wait_for(digest, pending)).map(|_| ())
    }

    async fn mark(&self, digest: &Digest, pending: Pending) -> Result<(), StoreError> {
        let mut mark = call(&self.scripts.pending, &[self.keys.pending(digest)]);
        mark.arg(record::encode_pending(pending));
        let marked = self.quick.run(|connection| invoke::<()>(connection, &mark));
        try_join!(marked, self.wait_for(digest, pending)).map(|_| ())
    }

    async fn seen(&self, digest: &Digest) -> Result<Vec<Sighting>, StoreError> {
        let mut read = redis::cmd("ZREVRANGE");
        read.arg(self.keys.image(digest)).arg(0).arg(-1).arg("WITHSCORES");
        let read = &read;
        let places: Vec<(String, f64)> =
            self.quick.run(|mut connection| async move { read.query_async(&mut connection).await }).await?;
        let sightings = places.into_iter();
        Ok(sightings.filter_map(|(place, seen_us)| record::decode_place(&place, seen_us as i64)).collect())
    }

    fn too_large(&self, error: &record::RecordError) -> StoreError {
        StoreError::TooLarge { place: self.quick.place().to_owned(), reason: error.to_string() }
    }

    fn died(&self, error: tokio::task::JoinError) -> StoreError {
        StoreError::Unavailable { place: self.quick.place().to_owned(), source: Box::new(error) }
    }
}

async fn invoke<T: redis::FromRedisValue>(
    mut connection: Connection,
    call: &ScriptInvocation<'_>,
) -> RedisResult<T> {
    call.invoke_async(&mut connection).await
}

async fn ping(mut connection: Connection) -> RedisResult<()> {
    redis::cmd("PING").exec_async(&mut connection).await
}

/// Milliseconds, at least one: Redis refuses to let a key live for none.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 52)
}

#[async_trait]
impl VerdictStore for RedisStore {
    async fn lookup(&self, digests: &[Digest], policy: &PolicyName) -> Result<Vec<Lookup>, StoreError> {
        Backend::Redis.measured("lookup", self.look(digests, policy)).await
    }

    async fn restore(
        &self,
        report: &Report,
        verdicts: &[Verdict],
        stood: &[Verdict],
        lease: &Lease,
    ) -> Result<(), StoreError> {
        Backend::Redis.measured("store", self.put(report, verdicts, stood, lease)).await
    }

    async fn restate(&self, digest: &Digest, verdicts: &[Verdict]) -> Result<(), StoreError> {
        Backend::Redis.measured("restate", self.derive(digest, verdicts)).await
    }

    async fn report(&self, digest: &Digest) -> Result<Option<Report>, StoreError> {
        Backend::Redis.measured("report", self.fetch(digest)).await
    }

    async fn mark_pending(&self, digest: &Digest, pending: Pending) -> Result<(), StoreError> {
        Backend::Redis.measured("mark_pending", self.mark(digest, pending)).await
    }

    async fn record_sighting(&self, digest: &Digest, sighting: &Sighting) -> Result<(), StoreError> {
        Backend::Redis.measured("record_sighting", self.note(digest, sighting)).await
    }

    async fn note_push(&self, digest: &Digest, pending: Pending, seen: &Sighting) -> Result<(), StoreError> {
        Backend::Redis.measured("note_push", self.note_both(digest, pending, seen)).await
    }

    async fn sightings(&self, digest: &Digest) -> Result<Vec<Sighting>, StoreError> {
        Backend::Redis.measured("sightings", self.seen(digest)).await
    }

    async fn watch(&self, digest: &Digest) -> Result<Watch, StoreError> {
        Ok(self.watchers.watch(digest))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let limit = PING_LIMIT.min(self.config.timeout);
        // A write: a server that is out of memory, or a replica, answers a PING all the same.
        let mut write = redis::cmd("SET");
        write.arg(self.keys.probe()).arg("").arg("PX").arg(millis(PROBE_TTL));
        let write = &write;
        let written = self
            .quick
            .run_within(limit, |mut connection| async move { write.exec_async(&mut connection).await });
        Backend::Redis.measured("ping", written).await
    }
}
