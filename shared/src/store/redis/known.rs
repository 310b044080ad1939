//! Every digest that has a report: sorted sets that share the digests by their first hex digit.
//!
//! A digest is added before its report is stored, in another slot and so not in the same step. Reports expire by
//! themselves; whoever comes across a digest without one takes it out, unless somebody holds its lease or did
//! within the last hour: that one may be about to store it.
//!
//! A set that the server evicted fills again as its digests are scanned; until then their verdicts are derived
//! when somebody asks for them, and only then.

use async_trait::async_trait;
use redis::{Pipeline, from_redis_value};

use super::RedisStore;
use super::lookup::ask_all;
use crate::model::digest::Digest;
use crate::store::measure::Backend;
use crate::store::{Known, KnownPage, StoreError};

/// The first hex digits, in the order of the pages.
pub(super) const SHARDS: &str = "0123456789abcdef";
/// The most digests on a page.
const LARGEST_PAGE: usize = 10_000;

/// What a page found out about a digest.
enum Found {
    /// It has a report.
    Report,
    /// It has none, but may get one.
    Awaited,
    /// It has none any more.
    Gone,
}

#[async_trait]
impl Known for RedisStore {
    async fn known_after(&self, after: Option<&Digest>, limit: usize) -> Result<KnownPage, StoreError> {
        Backend::Redis.measured("known", self.known_page(after, limit.clamp(1, LARGEST_PAGE))).await
    }
}

impl RedisStore {
    /// Adds a digest whose report is about to be stored.
    pub(super) async fn make_known(&self, digest: &Digest) -> Result<(), StoreError> {
        let mut add = redis::cmd("ZADD");
        add.arg(self.keys.known(shard(digest))).arg(0).arg(digest.as_str());
        let add = &add;
        self.quick.run(|mut connection| async move { add.exec_async(&mut connection).await }).await
    }

    async fn known_page(&self, after: Option<&Digest>, limit: usize) -> Result<KnownPage, StoreError> {
        let mut shards = SHARDS.chars().skip_while(|digit| after.is_some_and(|after| *digit < shard(after)));
        let mut start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let mut listed: Vec<Digest> = Vec::new();
        let next = loop {
            let Some(digit) = shards.next() else { break None };
            let wanted = limit - listed.len();
            let mut read = redis::cmd("ZRANGEBYLEX");
            read.arg(self.keys.known(digit)).arg(&start).arg("+").arg("LIMIT").arg(0).arg(wanted);
            let read = &read;
            let texts: Vec<String> = self
                .quick
                .run(|mut connection| async move { read.query_async(&mut connection).await })
                .await?;
            let filled = texts.len() >= wanted;
            // What is no digest was written by no build of ours.
            listed.extend(texts.iter().filter_map(|text| text.parse::<Digest>().ok()));
            if filled {
                break listed.last().cloned();
            }
            start = "-".to_owned();
        };
        let found = self.found(&listed).await?;
        let mut digests = Vec::with_capacity(listed.len());
        let mut gone = Vec::new();
        for (digest, found) in listed.into_iter().zip(found) {
            match found {
                Found::Report => digests.push(digest),
                Found::Awaited => {}
                Found::Gone => gone.push(digest),
            }
        }
        self.take_out(&gone).await?;
        Ok(KnownPage { digests, next })
    }

    async fn found(&self, digests: &[Digest]) -> Result<Vec<Found>, StoreError> {
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        let ask = |digests: &[Digest]| {
            let mut pipeline = redis::pipe();
            for digest in digests {
                pipeline.exists(self.keys.report(digest)).exists(self.keys.lease(digest));
            }
            pipeline
        };
        let whole = ask(digests);
        let parts: Vec<Pipeline> = digests.iter().map(|digest| ask(std::slice::from_ref(digest))).collect();
        let answers = self.quick.run(|connection| ask_all(connection, &whole, &parts)).await?;
        let exist: Vec<bool> =
            answers.into_iter().map(|answer| from_redis_value::<bool>(answer).unwrap_or(true)).collect();
        Ok(exist
            .chunks(2)
            .map(|exist| match exist {
                [true, _] => Found::Report,
                [false, false] => Found::Gone,
                _ => Found::Awaited,
            })
            .collect())
    }

    /// Takes digests out, and puts back the one that somebody began to scan at the same moment.
    async fn take_out(&self, gone: &[Digest]) -> Result<(), StoreError> {
        for digest in gone {
            let mut remove = redis::cmd("ZREM");
            remove.arg(self.keys.known(shard(digest))).arg(digest.as_str());
            let remove = &remove;
            self.quick.run(|mut connection| async move { remove.exec_async(&mut connection).await }).await?;
            match self.found(std::slice::from_ref(digest)).await?.first() {
                Some(Found::Report | Found::Awaited) => self.make_known(digest).await?,
                Some(Found::Gone) | None => {}
            }
        }
        Ok(())
    }
}

/// In which of the sets a digest is.
pub(super) fn shard(digest: &Digest) -> char {
    digest.encoded().chars().next().unwrap_or('0')
}
