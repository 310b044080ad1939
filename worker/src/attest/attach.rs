//! Signing what is thought of a digest, and attaching it to the image.
//!
//! Idempotent: where the newest artifact of our key says the same for the same revisions, nothing is written. One worker at
//! a time attaches to one digest of one repository, because the list of referrers has no compare-and-swap.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use shared::attest::artifact::{self, ARTIFACT_TYPE, Artifact, KEY, Layers, STATE};
use shared::attest::dsse::Envelope;
use shared::attest::statement::{Statement, StatementType};
use shared::attest::summary::{self, Speaker};
use shared::attest::tag::{self, Suffix};
use shared::attest::{report as blob, vulnerability};
use shared::config::CosignLayout;
use shared::model::digest::Digest;
use shared::model::document::{Descriptor, Document, INDEX_TYPES, MANIFEST_TYPES, Manifest, essence};
use shared::model::image::ImageName;
use shared::model::report::{Report, Subject};
use shared::model::verdict::{Lookup, Verdict};
use shared::registry::{Deleted, RegistryError};
use shared::store::Lease;
use shared::telemetry::chain;

use super::{AttestError, Press, Work, is_stated, worst};
use crate::hold::{Held, under_lease};
use crate::job::Carrier;

/// How long one job waits for another worker that attaches to the same digest.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many artifacts that a newer one replaces are taken away at once.
const MOST_REMOVED: usize = 16;

/// Everything that is about to be stated about one digest.
struct Wish<'a> {
    image: &'a ImageName,
    press: &'a Press,
    report: Report,
    verdicts: Vec<Verdict>,
}

impl Carrier {
    pub(super) async fn attach(
        &self,
        image: &ImageName,
        digest: &Digest,
        press: &Press,
    ) -> Result<Work, AttestError> {
        let Some(report) = self.parts.store.report(digest).await? else { return Ok(Work::Nothing) };
        let verdicts = self.stated_verdicts(&report, press).await?;
        if verdicts.is_empty() {
            return Ok(Work::Nothing);
        }
        let wish = Wish { image, press, report, verdicts };
        // Leases are for digests: this one stands for "attaching to that digest in that repository".
        let key = Digest::of(format!("attach {}", image.at(digest)).as_bytes());
        let began = Instant::now();
        loop {
            let work = |_lease: Arc<Lease>| self.attach_holding(&wish);
            match under_lease(&self.parts.leases, &key, self.parts.lease, work).await? {
                Held::Done(work) => return Ok(work),
                Held::Busy { .. } if began.elapsed() > PATIENCE => {
                    return Err(AttestError::Busy(digest.clone()));
                }
                Held::Busy { remaining } => {
                    tokio::time::sleep(remaining.min(Duration::from_millis(500))).await;
                }
            }
        }
    }

    /// The verdicts that are current for the stored report. An index has some only when every child was judged.
    async fn stated_verdicts(&self, report: &Report, press: &Press) -> Result<Vec<Verdict>, AttestError> {
        let children: Vec<Digest> = match &report.subject {
            Subject::Image(_) => Vec::new(),
            Subject::Index { children } => children.iter().map(|child| child.digest.clone()).collect(),
            Subject::Artifact { .. } | Subject::Unreadable => return Ok(Vec::new()),
        };
        let policies = self.parts.policies.load_full();
        let now = Timestamp::now();
        let mut stated = Vec::new();
        for policy in policies.iter() {
            if press.policies.as_ref().is_some_and(|named| !named.contains(&policy.name)) {
                continue;
            }
            let judged =
                |lookup: &Lookup| matches!(lookup, Lookup::Known(verdict) if is_stated(verdict.outcome));
            if !children.is_empty() {
                let found = self.parts.store.lookup(&children, &policy.name).await?;
                if !found.iter().all(judged) {
                    continue;
                }
            }
            let found = self.parts.store.lookup(std::slice::from_ref(&report.digest), &policy.name).await?;
            stated.extend(found.into_iter().filter(judged).filter_map(|lookup| match lookup {
                Lookup::Known(verdict)
                    if verdict.revisions == report.revisions && verdict.is_current(&policy.revision, now) =>
                {
                    Some(Arc::unwrap_or_clone(verdict))
                }
                Lookup::Known(_) | Lookup::Unknown | Lookup::Pending(_) => None,
            }));
        }
        Ok(stated)
    }

    async fn attach_holding(&self, wish: &Wish<'_>) -> Result<Work, AttestError> {
        let registries = &self.parts.registries;
        let Some(subject) = self.subject(wish).await? else { return Ok(Work::Nothing) };
        let key = wish.press.signer.public_key().id();
        let stated = artifact::state(&wish.report.revisions, &wish.verdicts);
        let state = match wish.press.cosign {
            CosignLayout::Off => stated,
            CosignLayout::Tag => format!("{stated}-tag"),
            CosignLayout::Bundle => format!("{stated}-bundle"),
        };
        let listed = registries.referrers(wish.image, &subject.digest, ARTIFACT_TYPE).await?;
        let mut own = artifact::newest_first(listed);
        own.retain(|referrer| referrer.annotations.get(KEY).is_some_and(|owner| owner == key));
        if let Some(newest) = own.first()
            && newest.annotations.get(STATE) == Some(&state)
            && self.says_something(wish, newest).await
        {
            return Ok(Work::Current);
        }
        match wish.press.cosign {
            CosignLayout::Off => {}
            CosignLayout::Tag => self.attach_tag(wish).await?,
            CosignLayout::Bundle => self.attach_bundle(wish, &subject).await?,
        }
        // The own artifact comes last: that it is there says that everything is.
        let artifact = self.artifact(wish, &subject, &state).await?;
        let superseded: Vec<Digest> = own.into_iter().map(|referrer| referrer.digest).collect();
        let attached = self.push(wish.image, &subject.digest, &artifact, &superseded).await?;
        tracing::info!(image.digest = %subject.digest, attestation = %artifact.descriptor.digest, how = ?attached, "verdict attached");
        self.remove(wish, &superseded, ARTIFACT_TYPE).await;
        Ok(Work::Attached)
    }

    /// The image as its artifacts name it; `None` where it is gone, or is itself about something else: no attestation
    /// of attestations.
    async fn subject(&self, wish: &Wish<'_>) -> Result<Option<Descriptor>, AttestError> {
        let digest = &wish.report.digest;
        let raw = match self.parts.registries.raw_document(wish.image, digest).await {
            Ok(raw) => raw,
            Err(RegistryError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (about, stated, fallback) = match Document::parse(&raw.bytes, raw.content_type.as_deref()) {
            Ok(Document::Manifest(manifest)) => (manifest.subject, manifest.media_type, MANIFEST_TYPES[0]),
            Ok(Document::Index(index)) => (index.subject, index.media_type, INDEX_TYPES[0]),
            Err(_) => return Ok(None),
        };
        if about.is_some() {
            return Ok(None);
        }
        let media_type = stated.or_else(|| raw.content_type.as_deref().map(essence));
        let media_type = media_type.unwrap_or_else(|| fallback.to_owned());
        Ok(Some(artifact::described(&media_type, &raw.bytes, std::collections::BTreeMap::new())))
    }

    /// Whether an artifact that claims to say what we would say was signed by somebody whom we believe. Annotations
    /// are hints: whoever may push could otherwise keep us from attaching with one forged line.
    async fn says_something(&self, wish: &Wish<'_>, newest: &Descriptor) -> bool {
        let own = std::slice::from_ref(wish.press.signer.public_key());
        match self.parts.registries.believed(wish.image, &wish.report.digest, &newest.digest, own).await {
            Ok(found) => wish.verdicts.iter().all(|verdict| {
                found.summaries.iter().any(|summary| {
                    summary.policy == verdict.policy
                        && summary.policy_revision == verdict.policy_revision
                        && summary.revisions == verdict.revisions
                        && summary.outcome == verdict.outcome
                        && summary.valid_until == verdict.valid_until
                })
            }),
            Err(_) => false,
        }
    }

    async fn artifact(
        &self,
        wish: &Wish<'_>,
        subject: &Descriptor,
        state: &str,
    ) -> Result<Artifact, AttestError> {
        let report = blob::encode(&wish.report)?;
        let named = Digest::of(&report);
        let name = wish.image.to_string();
        let now = Timestamp::now();
        let mut summaries = Vec::new();
        for verdict in &wish.verdicts {
            let Some(predicate) = summary::predicate(verdict, wish.image, &named, wish.press.speaker(now))
            else {
                continue;
            };
            let statement = Statement {
                kind: StatementType::V1,
                name: &name,
                digest: &subject.digest,
                predicate_type: summary::PREDICATE_TYPE,
                predicate: &predicate,
            };
            summaries.push(statement.sign(wish.press.signer.as_ref()).await?);
        }
        let key = wish.press.signer.public_key().id();
        let stated = (state, worst(&wish.verdicts).name());
        Ok(artifact::build(subject, report, &summaries, key, stated, now))
    }

    async fn push(
        &self,
        image: &ImageName,
        subject: &Digest,
        artifact: &Artifact,
        superseded: &[Digest],
    ) -> Result<shared::registry::Attached, AttestError> {
        let registries = &self.parts.registries;
        for blob in &artifact.blobs {
            registries.push_blob(image, blob).await?;
        }
        Ok(registries.attach(image, subject, &artifact.manifest, &artifact.descriptor, superseded).await?)
    }

    /// Takes away what a newer artifact replaces. It is a courtesy: that it fails is no failure, the newest counts.
    ///
    /// Only what is itself of that type, about this digest and made by this key is removed: the list of referrers is
    /// anybody's to write, and must not have us delete an image.
    async fn remove(&self, wish: &Wish<'_>, superseded: &[Digest], artifact_type: &str) {
        let key = wish.press.signer.public_key().id();
        for digest in superseded.iter().take(MOST_REMOVED) {
            let ours = match self.parts.registries.document(wish.image, digest).await {
                Ok(Document::Manifest(manifest)) => {
                    is_ours(&manifest, &wish.report.digest, artifact_type, key)
                }
                Ok(Document::Index(_)) | Err(_) => false,
            };
            if !ours {
                continue;
            }
            match self.parts.registries.delete_manifest(wish.image, digest).await {
                Ok(Deleted::Gone) => {}
                Ok(Deleted::NotAllowed) => return,
                Err(error) => {
                    tracing::debug!(error = %chain(&error), "superseded attestation not removed");
                    return;
                }
            }
        }
    }

    async fn vulnerability_envelope(&self, wish: &Wish<'_>) -> Result<Envelope, AttestError> {
        let speaker = wish.press.speaker(Timestamp::now());
        let predicate = vulnerability::predicate(&wish.report, &wish.verdicts, wish.image, speaker);
        let name = wish.image.to_string();
        let statement = Statement {
            kind: wish.press.statement_type,
            name: &name,
            digest: &wish.report.digest,
            predicate_type: vulnerability::PREDICATE_TYPE,
            predicate: &predicate,
        };
        Ok(statement.sign(wish.press.signer.as_ref()).await?)
    }

    /// Puts our envelope beside those of others under cosign's tag.
    async fn attach_tag(&self, wish: &Wish<'_>) -> Result<(), AttestError> {
        let registries = &self.parts.registries;
        let envelope = self.vulnerability_envelope(wish).await?;
        let att = tag::of(&wish.report.digest, Suffix::Attestations);
        let earlier = registries.tagged(wish.image, &att).await?;
        let earlier =
            earlier.and_then(|raw| match Document::parse(&raw.bytes, raw.content_type.as_deref()) {
                Ok(Document::Manifest(manifest)) => Some(manifest),
                Ok(Document::Index(_)) | Err(_) => None,
            });
        let key = wish.press.signer.public_key().id();
        let artifact = tag::manifest(earlier.as_deref(), &envelope, key);
        for blob in &artifact.blobs {
            registries.push_blob(wish.image, blob).await?;
        }
        registries.push_manifest(wish.image, Some(&att), MANIFEST_TYPES[0], &artifact.manifest).await?;
        Ok(())
    }

    async fn attach_bundle(&self, wish: &Wish<'_>, subject: &Descriptor) -> Result<(), AttestError> {
        let envelope = self.vulnerability_envelope(wish).await?;
        let key = wish.press.signer.public_key().id();
        let artifact = tag::bundle(subject, &envelope, key, Timestamp::now());
        let listed = self.parts.registries.referrers(wish.image, &subject.digest, tag::BUNDLE_TYPE).await?;
        let own =
            listed.into_iter().filter(|bundle| bundle.annotations.get(KEY).is_some_and(|owner| owner == key));
        let superseded: Vec<Digest> = own.map(|bundle| bundle.digest).collect();
        self.push(wish.image, &subject.digest, &artifact, &superseded).await?;
        self.remove(wish, &superseded, tag::BUNDLE_TYPE).await;
        Ok(())
    }
}

impl Press {
    fn speaker(&self, now: Timestamp) -> Speaker<'_> {
        Speaker { id: &self.verifier, version: env!("CARGO_PKG_VERSION"), now }
    }
}

/// Whether a manifest, whose digest was verified, is an artifact of this type about `subject` by this key.
fn is_ours(manifest: &Manifest, subject: &Digest, artifact_type: &str, key: &str) -> bool {
    manifest.artifact_type.as_deref() == Some(artifact_type)
        && manifest.subject.as_ref().is_some_and(|named| named.digest == *subject)
        && manifest.annotations.get(KEY).is_some_and(|owner| owner == key)
        && (artifact_type != ARTIFACT_TYPE || Layers::of(manifest, subject).is_some())
}
