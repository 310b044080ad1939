//! Verdicts for one place: an exception may hold in one namespace alone. Derived from the stored report, and
//! kept in this process by everything that they depend on (I6).

use std::sync::Arc;

use jiff::Timestamp;
use moka::future::Cache;
use shared::model::digest::Digest;
use shared::model::report::{Revision, ScanRevisions};
use shared::model::verdict::Verdict;
use shared::policy::{Place, Policy};
use shared::telemetry::chain;

use crate::verdicts::Verdicts;

/// Derives verdicts for places.
pub(super) struct Placed {
    verdicts: Arc<Verdicts>,
    derived: Cache<Basis, Arc<Verdict>>,
}

/// Everything but time that a verdict for a place depends on.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Basis {
    digest: Digest,
    policy: Revision,
    report: ScanRevisions,
    /// When the general verdict was judged: a signature that came later changes nothing else of the basis.
    judged_at: Timestamp,
    place: Place,
}

const MOST_DERIVED: u64 = 5_000;

impl Placed {
    pub(super) fn new(verdicts: Arc<Verdicts>) -> Self {
        Self { verdicts, derived: Cache::new(MOST_DERIVED) }
    }

    /// What the policy, which depends on `place`, says there; `general` is what it says anywhere.
    ///
    /// A report that cannot be had leaves the general verdict, which is the strictest.
    pub(super) async fn verdict(
        &self,
        general: Arc<Verdict>,
        policy: &Arc<Policy>,
        place: &Place,
    ) -> Arc<Verdict> {
        let basis = Basis {
            digest: general.digest.clone(),
            policy: policy.revision.clone(),
            report: general.revisions.clone(),
            judged_at: general.as_of,
            place: place.clone(),
        };
        let now = Timestamp::now();
        if let Some(kept) = self.derived.get(&basis).await
            && kept.is_current(&policy.revision, now)
        {
            return kept;
        }
        match self.verdicts.derive_at(&general.digest, policy, place).await {
            Ok(Some(derived)) => {
                let derived = Arc::new(derived);
                self.derived.insert(basis, Arc::clone(&derived)).await;
                derived
            }
            Ok(None) => general,
            Err(error) => {
                tracing::warn!(image.digest = %general.digest, error = %chain(&error), "verdict not derived for its place");
                general
            }
        }
    }
}
