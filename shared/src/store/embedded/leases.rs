//! Single-flight leases in the memory of one process.
//!
//! A lease that ran out stays its holder's until somebody else asks for it; then the fence moves on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::model::digest::Digest;
use crate::store::{Acquired, Lease};

/// How many leases there may be before the first sweep for abandoned ones.
const FIRST_SWEEP: usize = 256;
/// How long a holder that lets its lease run out may still come back to it.
const MEMORY: Duration = Duration::from_secs(60 * 60);
/// What to tell somebody who finds an expired lease whose holder is just storing.
const SHORTLY: Duration = Duration::from_millis(50);

/// All leases of one store.
#[derive(Debug)]
pub(super) struct LeaseTable(Mutex<Held>);

#[derive(Debug)]
struct Held {
    by_digest: HashMap<Digest, Holder>,
    /// One sequence for all digests: growing for all means growing for each.
    last_fence: u64,
    sweep_at: usize,
}

#[derive(Debug)]
struct Holder {
    owner: Uuid,
    fence: u64,
    until: Instant,
    /// How many transactions are being written on the strength of this lease.
    pins: u32,
}

/// Keeps a lease from being taken over for as long as it lives.
pub(super) struct Pinned {
    table: Arc<LeaseTable>,
    digest: Digest,
}

impl LeaseTable {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Held { by_digest: HashMap::new(), last_fence: 0, sweep_at: FIRST_SWEEP }))
    }

    pub(super) fn acquire(&self, digest: &Digest, ttl: Duration) -> Acquired {
        let now = Instant::now();
        let mut held = self.held();
        if let Some(holder) = held.by_digest.get(digest) {
            if holder.until > now {
                let remaining = holder.until - now;
                return Acquired::Busy { remaining };
            }
            if holder.pins > 0 {
                return Acquired::Busy { remaining: SHORTLY };
            }
        }
        if held.by_digest.len() >= held.sweep_at {
            held.sweep(now);
        }
        held.last_fence += 1;
        let lease = Lease { digest: digest.clone(), fence: held.last_fence, owner: Uuid::now_v7() };
        let holder = Holder { owner: lease.owner, fence: lease.fence, until: now + ttl, pins: 0 };
        held.by_digest.insert(digest.clone(), holder);
        Acquired::Held(lease)
    }

    /// Whether it could be renewed.
    pub(super) fn renew(&self, lease: &Lease, ttl: Duration) -> bool {
        match self.held().holder(lease) {
            Some(holder) => {
                holder.until = Instant::now() + ttl;
                true
            }
            None => false,
        }
    }

    pub(super) fn release(&self, lease: &Lease) {
        let mut held = self.held();
        if held.holder(lease).is_some() {
            held.by_digest.remove(&lease.digest);
        }
    }

    /// Makes sure that the lease stays with its holder until the pin is dropped; `None` if it is lost.
    pub(super) fn pin(table: &Arc<Self>, lease: &Lease) -> Option<Pinned> {
        table.held().holder(lease)?.pins += 1;
        Some(Pinned { table: Arc::clone(table), digest: lease.digest.clone() })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().expect("nothing panics while it holds the leases")
    }
}

impl Held {
    fn holder(&mut self, lease: &Lease) -> Option<&mut Holder> {
        let holder = self.by_digest.get_mut(&lease.digest);
        holder.filter(|holder| holder.owner == lease.owner && holder.fence == lease.fence)
    }

    fn sweep(&mut self, now: Instant) {
        self.by_digest.retain(|_, holder| holder.pins > 0 || holder.until + MEMORY > now);
        self.sweep_at = FIRST_SWEEP.max(self.by_digest.len() * 2);
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if let Some(holder) = self.table.held().by_digest.get_mut(&self.digest) {
            holder.pins = holder.pins.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_ran_out_is_not_taken_over_while_its_holder_stores() {
        let table = Arc::new(LeaseTable::new());
        let digest = Digest::of(b"image");
        let Acquired::Held(lease) = table.acquire(&digest, Duration::ZERO) else {
            panic!("nobody else holds it");
        };
        let pinned = LeaseTable::pin(&table, &lease).unwrap();
        assert_eq!(table.acquire(&digest, Duration::ZERO), Acquired::Busy { remaining: SHORTLY });
        drop(pinned);
        let Acquired::Held(next) = table.acquire(&digest, Duration::ZERO) else {
            panic!("it ran out and nobody is storing");
        };
        assert!(next.fence > lease.fence);
        assert!(LeaseTable::pin(&table, &lease).is_none());
    }
}
