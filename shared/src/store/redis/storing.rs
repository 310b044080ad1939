//! Storing and restating verdicts, and recording in the same step what that changes.
//!
//! Which change it is, is computed here and not on the server: the verdicts that stand are read first, and the
//! script does nothing if others stand by then, so that it is read again. Verdicts carry a generation for
//! that, a fresh one each time; it also tells a call that was repeated because its answer got lost.

use redis::ScriptInvocation;
use uuid::Uuid;

use super::scripts::call;
use super::{RedisStore, invoke, keys, millis};
use crate::model::digest::Digest;
use crate::model::report::Report;
use crate::model::verdict::Verdict;
use crate::store::record::{self, MOST_CHANGES};
use crate::store::{Lease, StoreError};

/// How often the verdicts may be replaced by others between being read and being replaced.
const MOST_ATTEMPTS: usize = 20;

/// The verdicts that stand.
struct Standing {
    /// Empty where none stand, or where a build without generations wrote them.
    generation: Vec<u8>,
    /// Those of the report behind them.
    revisions: Option<Vec<u8>>,
    /// One for each that is to take its place.
    verdicts: Vec<Option<Vec<u8>>>,
}

/// What a script did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Stored,
    LeaseLost,
    /// Others stand than those that were read.
    Overtaken,
}

impl RedisStore {
    /// See [`VerdictStore::restore`](crate::store::VerdictStore::restore).
    pub(super) async fn put(
        &self,
        report: &Report,
        verdicts: &[Verdict],
        stood: &[Verdict],
        lease: &Lease,
    ) -> Result<(), StoreError> {
        let digest = &report.digest;
        let head = self.cut(report).await?;
        let encoded = self.encoded_verdicts(verdicts)?;
        // First, so that no report is stored that nobody finds; see `known`.
        self.make_known(digest).await?;
        let keys = [
            self.keys.lease(digest),
            self.keys.report(digest),
            self.keys.verdict(digest),
            self.keys.pending(digest),
            self.keys.history(digest),
        ];
        for _ in 0..MOST_ATTEMPTS {
            let standing = self.standing(digest, verdicts).await?;
            let mut store = call(&self.scripts.store, &keys);
            store
                .arg(lease.owner.to_string())
                .arg(lease.fence)
                .arg(self.keys.news())
                .arg(digest.as_str())
                .arg(&head)
                .arg(millis(self.config.report_ttl))
                .arg(millis(self.config.verdict_ttl))
                .arg(&standing.generation)
                .arg(Uuid::now_v7().to_string());
            add_changes(&mut store, &standing.changes(digest, verdicts, stood));
            store
                .arg(keys::REVISIONS)
                .arg(record::revisions_text(&report.revisions))
                .arg(keys::UNTIL)
                .arg(self.verdicts_until(jiff::Timestamp::now().as_millisecond()));
            for (verdict, bytes) in verdicts.iter().zip(&encoded) {
                store.arg(verdict.policy.as_str()).arg(bytes);
            }
            match done(self.bulk.run(|connection| invoke(connection, &store)).await?) {
                Done::Stored => {
                    // It is stored; whoever looks for what waits too long finds that out otherwise.
                    if let Err(error) = self.stop_waiting(digest).await {
                        tracing::debug!(image.digest = %digest, %error, "still noted as waiting");
                    }
                    return Ok(());
                }
                // The lease of another digest is none of this one's owners.
                Done::LeaseLost => return Err(StoreError::LeaseLost(digest.clone())),
                Done::Overtaken => {}
            }
        }
        Err(self.overtaken(digest))
    }

    /// See [`VerdictStore::restate`](crate::store::VerdictStore::restate).
    pub(super) async fn derive(&self, digest: &Digest, verdicts: &[Verdict]) -> Result<(), StoreError> {
        for _ in 0..MOST_ATTEMPTS {
            let standing = self.standing(digest, verdicts).await?;
            let Some(revisions) = &standing.revisions else { return Ok(()) };
            let is_news =
                |verdict: &Verdict| record::revisions_text(&verdict.revisions).as_bytes() == revisions;
            let (news, before): (Vec<Verdict>, Vec<Option<Vec<u8>>>) = verdicts
                .iter()
                .cloned()
                .zip(standing.verdicts)
                .filter(|(verdict, _)| is_news(verdict))
                .unzip();
            if news.is_empty() {
                return Ok(());
            }
            let changes = record::changes(digest, news.iter().zip(before.iter().map(Option::as_deref)), &[]);
            let changes: Vec<Vec<u8>> = changes.iter().map(record::encode_change).collect();
            let mut restate =
                call(&self.scripts.restate, &[self.keys.verdict(digest), self.keys.history(digest)]);
            restate
                .arg(self.keys.news())
                .arg(digest.as_str())
                .arg(revisions)
                .arg(&standing.generation)
                .arg(Uuid::now_v7().to_string())
                .arg(millis(self.config.verdict_ttl));
            add_changes(&mut restate, &changes);
            for (verdict, bytes) in news.iter().zip(self.encoded_verdicts(&news)?) {
                restate.arg(verdict.policy.as_str()).arg(bytes);
            }
            match done(self.quick.run(|connection| invoke(connection, &restate)).await?) {
                Done::Stored | Done::LeaseLost => return Ok(()),
                Done::Overtaken => {}
            }
        }
        Err(self.overtaken(digest))
    }

    async fn standing(&self, digest: &Digest, verdicts: &[Verdict]) -> Result<Standing, StoreError> {
        let mut read = redis::cmd("HMGET");
        read.arg(self.keys.verdict(digest)).arg(keys::GENERATION).arg(keys::REVISIONS);
        for verdict in verdicts {
            read.arg(verdict.policy.as_str());
        }
        let read = &read;
        let fields: Vec<Option<Vec<u8>>> =
            self.quick.run(|mut connection| async move { read.query_async(&mut connection).await }).await?;
        let mut fields = fields.into_iter();
        Ok(Standing {
            generation: fields.next().flatten().unwrap_or_default(),
            revisions: fields.next().flatten(),
            verdicts: fields.collect(),
        })
    }

    fn encoded_verdicts(&self, verdicts: &[Verdict]) -> Result<Vec<Vec<u8>>, StoreError> {
        let encoded = verdicts.iter().map(record::encode_verdict);
        encoded.collect::<Result<_, _>>().map_err(|error| self.too_large(&error))
    }

    fn overtaken(&self, digest: &Digest) -> StoreError {
        StoreError::Unavailable {
            place: self.quick.place().to_owned(),
            source: format!("the verdicts of {digest} change all the time").into(),
        }
    }
}

impl Standing {
    fn changes(&self, digest: &Digest, verdicts: &[Verdict], stood: &[Verdict]) -> Vec<Vec<u8>> {
        let before = self.verdicts.iter().map(Option::as_deref);
        record::changes(digest, verdicts.iter().zip(before), stood)
            .iter()
            .map(record::encode_change)
            .collect()
    }
}

fn add_changes(script: &mut ScriptInvocation<'_>, changes: &[Vec<u8>]) {
    script.arg(MOST_CHANGES).arg(changes.len());
    for change in changes {
        script.arg(change);
    }
}

fn done(answer: i64) -> Done {
    match answer {
        1 => Done::Stored,
        0 => Done::LeaseLost,
        _ => Done::Overtaken,
    }
}
