//! Taking back what we attached ourselves: a digest of which the store knows nothing is looked up in its registry before
//! its layers are pulled (I13).
//!
//! A report is believed if one of the trusted keys has signed a summary about exactly this digest, which names exactly this
//! blob, made by exactly these analyzers. An older attestation that somebody puts back gains nothing: the inventory of
//! the same bytes by the same analyzers is the same, and it is matched against today's advisories and judged by
//! today's policies. Whatever else is found changes nothing: the image is scanned.

use shared::attest::artifact::{self, ARTIFACT_TYPE};
use shared::attest::report::{self, LARGEST_BLOB};
use shared::config::{Restore, Trust};
use shared::model::digest::Digest;
use shared::model::image::ImageName;
use shared::model::report::{Report, Subject};
use shared::registry::RegistryClient;
use shared::telemetry::chain;

use crate::job::Carrier;

/// How many artifacts are looked at, newest first, before the image is scanned.
const MOST_LOOKED_AT: usize = 4;

impl Carrier {
    /// The report that we attached to the image, if there is one that can be believed and used as it is.
    pub(crate) async fn restored(
        &self,
        client: &RegistryClient,
        image: &ImageName,
        digest: &Digest,
    ) -> Option<Report> {
        let trust = self.parts.attest.trust.as_ref()?;
        match trust.restore {
            Restore::ByScanning => return None,
            Restore::FromAttestations => {}
        }
        if !trust.covers(&image.registry) {
            return None;
        }
        let listed = match client.referrers(image, digest, ARTIFACT_TYPE).await {
            Ok(listed) => listed,
            Err(error) => {
                tracing::info!(image.digest = %digest, error = %chain(&error), "attestations not listed");
                return None;
            }
        };
        for referrer in artifact::newest_first(listed).into_iter().take(MOST_LOOKED_AT) {
            match self.taken_back(client, image, digest, &referrer.digest, trust).await {
                Ok(report) => {
                    tracing::info!(image.digest = %digest, attestation = %referrer.digest, "report restored");
                    return Some(report);
                }
                Err(reason) => {
                    metrics::counter!("tidewaiter_attestations_refused_total").increment(1);
                    tracing::info!(image.digest = %digest, attestation = %referrer.digest, reason, "attestation not used");
                }
            }
        }
        None
    }

    async fn taken_back(
        &self,
        client: &RegistryClient,
        image: &ImageName,
        digest: &Digest,
        artifact: &Digest,
        trust: &Trust,
    ) -> Result<Report, String> {
        let found = client.believed(image, digest, artifact, &trust.keys).await;
        let found = found.map_err(|error| chain(&error))?;
        let blob = found.report.ok_or("it has no report")?;
        let named = found.summaries.iter().find(|summary| summary.report == blob.digest);
        let summary = named.ok_or("no trusted summary names its report")?;
        let analyzer = self.parts.engine.revision();
        if summary.revisions.analyzer != analyzer {
            return Err(format!(
                "it was made by analyzers {}, these are {analyzer}",
                summary.revisions.analyzer
            ));
        }
        let bytes = client.small_blob(image, &blob, LARGEST_BLOB).await;
        let bytes = bytes.map_err(|error| chain(&error))?;
        let expected = digest.clone();
        let decoded = tokio::task::spawn_blocking(move || report::decode(&expected, &bytes)).await;
        let report = decoded.map_err(|error| chain(&error))?.map_err(|error| chain(&error))?;
        if report.revisions != summary.revisions {
            return Err("its report has other revisions than its summary".to_owned());
        }
        match report.subject {
            Subject::Image(_) | Subject::Index { .. } => Ok(report),
            Subject::Artifact { .. } | Subject::Unreadable => Err("its report is about no image".to_owned()),
        }
    }
}
