//! What others attach to an image: signatures are facts that a policy may ask for, SBOMs claims about what is in it. Both
//! are looked at with the scan, and again when something is attached later. Nothing of the image is pulled for that.
//!
//! An SBOM that is pushed as a referrer is announced as a manifest of its own; what it is attached to stands in it. What
//! changes an image changes the verdicts of the indexes that list it: which ones those are is noted when they are judged.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use scanner::advisories::{Database, DatabaseError};
use scanner::attached::{self, Claims, OfIndex};
use shared::model::digest::Digest;
use shared::model::image::ImageName;
use shared::model::report::{IndexChild, Report, Subject};
use shared::model::signature::{MOST_SIGNATURES, SignatureFact};
use shared::model::verdict::{Lookup, Outcome, PolicyName, Verdict};
use shared::registry::sboms::may_claim;
use shared::registry::{RegistryClient, RegistryError};
use shared::store::{Lease, NoteName, StoreError};
use shared::telemetry::{chain, traces};

use crate::hold::{Held, under_lease};
use crate::job::{Carried, Carrier};
use crate::judge::{JudgeError, known, verdicts};

/// Why attachments were not looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachmentsError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The report.
    #[error(transparent)]
    Amend(#[from] AmendError),
}

/// Why a stored report was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AmendError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The advisory database.
    #[error("the advisory database cannot be read")]
    Database(#[from] DatabaseError),
    /// The digest is being scanned, for at most so long.
    #[error("{0} is being scanned")]
    Busy(Digest),
    /// A blocking thread died.
    #[error("matching {0} panicked")]
    Panicked(Digest),
}

impl AttachmentsError {
    /// What becomes of the job.
    pub(crate) fn carried(&self) -> Carried {
        match self {
            Self::Amend(AmendError::Store(error)) => Carried::after_store(error),
            Self::Registry(error) if !error.is_retryable() => Carried::Hopeless { error: chain(self) },
            Self::Registry(_)
            | Self::Amend(AmendError::Database(_) | AmendError::Busy(_) | AmendError::Panicked(_)) => {
                Carried::Failed { error: chain(self) }
            }
        }
    }
}

impl From<AmendError> for JudgeError {
    fn from(error: AmendError) -> Self {
        match error {
            AmendError::Store(error) => Self::Store(error),
            AmendError::Database(error) => Self::Database(error),
            AmendError::Busy(digest) => Self::Starved { digest, waited: PATIENCE },
            AmendError::Panicked(digest) => Self::Panicked(digest),
        }
    }
}

/// Whether a look has changed what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Something new was attached.
    Changed,
    /// Nothing that was not known.
    Same,
}

/// How long a scan of the same digest is waited for, before the job is tried again later.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is remembered which indexes list an image, and how many of them: the newest.
const MEMORY: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const MOST_PARENTS: usize = 8;

impl Carrier {
    /// The report with what is attached now. Where signatures cannot be read there are none: a policy that asks for one
    /// says no, which is the safe side, and the next look may find them. An SBOM that cannot be read is a problem.
    pub(crate) async fn with_attachments(
        &self,
        client: &RegistryClient,
        image: &ImageName,
        mut report: Report,
        database: Arc<Database>,
    ) -> Result<Report, AmendError> {
        if !can_have_attachments(&report) {
            return Ok(report);
        }
        let span = traces::stage("attachments");
        report.signatures = match span.around(client.signatures(image, &report.digest)).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(image.digest = %report.digest, error = %chain(&error), "signatures not read");
                Vec::new()
            }
        };
        // Of an index each image has what is claimed of all.
        if report.inventory().is_none() {
            return Ok(report);
        }
        let claims = span.around(attached::of_image(client, image, &report.digest, &report.sboms)).await;
        drop(span);
        Ok(self.claimed(&report, claims, database).await?.unwrap_or(report))
    }

    /// Adds what is attached to an index, and beside an image in it, to the stored reports of its images.
    pub(crate) async fn claim_of_children(
        &self,
        client: &RegistryClient,
        image: &ImageName,
        index: &Digest,
        children: &[IndexChild],
    ) -> Result<(), AmendError> {
        let of_index = OfIndex::read(client, image, index).await;
        for child in children {
            let claims = of_index.of_child(client, image, &child.digest).await;
            self.amend(image, &child.digest, &[], claims).await?;
            self.note_parent(&child.digest, index).await?;
        }
        Ok(())
    }

    /// Adds what was attached after the image was examined, and judges it again from the stored report.
    ///
    /// A digest without a report is left to its scan, which looks at attachments itself.
    pub(crate) async fn look_at_attachments(
        &self,
        image: &ImageName,
        digest: &Digest,
    ) -> Result<Look, AttachmentsError> {
        let client = self.client_for(image, digest).await;
        let signatures = client.signatures(image, digest).await?;
        let known = self.parts.store.report(digest).await.map_err(AmendError::from)?;
        let known = known.map(|report| report.sboms).unwrap_or_default();
        let claims = attached::of_image(&client, image, digest, &known).await;
        Ok(self.note_attachments(image, digest, &signatures, claims).await?)
    }

    /// If a digest that was scanned just now is an SBOM: adds its claims to the report of what it is attached to, and
    /// answers which digest that is if they changed anything.
    pub(crate) async fn look_at_described(
        &self,
        image: &ImageName,
        artifact: &Digest,
    ) -> Result<Option<Digest>, AttachmentsError> {
        let default = PolicyName::default_policy();
        let found = self.parts.store.lookup(std::slice::from_ref(artifact), &default).await;
        let is_artifact = |lookup: &Lookup| matches!(lookup, Lookup::Known(verdict) if verdict.outcome == Outcome::NotAnImage);
        if !found.map_err(AmendError::from)?.iter().any(is_artifact) {
            return Ok(None);
        }
        let report = self.parts.store.report(artifact).await.map_err(AmendError::from)?;
        match report.map(|report| report.subject) {
            Some(Subject::Artifact { artifact_type }) if may_claim(&artifact_type) => {}
            Some(
                Subject::Artifact { .. } | Subject::Image(_) | Subject::Index { .. } | Subject::Unreadable,
            )
            | None => return Ok(None),
        }
        let client = self.client_for(image, artifact).await;
        let Some(subject) = client.described_by(image, artifact).await? else { return Ok(None) };
        let claims = attached::of_artifacts(&client, image, &subject, std::slice::from_ref(artifact)).await;
        let look = self.note_attachments(image, &subject, &[], claims).await?;
        Ok((look == Look::Changed).then_some(subject))
    }

    /// Adds to a stored report, of an index to those of its images, and restates the verdicts that depend on them.
    async fn note_attachments(
        &self,
        image: &ImageName,
        digest: &Digest,
        signatures: &[SignatureFact],
        claims: Claims,
    ) -> Result<Look, AmendError> {
        let Some(report) = self.parts.store.report(digest).await? else { return Ok(Look::Same) };
        let Subject::Index { children } = report.subject else {
            let look = self.amend(image, digest, signatures, claims).await?;
            if look == Look::Changed {
                self.restate_parents(digest).await?;
            }
            return Ok(look);
        };
        let mut looks = vec![self.amend(image, digest, signatures, Claims::default()).await?];
        for child in &children {
            let look = self.amend(image, &child.digest, &[], claims.clone()).await?;
            if look == Look::Changed {
                self.restate_parents(&child.digest).await?;
            }
            looks.push(look);
        }
        Ok(if looks.contains(&Look::Changed) { Look::Changed } else { Look::Same })
    }

    /// Adds to one stored report and judges it again.
    async fn amend(
        &self,
        image: &ImageName,
        digest: &Digest,
        signatures: &[SignatureFact],
        claims: Claims,
    ) -> Result<Look, AmendError> {
        if signatures.is_empty() && claims.is_empty() {
            return Ok(Look::Same);
        }
        let mut watch = self.parts.store.watch(digest).await?;
        for _ in 0..2 {
            let work = |lease| self.amend_holding(digest, signatures, claims.clone(), lease);
            match under_lease(&self.parts.leases, digest, self.parts.lease, work).await? {
                Held::Done(Look::Changed) => {
                    self.parts.announcer.announce(digest, Some(image)).await;
                    return Ok(Look::Changed);
                }
                Held::Done(Look::Same) => return Ok(Look::Same),
                Held::Busy { .. } => watch.changed(PATIENCE).await,
            }
        }
        Err(AmendError::Busy(digest.clone()))
    }

    async fn amend_holding(
        &self,
        digest: &Digest,
        signatures: &[SignatureFact],
        claims: Claims,
        lease: Arc<Lease>,
    ) -> Result<Look, AmendError> {
        let Some(mut report) = self.parts.store.report(digest).await? else { return Ok(Look::Same) };
        if !can_have_attachments(&report) {
            return Ok(Look::Same);
        }
        let before = report.signatures.len();
        for fact in signatures {
            // The same digest may be signed in several repositories; each signature counts.
            if !report.signatures.contains(fact) && report.signatures.len() < MOST_SIGNATURES {
                report.signatures.push(fact.clone());
            }
        }
        let claimed = self.claimed(&report, claims, self.parts.database.load_full()).await?;
        if report.signatures.len() == before && claimed.is_none() {
            return Ok(Look::Same);
        }
        let report = claimed.unwrap_or(report);
        let children = self.stored_children(&report).await?;
        let policies = self.parts.policies.load_full();
        let verdicts = verdicts(&policies, &report, &children, Timestamp::now());
        self.parts.store.store(&report, &verdicts, &lease).await?;
        let (signatures, sboms) = (report.signatures.len(), report.sboms.len());
        tracing::info!(image.digest = %digest, signatures, sboms, "attachments noted");
        Ok(Look::Changed)
    }

    /// The report with these claims, if they change it.
    async fn claimed(
        &self,
        report: &Report,
        claims: Claims,
        database: Arc<Database>,
    ) -> Result<Option<Report>, AmendError> {
        if !claims.concern(report) {
            return Ok(None);
        }
        let (digest, report) = (report.digest.clone(), report.clone());
        let most = self.parts.engine.limits().packages;
        let matching = tokio::task::spawn_blocking(move || {
            attached::claim(&report, &claims, &database, most, Timestamp::now())
        });
        Ok(matching.await.map_err(|_| AmendError::Panicked(digest))??)
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

    /// Notes that an index lists an image. Losing the note costs that the index keeps its verdict until it is scanned.
    async fn note_parent(&self, child: &Digest, index: &Digest) -> Result<(), StoreError> {
        let mut parents = self.parents(child).await?;
        if parents.first() != Some(index) {
            parents.retain(|parent| parent != index);
            parents.insert(0, index.clone());
            parents.truncate(MOST_PARENTS);
        }
        let text: Vec<&str> = parents.iter().map(Digest::as_str).collect();
        self.parts.notes.keep(&parents_of(child), text.join("\n").as_bytes(), MEMORY).await
    }

    async fn parents(&self, child: &Digest) -> Result<Vec<Digest>, StoreError> {
        let noted = self.parts.notes.read(&parents_of(child)).await?.unwrap_or_default();
        let text = String::from_utf8_lossy(&noted);
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Judges the indexes that list an image again.
    async fn restate_parents(&self, child: &Digest) -> Result<(), AmendError> {
        for parent in self.parents(child).await? {
            self.restate(&parent).await?;
        }
        Ok(())
    }
}

fn parents_of(child: &Digest) -> NoteName {
    NoteName::new("parents", child.as_str())
}

fn can_have_attachments(report: &Report) -> bool {
    match report.subject {
        Subject::Image(_) | Subject::Index { .. } => true,
        Subject::Artifact { .. } | Subject::Unreadable => false,
    }
}
