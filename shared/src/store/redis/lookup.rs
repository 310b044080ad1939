//! Many digests in one round trip.
//!
//! For each: the verdict with the time when it expires, and the marker. Verdicts that have spent half of
//! their time are kept for another while, in the background.

use std::sync::Arc;

use futures_util::future::try_join_all;
use redis::{Pipeline, RedisResult, Value, from_redis_value};

use super::dialer::Connection;
use super::scripts::call;
use super::{RedisStore, invoke, keys, millis};
use crate::model::digest::Digest;
use crate::model::verdict::{Lookup, PolicyName};
use crate::store::measure::passed_over;
use crate::store::{StoreError, record};

/// What one digest's part of a look-up found.
struct Looked {
    lookup: Lookup,
    /// The verdicts have spent half of their time: somebody still wants them, so let them live on.
    keep: bool,
}

impl RedisStore {
    /// See [`VerdictStore::lookup`](crate::store::VerdictStore::lookup).
    pub(super) async fn look(
        &self,
        digests: &[Digest],
        policy: &PolicyName,
    ) -> Result<Vec<Lookup>, StoreError> {
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        let ask = |digests: &[Digest]| {
            let mut pipeline = redis::pipe();
            for digest in digests {
                pipeline
                    .hmget(self.keys.verdict(digest), &[policy.as_str(), keys::UNTIL])
                    .get(self.keys.pending(digest));
            }
            pipeline
        };
        let whole = ask(digests);
        let parts: Vec<Pipeline> = digests.iter().map(|digest| ask(std::slice::from_ref(digest))).collect();
        let answered = self.quick.run(|connection| ask_all(connection, &whole, &parts)).await?;
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let mut answers = answered.into_iter();
        let mut lookups = Vec::with_capacity(digests.len());
        let mut kept = Vec::new();
        for digest in digests {
            let (verdict, pending) = (answers.next(), answers.next());
            let looked = self.looked(digest, verdict, pending, now_ms);
            if looked.keep {
                kept.push(digest);
            }
            lookups.push(looked.lookup);
        }
        if !kept.is_empty() {
            self.keep(&kept, now_ms);
        }
        Ok(lookups)
    }

    /// A value that cannot be read counts as absent, so that the digest is scanned again.
    fn looked(&self, digest: &Digest, verdict: Option<Value>, pending: Option<Value>, now_ms: i64) -> Looked {
        let fields = verdict.map(from_redis_value::<(Option<Vec<u8>>, Option<i64>)>);
        if let Some(Ok((Some(bytes), until))) = fields {
            match record::decode_verdict(digest, &bytes) {
                Ok(verdict) => {
                    let half = i64::try_from(self.config.verdict_ttl.as_millis() / 2).unwrap_or(i64::MAX);
                    return Looked {
                        lookup: Lookup::Known(Arc::new(verdict)),
                        keep: until.is_none_or(|until| until.saturating_sub(now_ms) < half),
                    };
                }
                Err(error) => passed_over("verdict", digest, &error),
            }
        }
        let marker = pending.map(from_redis_value::<Option<Vec<u8>>>);
        let lookup = match marker {
            Some(Ok(Some(bytes))) => match record::decode_pending(&bytes) {
                Ok(pending) => Lookup::Pending(pending),
                Err(error) => {
                    passed_over("pending", digest, &error);
                    Lookup::Unknown
                }
            },
            Some(Ok(None) | Err(_)) | None => Lookup::Unknown,
        };
        Looked { lookup, keep: false }
    }

    /// Lets verdicts live on. Nobody waits for it, and if it fails, the next look-up tries again.
    fn keep(&self, digests: &[&Digest], now_ms: i64) {
        let (line, scripts) = (self.quick.clone(), Arc::clone(&self.scripts));
        let ttl = millis(self.config.verdict_ttl);
        let until = self.verdicts_until(now_ms);
        let keys: Vec<String> = digests.iter().map(|digest| self.keys.verdict(digest)).collect();
        tokio::spawn(async move {
            let kept = keys.into_iter().map(|key| {
                let (line, scripts) = (&line, &scripts);
                async move {
                    let mut keep = call(&scripts.keep, &[key]);
                    keep.arg(ttl).arg(until);
                    line.run(|connection| invoke::<()>(connection, &keep)).await
                }
            });
            if let Err(error) = try_join_all(kept).await {
                tracing::debug!(%error, "verdicts in use were not kept for longer");
            }
        });
    }

    /// When verdicts stored or asked for now will expire.
    pub(super) fn verdicts_until(&self, now_ms: i64) -> i64 {
        now_ms.saturating_add_unsigned(millis(self.config.verdict_ttl))
    }
}

/// One pipeline for all, or in a cluster, where a pipeline may not leave its slot, all of them at once.
pub(super) async fn ask_all(
    mut connection: Connection,
    whole: &Pipeline,
    parts: &[Pipeline],
) -> RedisResult<Vec<Value>> {
    match connection {
        Connection::One(_) => whole.query_async(&mut connection).await,
        Connection::Cluster(_) => {
            let asked = parts.iter().map(|part| {
                let mut connection = connection.clone();
                async move { part.query_async::<Vec<Value>>(&mut connection).await }
            });
            try_join_all(asked).await.map(|answers| answers.concat())
        }
    }
}
