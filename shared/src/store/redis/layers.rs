//! What layers contain, in Redis: one key each, which lives as long after its last use as a report does.

use async_trait::async_trait;

use super::{RedisStore, millis};
use crate::model::digest::Digest;
use crate::model::report::Revision;
use crate::store::measure::Backend;
use crate::store::{Layers, StoreError, check_layer};

#[async_trait]
impl Layers for RedisStore {
    async fn load_layer(&self, layer: &Digest, revision: &Revision) -> Result<Option<Vec<u8>>, StoreError> {
        let mut read = redis::cmd("GETEX");
        read.arg(self.keys.layer(layer, revision)).arg("PX").arg(millis(self.config.report_ttl));
        let read = &read;
        let loaded = self.bulk.run(|mut connection| async move { read.query_async(&mut connection).await });
        Backend::Redis.measured("load_layer", loaded).await
    }

    async fn save_layer(&self, layer: &Digest, revision: &Revision, bytes: &[u8]) -> Result<(), StoreError> {
        let saved = async {
            check_layer(bytes, self.bulk.place())?;
            let mut save = redis::cmd("SET");
            save.arg(self.keys.layer(layer, revision)).arg(bytes);
            save.arg("PX").arg(millis(self.config.report_ttl));
            let save = &save;
            self.bulk.run(|mut connection| async move { save.exec_async(&mut connection).await }).await
        };
        Backend::Redis.measured("save_layer", saved).await
    }
}
