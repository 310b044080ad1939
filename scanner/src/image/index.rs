//! The runnable children of an index, nested indexes included; children themselves are not searched here.
//!
//! Only what no runtime would choose is left out: attestations for `unknown/unknown`, and what its own
//! manifest shows to be an artifact. A mark on a descriptor alone hides nothing: runtimes ignore it.
//! OCI image-spec image-index.md; buildkit, "Image attestation storage".

use std::collections::HashSet;

use shared::model::digest::Digest;
use shared::model::document::{
    Descriptor, Document, INDEX_TYPES, Index, MANIFEST_TYPES, MOST_CHILDREN, essence,
};
use shared::model::problem::{Problem, ProblemKind};
use shared::model::report::{IndexChild, Subject};

use super::classify::ManifestKind;
use super::examine::ExamineError;
use crate::limits::Limits;
use crate::source::{ImageSource, SourceError};

/// What an index turned out to be, and what could not be followed.
pub(super) async fn examine_index(
    source: &dyn ImageSource,
    index: &Index,
    limits: &Limits,
) -> Result<(Subject, Vec<Problem>), ExamineError> {
    let mut children =
        Children { source, limits, found: Vec::new(), seen: HashSet::new(), problems: Vec::new() };
    let mut level = index.manifests.clone();
    let mut depth = 0;
    while !level.is_empty() {
        depth += 1;
        level = children.take(level, depth).await?;
    }
    let Children { found, problems, .. } = children;
    if found.is_empty() {
        let stated = index.artifact_type.clone().or_else(|| index.media_type.clone());
        let artifact_type = stated.unwrap_or_else(|| INDEX_TYPES[0].to_owned());
        return Ok((Subject::Artifact { artifact_type }, problems));
    }
    Ok((Subject::Index { children: found }, problems))
}

struct Children<'a> {
    source: &'a dyn ImageSource,
    limits: &'a Limits,
    found: Vec<IndexChild>,
    seen: HashSet<Digest>,
    problems: Vec<Problem>,
}

impl Children<'_> {
    /// Sorts one level of descriptors; gives the descriptors of the level below.
    async fn take(&mut self, level: Vec<Descriptor>, depth: u32) -> Result<Vec<Descriptor>, ExamineError> {
        let mut below = Vec::new();
        for descriptor in level {
            let media_type = essence(&descriptor.media_type);
            if !self.seen.insert(descriptor.digest.clone()) {
                continue;
            }
            if self.seen.len() > MOST_CHILDREN {
                let detail = format!("the index has more than {MOST_CHILDREN} children");
                self.problems.push(Problem::new(ProblemKind::LimitExceeded, detail));
                return Ok(Vec::new());
            }
            if MANIFEST_TYPES.contains(&media_type.as_str()) {
                self.take_manifest(&descriptor).await?;
            } else if !INDEX_TYPES.contains(&media_type.as_str()) {
                let detail = format!("{} has the unknown type {media_type}", descriptor.digest);
                self.problems.push(Problem::new(ProblemKind::UnknownChildType, detail));
            } else if depth >= self.limits.index_depth {
                let detail = format!("indexes are nested deeper than {}", self.limits.index_depth);
                self.problems.push(Problem::new(ProblemKind::LimitExceeded, detail));
            } else if let Some(Document::Index(index)) = self.document(&descriptor).await? {
                below.extend(index.manifests);
            }
        }
        Ok(below)
    }

    async fn take_manifest(&mut self, descriptor: &Descriptor) -> Result<(), ExamineError> {
        let platform = descriptor.platform.as_ref();
        if platform.is_some_and(|platform| platform.os == "unknown" && platform.architecture == "unknown") {
            return Ok(());
        }
        let is_marked = descriptor.artifact_type.is_some()
            || descriptor.annotations.contains_key("vnd.docker.reference.type");
        if is_marked
            && let Some(Document::Manifest(manifest)) = self.document(descriptor).await?
            && ManifestKind::of(&manifest) != ManifestKind::Image
        {
            return Ok(());
        }
        self.found.push(IndexChild {
            digest: descriptor.digest.clone(),
            platform: platform.and_then(shared::model::document::DescriptorPlatform::known),
        });
        Ok(())
    }

    /// A child's document; one that cannot be had is a problem of the index.
    async fn document(&mut self, descriptor: &Descriptor) -> Result<Option<Document>, ExamineError> {
        let error = match self.source.document(&descriptor.digest).await {
            Ok(document) => return Ok(Some(document)),
            Err(error) => error,
        };
        let kind = match &error {
            SourceError::Unavailable { .. } => return Err(ExamineError::Retryable { source: error }),
            SourceError::Refused { .. } => return Err(ExamineError::Refused { source: error }),
            SourceError::DigestMismatch { .. } => ProblemKind::DigestMismatch,
            SourceError::TooLarge { .. } => ProblemKind::LimitExceeded,
            SourceError::NotFound { .. } | SourceError::Malformed { .. } => ProblemKind::MalformedManifest,
        };
        self.problems.push(Problem::new(kind, error.to_string()));
        Ok(None)
    }
}
