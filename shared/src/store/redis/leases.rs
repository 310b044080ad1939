//! Single-flight leases in Redis.
//!
//! A lease that ran out stays its holder's until somebody else asks for it; then the fence moves on.

use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::scripts::call;
use super::{RedisStore, invoke, millis};
use crate::model::digest::Digest;
use crate::store::measure::Backend;
use crate::store::{Acquired, Lease, Leases, StoreError};

/// How long the fence of a lease is remembered after it ended.
const FENCE_MEMORY: Duration = Duration::from_secs(60 * 60);

#[async_trait]
impl Leases for RedisStore {
    async fn acquire(&self, digest: &Digest, ttl: Duration) -> Result<Acquired, StoreError> {
        let owner = Uuid::now_v7();
        let mut acquire = call(&self.scripts.acquire, &[self.keys.lease(digest)]);
        acquire.arg(owner.to_string()).arg(millis(ttl)).arg(millis(FENCE_MEMORY));
        let asked = self.quick.run(|connection| invoke::<(bool, u64)>(connection, &acquire));
        Ok(match Backend::Redis.measured("acquire", asked).await? {
            (true, fence) => Acquired::Held(Lease { digest: digest.clone(), fence, owner }),
            (false, remaining_ms) => Acquired::Busy { remaining: Duration::from_millis(remaining_ms) },
        })
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<(), StoreError> {
        let mut renew = call(&self.scripts.renew, &[self.keys.lease(&lease.digest)]);
        renew.arg(lease.owner.to_string()).arg(lease.fence).arg(millis(ttl)).arg(millis(FENCE_MEMORY));
        let renewed = async {
            match self.quick.run(|connection| invoke(connection, &renew)).await? {
                true => Ok(()),
                false => Err(StoreError::LeaseLost(lease.digest.clone())),
            }
        };
        Backend::Redis.measured("renew", renewed).await
    }

    async fn release(&self, lease: Lease) -> Result<(), StoreError> {
        let mut release = call(&self.scripts.release, &[self.keys.lease(&lease.digest)]);
        release.arg(lease.owner.to_string()).arg(lease.fence).arg(millis(FENCE_MEMORY));
        let released = self.quick.run(|connection| invoke(connection, &release));
        Backend::Redis.measured("release", released).await
    }
}
