//! Digests that wait for a verdict, in sorted sets by when their markers run out, shared out as in `known`.
//!
//! A marker and its place in the set live in different slots and so are not written in one step, but at the same time: a
//! push is noted in one round trip. Whoever is killed in between has put the job into the queue already.

use async_trait::async_trait;
use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::RedisStore;
use super::known::{SHARDS, shard};
use crate::model::digest::Digest;
use crate::model::verdict::Pending;
use crate::store::measure::Backend;
use crate::store::{Overdue, StoreError};

/// The most digests of one set that are read at a time.
const MOST: usize = 10_000;

#[async_trait]
impl Overdue for RedisStore {
    async fn overdue(&self, now: Timestamp, limit: usize) -> Result<Vec<Digest>, StoreError> {
        let found = async {
            let sets = SHARDS.chars().map(|digit| self.overdue_in(digit, now, limit.min(MOST)));
            let mut found: Vec<(i64, Digest)> = try_join_all(sets).await?.into_iter().flatten().collect();
            found.sort_unstable();
            Ok(found.into_iter().take(limit).map(|(_, digest)| digest).collect())
        };
        Backend::Redis.measured("overdue", found).await
    }

    async fn give_up(&self, digest: &Digest) -> Result<(), StoreError> {
        Backend::Redis.measured("give_up", self.stop_waiting(digest)).await
    }
}

impl RedisStore {
    async fn overdue_in(
        &self,
        digit: char,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(i64, Digest)>, StoreError> {
        let mut read = redis::cmd("ZRANGEBYSCORE");
        read.arg(self.keys.waiting(digit)).arg("-inf").arg(format!("({}", now.as_millisecond()));
        read.arg("WITHSCORES").arg("LIMIT").arg(0).arg(limit);
        let read = &read;
        let rows: Vec<(String, f64)> =
            self.quick.run(|mut connection| async move { read.query_async(&mut connection).await }).await?;
        // What is no digest was written by no build of ours.
        Ok(rows.into_iter().filter_map(|(text, until)| Some((until as i64, text.parse().ok()?))).collect())
    }

    /// Notes until when a digest waits; the latest end counts.
    pub(super) async fn wait_for(&self, digest: &Digest, pending: Pending) -> Result<(), StoreError> {
        let mut add = redis::cmd("ZADD");
        add.arg(self.keys.waiting(shard(digest))).arg("GT");
        add.arg(pending.until.as_millisecond()).arg(digest.as_str());
        let add = &add;
        self.quick.run(|mut connection| async move { add.exec_async(&mut connection).await }).await
    }

    /// Nobody waits for this digest any longer.
    pub(super) async fn stop_waiting(&self, digest: &Digest) -> Result<(), StoreError> {
        let mut remove = redis::cmd("ZREM");
        remove.arg(self.keys.waiting(shard(digest))).arg(digest.as_str());
        let remove = &remove;
        self.quick.run(|mut connection| async move { remove.exec_async(&mut connection).await }).await
    }
}
