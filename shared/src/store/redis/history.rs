//! What became of verdicts, as streams: one a digest, and the feed of all.
//!
//! A digest's stream and the note up to where it was announced share the digest's slot; the feed has one of its
//! own, so it is appended before that note is written, and may have a change twice after a crash.

use std::collections::BTreeMap;

use async_trait::async_trait;
use redis::{Cmd, Value, from_redis_value};

use super::scripts::call;
use super::{RedisStore, invoke, millis, news};
use crate::model::change::{ChangeId, Recorded};
use crate::model::digest::Digest;
use crate::store::measure::Backend;
use crate::store::record::{self, LONGEST_FEED};
use crate::store::{History, StoreError, Watch};

/// An entry of a stream: its id, then fields and values in turn.
type Entry = (String, Vec<Vec<u8>>);

#[async_trait]
impl History for RedisStore {
    async fn history(&self, digest: &Digest, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let mut read = redis::cmd("XREVRANGE");
        read.arg(self.keys.history(digest)).arg("+").arg("-").arg("COUNT").arg(limit);
        Backend::Redis.measured("history", self.entries(&read)).await
    }

    async fn unannounced(&self, digest: &Digest, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let mut read =
            call(&self.scripts.unannounced, &[self.keys.history(digest), self.keys.announced(digest)]);
        read.arg(limit.max(1));
        let found = async {
            let entries: Value = self.quick.run(|connection| invoke(connection, &read)).await?;
            Ok(recorded(entries))
        };
        Backend::Redis.measured("unannounced", found).await
    }

    async fn announce(&self, changes: &[Recorded]) -> Result<(), StoreError> {
        Backend::Redis.measured("announce", self.append(changes)).await
    }

    async fn feed_after(&self, after: Option<ChangeId>, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        let start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let mut read = redis::cmd("XRANGE");
        read.arg(self.keys.feed()).arg(start).arg("+").arg("COUNT").arg(limit);
        Backend::Redis.measured("feed", self.entries(&read)).await
    }

    async fn feed_end(&self) -> Result<Option<ChangeId>, StoreError> {
        let mut read = redis::cmd("XREVRANGE");
        read.arg(self.keys.feed()).arg("+").arg("-").arg("COUNT").arg(1);
        let newest = Backend::Redis.measured("feed_end", self.entries(&read)).await?;
        Ok(newest.first().map(|newest| newest.id))
    }

    async fn watch_feed(&self) -> Result<Watch, StoreError> {
        Ok(self.watchers.watch_feed())
    }
}

impl RedisStore {
    async fn entries(&self, read: &Cmd) -> Result<Vec<Recorded>, StoreError> {
        let run = |mut connection| async move { read.query_async::<Value>(&mut connection).await };
        self.quick.run(run).await.map(recorded)
    }

    async fn append(&self, changes: &[Recorded]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut feed = call(&self.scripts.feed, &[self.keys.feed()]);
        feed.arg(self.keys.news()).arg(news::FEED).arg(LONGEST_FEED);
        let mut last: BTreeMap<&Digest, ChangeId> = BTreeMap::new();
        for Recorded { id, change } in changes {
            feed.arg(record::encode_change(change));
            let kept = last.entry(&change.digest).or_default();
            *kept = (*id).max(*kept);
        }
        self.quick.run(|connection| invoke::<()>(connection, &feed)).await?;
        for (digest, id) in last {
            let (milliseconds, number) = id.parts();
            let mut mark = call(&self.scripts.announced, &[self.keys.announced(digest)]);
            // Twice as long as the history that it is about, which may be used again in between.
            let ttl = millis(self.config.verdict_ttl.saturating_mul(2));
            mark.arg(milliseconds).arg(number).arg(ttl);
            self.quick.run(|connection| invoke::<()>(connection, &mark)).await?;
        }
        Ok(())
    }
}

/// The changes in entries of a stream; what no build of ours wrote is passed over.
fn recorded(entries: Value) -> Vec<Recorded> {
    let entries: Vec<Entry> = from_redis_value(entries).unwrap_or_default();
    let read = |(id, fields): Entry| {
        let change = record::decode_change(fields.get(1)?).ok()?;
        Some(Recorded { id: id.parse().ok()?, change })
    };
    entries.into_iter().filter_map(read).collect()
}
