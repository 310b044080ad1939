//! Verdicts from what is stored: nothing is pulled, so policies may change as often as people like (I6).
//!
//! In: a digest that has a report. Out: what policies think of it now; an index is folded from the reports of
//! its children. Judging is pure and may take a while for a large report: do it where that keeps nobody waiting.

use jiff::Timestamp;

use crate::model::digest::Digest;
use crate::model::report::{Report, Subject};
use crate::model::verdict::Verdict;
use crate::policy::{Circumstances, Place, Policy};
use crate::store::{StoreError, VerdictStore};
use crate::telemetry::chain;

/// A stored report with those of its children.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The report.
    pub report: Report,
    /// Of an index: the reports of its children. One that has none counts as one that could not be judged.
    pub children: Vec<Report>,
}

impl Stored {
    /// What is stored about a digest. `None` if there is no report, or none that this build can read.
    pub async fn read(store: &dyn VerdictStore, digest: &Digest) -> Result<Option<Self>, StoreError> {
        let Some(report) = readable(store, digest).await? else { return Ok(None) };
        let mut children = Vec::new();
        if let Subject::Index { children: listed } = &report.subject {
            for child in listed {
                children.extend(readable(store, &child.digest).await?);
            }
        }
        Ok(Some(Self { report, children }))
    }

    /// What a policy thinks of it now, for everybody.
    pub fn judge(&self, policy: &Policy, now: Timestamp) -> Verdict {
        self.judge_at(policy, now, None)
    }

    /// What a policy thinks of it now at a place, or anywhere.
    pub fn judge_at(&self, policy: &Policy, now: Timestamp, place: Option<&Place>) -> Verdict {
        let circumstances = Circumstances { now, place };
        let children: Vec<Verdict> =
            self.children.iter().map(|child| policy.judge(child, &[], &circumstances)).collect();
        policy.judge(&self.report, &children, &circumstances)
    }
}

async fn readable(store: &dyn VerdictStore, digest: &Digest) -> Result<Option<Report>, StoreError> {
    match store.report(digest).await {
        Err(error @ StoreError::Unreadable { .. }) => {
            tracing::warn!(image.digest = %digest, error = %chain(&error), "report passed over");
            Ok(None)
        }
        other => other,
    }
}
