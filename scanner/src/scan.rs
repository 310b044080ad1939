//! One image from digest to reports, without queue, store or lease: what `scan` on the command line does.

use std::sync::Arc;

use jiff::Timestamp;
use shared::model::digest::Digest;
use shared::model::image::Platform;
use shared::model::report::{IndexChild, Report, Subject};

use crate::advisories::{Database, DatabaseError};
use crate::image::{Engine, ExamineError, Progress};
use crate::report::assemble;
use crate::source::ImageSource;

/// The report about a digest; for an index, also those about its children.
#[derive(Debug)]
pub struct Scanned {
    /// About the digest that was asked for.
    pub report: Report,
    /// About each child of an index, in the index's order.
    pub children: Vec<Report>,
}

/// Why a digest could not be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The image could not be examined.
    #[error("{digest} could not be examined")]
    Examine {
        /// Which digest.
        digest: Digest,
        /// Why.
        #[source]
        source: ExamineError,
    },
    /// The advisory database failed.
    #[error("the advisory database cannot be read")]
    Database(#[from] DatabaseError),
    /// The index has nothing for the platform that was asked for.
    #[error("the index has no image for {wanted}, only {known}")]
    NoSuchPlatform {
        /// What was asked for.
        wanted: Platform,
        /// What there is.
        known: String,
    },
}

/// Scans a digest out of `source`; of an index all children, or only the one for `wanted`.
pub async fn scan(
    engine: &Engine,
    source: Arc<dyn ImageSource>,
    digest: &Digest,
    wanted: Option<&Platform>,
    database: &Database,
    progress: Arc<dyn Progress>,
) -> Result<Scanned, ScanError> {
    let report = one(engine, Arc::clone(&source), digest, database, Arc::clone(&progress)).await?;
    let children = match (&report.subject, wanted) {
        (Subject::Index { children }, None) => children.clone(),
        (Subject::Index { children }, Some(wanted)) => vec![child_for(children, wanted)?],
        (Subject::Image(_) | Subject::Artifact { .. } | Subject::Unreadable, _) => Vec::new(),
    };
    let mut reports = Vec::with_capacity(children.len());
    for child in &children {
        reports.push(one(engine, Arc::clone(&source), &child.digest, database, Arc::clone(&progress)).await?);
    }
    Ok(Scanned { report, children: reports })
}

async fn one(
    engine: &Engine,
    source: Arc<dyn ImageSource>,
    digest: &Digest,
    database: &Database,
    progress: Arc<dyn Progress>,
) -> Result<Report, ScanError> {
    let failed = |source| ScanError::Examine { digest: digest.clone(), source };
    let examination = engine.examine(source, digest, progress).await.map_err(failed)?;
    Ok(assemble(examination, database, Timestamp::now())?)
}

fn child_for(children: &[IndexChild], wanted: &Platform) -> Result<IndexChild, ScanError> {
    let fits = |child: &&IndexChild| child.platform.as_ref().is_some_and(|known| known.satisfies(wanted));
    children.iter().find(fits).cloned().ok_or_else(|| {
        let known: Vec<_> =
            children.iter().filter_map(|child| child.platform.as_ref()).map(ToString::to_string).collect();
        ScanError::NoSuchPlatform { wanted: wanted.clone(), known: known.join(", ") }
    })
}
