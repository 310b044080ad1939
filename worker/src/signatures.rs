//! Signatures that others attach to an image: collected with the report, as facts that a policy may ask for, and looked at
//! again when somebody signs later. Nothing of the image is pulled for that.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use shared::model::digest::Digest;
use shared::model::image::ImageName;
use shared::model::report::{Report, Subject};
use shared::model::signature::MOST_SIGNATURES;
use shared::model::verdict::Verdict;
use shared::registry::{RegistryClient, RegistryError};
use shared::store::{Lease, StoreError};
use shared::telemetry::chain;

use crate::hold::{Held, under_lease};
use crate::job::{Carried, Carrier};
use crate::judge::{known, verdicts};

/// Why signatures were not looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignaturesError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The digest is being scanned, for at most so long.
    #[error("{0} is being scanned")]
    Busy(Digest),
}

impl SignaturesError {
    /// What becomes of the job.
    pub(crate) fn carried(&self) -> Carried {
        match self {
            Self::Store(error) => Carried::after_store(error),
            Self::Registry(error) if !error.is_retryable() => Carried::Hopeless { error: chain(self) },
            Self::Registry(_) | Self::Busy(_) => Carried::Failed { error: chain(self) },
        }
    }
}

/// How long a scan of the same digest is waited for, before the job is tried again later.
const PATIENCE: Duration = Duration::from_secs(10);

impl Carrier {
    /// The report with the signatures that are attached now. Where they cannot be read there are none: a policy that
    /// asks for one says no, which is the safe side, and the next look may find them.
    pub(crate) async fn with_signatures(
        &self,
        client: &RegistryClient,
        image: &ImageName,
        mut report: Report,
    ) -> Report {
        if !can_be_signed(&report) {
            return report;
        }
        report.signatures = match client.signatures(image, &report.digest).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(image.digest = %report.digest, error = %chain(&error), "signatures not read");
                Vec::new()
            }
        };
        report
    }

    /// Adds signatures that were pushed after the image was examined, and judges it again from the stored report.
    ///
    /// A digest without a report is left to its scan, which looks at signatures itself.
    pub(crate) async fn look_at_signatures(
        &self,
        image: &ImageName,
        digest: &Digest,
    ) -> Result<(), SignaturesError> {
        let client = self.client_for(image, digest).await;
        let found = client.signatures(image, digest).await?;
        let mut watch = self.parts.store.watch(digest).await?;
        for _ in 0..2 {
            let found = &found;
            let work = |lease: Arc<Lease>| async move {
                let Some(mut report) = self.parts.store.report(digest).await? else { return Ok(()) };
                let before = report.signatures.len();
                for fact in found {
                    // The same digest may be signed in several repositories; each signature counts.
                    if !report.signatures.contains(fact) && report.signatures.len() < MOST_SIGNATURES {
                        report.signatures.push(fact.clone());
                    }
                }
                if report.signatures.len() == before || !can_be_signed(&report) {
                    return Ok(());
                }
                let children = self.stored_children(&report).await?;
                let policies = self.parts.policies.load_full();
                let verdicts = verdicts(&policies, &report, &children, Timestamp::now());
                self.parts.store.store(&report, &verdicts, &lease).await?;
                tracing::info!(image.digest = %digest, signatures = report.signatures.len(), "signatures noted");
                Ok::<(), SignaturesError>(())
            };
            match under_lease(&self.parts.leases, digest, self.parts.lease, work).await? {
                Held::Done(()) => return Ok(()),
                Held::Busy { .. } => watch.changed(PATIENCE).await,
            }
        }
        Err(SignaturesError::Busy(digest.clone()))
    }

    /// What every policy has said about the children of an index.
    async fn stored_children(&self, report: &Report) -> Result<Vec<Verdict>, StoreError> {
        let children: Vec<Digest> = match &report.subject {
            Subject::Index { children } => children.iter().map(|child| child.digest.clone()).collect(),
            Subject::Image(_) | Subject::Artifact { .. } | Subject::Unreadable => return Ok(Vec::new()),
        };
        let mut found = Vec::new();
        for policy in self.parts.policies.load_full().iter() {
            let looked_up = self.parts.store.lookup(&children, &policy.name).await?;
            found.extend(looked_up.into_iter().filter_map(known));
        }
        Ok(found)
    }
}

fn can_be_signed(report: &Report) -> bool {
    match report.subject {
        Subject::Image(_) | Subject::Index { .. } => true,
        Subject::Artifact { .. } | Subject::Unreadable => false,
    }
}
