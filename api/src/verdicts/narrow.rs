//! Verdicts about less than everything: for one platform of an index, or for one place.

use std::sync::Arc;

use jiff::Timestamp;
use shared::model::digest::Digest;
use shared::model::image::Platform;
use shared::model::report::Subject;
use shared::model::verdict::{Lookup, Verdict};
use shared::policy::{Circumstances, Place, Policy};
use shared::store::{StoreError, Watch};

use super::{Verdicts, child_for};
use crate::error::ApiError;

impl Verdicts {
    /// Completes when there is news about the digest; see [`shared::store::VerdictStore::watch`].
    pub async fn watch(&self, digest: &Digest) -> Result<Watch, StoreError> {
        self.store.watch(digest).await
    }

    /// The verdict of an index's image for `platform`; `None` if the verdict is not one of an index.
    pub async fn for_platform(
        &self,
        verdict: &Verdict,
        platform: &Platform,
        policy: &Policy,
    ) -> Result<Option<Arc<Verdict>>, ApiError> {
        let Some(child) = child_for(verdict, platform)? else { return Ok(None) };
        let found = self.find(std::slice::from_ref(&child), policy).await.map_err(ApiError::Store)?;
        match found.into_iter().next() {
            Some(Lookup::Known(verdict)) => Ok(Some(verdict)),
            Some(Lookup::Pending(_) | Lookup::Unknown) | None => {
                Err(ApiError::UnknownDigest(child.to_string()))
            }
        }
    }

    /// What the policy says about a stored report at a place; not kept. `None` if there is no report any more.
    pub async fn derive_at(
        &self,
        digest: &Digest,
        policy: &Policy,
        place: &Place,
    ) -> Result<Option<Verdict>, StoreError> {
        let Some(report) = self.store.report(digest).await? else { return Ok(None) };
        let here = Circumstances { now: Timestamp::now(), place: Some(place) };
        let mut children = Vec::new();
        if let Subject::Index { children: listed } = &report.subject {
            for child in listed {
                if let Some(report) = self.store.report(&child.digest).await? {
                    children.push(policy.judge(&report, &[], &here));
                }
            }
        }
        metrics::counter!("tidewaiter_verdicts_derived_total").increment(1);
        Ok(Some(policy.judge(&report, &children, &here)))
    }
}
