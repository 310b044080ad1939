//! Notes in Redis: one key each, which expires by itself.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::scripts::call;
use super::{RedisStore, invoke, millis};
use crate::store::measure::Backend;
use crate::store::{NoteName, Notes, StoreError};

/// What precedes each value, so that a repeated claim is known from another's claim of the same value.
const WRITER_BYTES: usize = 16;

#[async_trait]
impl Notes for RedisStore {
    async fn keep(&self, name: &NoteName, value: &[u8], ttl: Duration) -> Result<(), StoreError> {
        let kept = async {
            let mut keep = redis::cmd("SET");
            keep.arg(self.keys.note(name)).arg(self.written(value)?).arg("PX").arg(millis(ttl));
            let keep = &keep;
            self.quick.run(|mut connection| async move { keep.exec_async(&mut connection).await }).await
        };
        Backend::Redis.measured("keep_note", kept).await
    }

    async fn claim(&self, name: &NoteName, value: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        let claimed = async {
            let mut claim = call(&self.scripts.claim, &[self.keys.note(name)]);
            claim.arg(self.written(value)?).arg(millis(ttl));
            self.quick.run(|connection| invoke(connection, &claim)).await
        };
        Backend::Redis.measured("claim_note", claimed).await
    }

    async fn read(&self, name: &NoteName) -> Result<Option<Vec<u8>>, StoreError> {
        let mut read = redis::cmd("GET");
        read.arg(self.keys.note(name));
        let read = &read;
        let kept = async {
            let run = |mut connection| async move { read.query_async(&mut connection).await };
            let kept: Option<Vec<u8>> = self.quick.run(run).await?;
            // Shorter than its head: no build of ours wrote it.
            Ok(kept.and_then(|bytes| bytes.get(WRITER_BYTES..).map(<[u8]>::to_vec)))
        };
        Backend::Redis.measured("read_note", kept).await
    }

    async fn forget(&self, name: &NoteName) -> Result<(), StoreError> {
        let mut forget = redis::cmd("DEL");
        forget.arg(self.keys.note(name));
        let forget = &forget;
        let forgotten =
            self.quick.run(|mut connection| async move { forget.exec_async(&mut connection).await });
        Backend::Redis.measured("forget_note", forgotten).await
    }
}

impl RedisStore {
    fn written(&self, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        crate::store::check_note(value, self.quick.place())?;
        Ok([&Uuid::now_v7().into_bytes()[..], value].concat())
    }
}
