//! Taking back what we attached ourselves: a digest of which the store knows nothing is looked up in its registry before
//! its layers are pulled (I13).
//!
//! A report is believed if one of the trusted keys has signed a summary about exactly this digest, which names exactly this
//! blob, made by exactly these analyzers. An older attestation that somebody puts back gains nothing: the inventory of
//! the same bytes by the same analyzers is the same, and it is matched against today's advisories and judged by
//! today's policies. Whatever else is found changes nothing: the image is scanned.
//!
//! What the attestation says of the verdict is no fact for gates, but it is what people were told: a verdict that comes out
//! as it was is no news, and nobody is woken for it.

use shared::attest::artifact::{self, ARTIFACT_TYPE};
use shared::attest::report::{self, LARGEST_BLOB};
use shared::attest::summary::Summary;
use shared::config::{Restore, Trust};
use shared::model::digest::Digest;
use shared::model::image::ImageName;
use shared::model::report::{Report, Subject};
use shared::model::verdict::Verdict;
use shared::policy::{Circumstances, PolicySet};
use shared::registry::RegistryClient;
use shared::telemetry::chain;

use crate::job::Carrier;
use crate::judge::of_policy;

/// How many artifacts are looked at, newest first, before the image is scanned.
const MOST_LOOKED_AT: usize = 4;

/// What we attached to an image and can use.
pub(crate) struct Restored {
    /// As it was when it was attached.
    pub(crate) report: Report,
    /// What was stated of it then, one for each policy.
    summaries: Vec<Summary>,
}

impl Restored {
    /// The verdicts that people were told of, where `children` are those of an index. The outcome is what was stated; why, is
    /// said by today's policy of yesterday's facts, for statements are too short to compare.
    pub(crate) fn stood(&self, policies: &PolicySet, children: &[Verdict]) -> Vec<Verdict> {
        let stood = |summary: &Summary| {
            let policy = policies.iter().find(|policy| policy.name == summary.policy)?;
            let then = Circumstances::anywhere(summary.verified_at);
            Some(Verdict {
                outcome: summary.outcome,
                mode: summary.mode,
                policy_revision: summary.policy_revision.clone(),
                ..policy.judge(&self.report, &of_policy(children, &policy.name), &then)
            })
        };
        self.summaries.iter().filter_map(stood).collect()
    }
}

impl Carrier {
    /// The report that we attached to the image, if there is one that can be believed and used as it is.
    pub(crate) async fn restored(
        &self,
        client: &RegistryClient,
        image: &ImageName,
        digest: &Digest,
    ) -> Option<Restored> {
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
                Ok(restored) => {
                    tracing::info!(image.digest = %digest, attestation = %referrer.digest, "report restored");
                    return Some(restored);
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
    ) -> Result<Restored, String> {
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
            Subject::Image(_) | Subject::Index { .. } => {
                let about_it = |summary: &Summary| summary.report == blob.digest;
                Ok(Restored { report, summaries: found.summaries.into_iter().filter(about_it).collect() })
            }
            Subject::Artifact { .. } | Subject::Unreadable => Err("its report is about no image".to_owned()),
        }
    }
}
