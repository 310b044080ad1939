//! Verdicts about less than everything: for one platform of an index.

use std::sync::Arc;

use shared::model::digest::Digest;
use shared::model::image::Platform;
use shared::model::verdict::{Lookup, Verdict};
use shared::policy::Policy;
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
        policy: &Arc<Policy>,
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
}
