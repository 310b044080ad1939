//! The wait for verdicts that are still to come, as long as they can change what the caller is told.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use shared::model::digest::Digest;
use shared::model::verdict::{Mode, PolicyName};
use shared::policy::{FailMode, Policy};
use tokio::time::Instant;

use super::archive::{Finding, Ledger};
use super::question::{Enqueue, Patience};
use super::ruling::Answer;
use super::{Case, Gates};

/// By digest what policies want waited for, and what was found before.
pub(super) type Held = BTreeMap<Digest, BTreeMap<PolicyName, (Arc<Policy>, Finding)>>;

/// The verdicts that a policy wants waited for.
pub(super) fn held(cases: &[Case], ledger: &Ledger, unqueued: &HashMap<Digest, String>) -> Held {
    let mut held = Held::new();
    for (case, digest) in cases.iter().filter_map(|case| Some((case, case.scannable()?))) {
        for policy in case.policies.iter().filter(|policy| policy.mode == Mode::Enforce) {
            let finding = ledger.get(policy, digest);
            let hopeless = unqueued.contains_key(digest) && !matches!(finding, Finding::Pending);
            let waits = finding.wants_scan(policy) && finding.fail_mode(policy) == Some(FailMode::Wait);
            if waits && !hopeless && !case.is_forbidden(policy) {
                let row = (Arc::clone(policy), finding.clone());
                held.entry(digest.clone()).or_default().insert(policy.name.clone(), row);
            }
        }
    }
    held
}

impl Gates {
    /// Waits for the verdicts that a policy wants waited for, all at once, as long as they can change what the
    /// caller is told.
    pub(super) async fn hold(
        &self,
        held: Held,
        cases: &[Case],
        ledger: &mut Ledger,
        patience: Patience,
        deadline: Instant,
    ) {
        let settled = cases.iter().filter(|case| case.scannable().is_none_or(|one| !held.contains_key(one)));
        if held.is_empty() || self.is_decided(settled, ledger, patience, deadline).await {
            return;
        }
        let mut waiting: FuturesUnordered<_> = held
            .into_iter()
            .map(|(digest, rows)| async move {
                let rows: Vec<_> = rows.into_values().collect();
                let news = self.archive.wait(&digest, &rows, deadline).await;
                (digest, news)
            })
            .collect();
        while let Some((digest, news)) = waiting.next().await {
            for (policy, finding) in news {
                ledger.put(&policy, &digest, finding);
            }
            let told = cases.iter().filter(|case| case.scannable() == Some(&digest));
            if self.is_decided(told, ledger, patience, deadline).await {
                return;
            }
        }
    }

    /// Whether the answer is the same whatever becomes of the images that are not among these.
    async fn is_decided(
        &self,
        cases: impl Iterator<Item = &Case>,
        ledger: &Ledger,
        patience: Patience,
        deadline: Instant,
    ) -> bool {
        match patience {
            Patience::EachImage => false,
            Patience::None => true,
            Patience::WholeAnswer => {
                let nothing = HashMap::new();
                let times = (deadline, None);
                let rulings = cases.map(|case| self.rule(case, ledger, &nothing, Enqueue::Allowed, times));
                join_all(rulings).await.iter().any(|ruling| ruling.answer == Answer::Denied)
            }
        }
    }
}
