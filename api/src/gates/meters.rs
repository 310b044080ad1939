//! What gates decided and how long it took, by gate.
//!
//! A meter is kept when it was found once: to find it by its labels takes longer than to count with it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use metrics::{Counter, Histogram};

use super::ruling::{Answer, Decision, How};

/// The meters of all gates.
#[derive(Default)]
pub(super) struct Meters {
    seconds: Kept<&'static str, Histogram>,
    decisions: Kept<(&'static str, Answer), Counter>,
    rulings: Kept<(&'static str, Answer, How), Counter>,
}

impl Meters {
    pub(super) fn decided(&self, gate: &'static str, decision: &Decision, took: Duration) {
        let seconds = || metrics::histogram!("tidewaiter_gate_seconds", "gate" => gate);
        self.seconds.meter(gate, seconds).record(took.as_secs_f64());
        let answer = decision.answer();
        let decisions = || metrics::counter!("tidewaiter_gate_decisions_total", "gate" => gate, "answer" => answer.name());
        self.decisions.meter((gate, answer), decisions).increment(1);
        for ruling in &decision.rulings {
            let (answer, how) = (ruling.answer, ruling.how);
            let rulings = || {
                let (answer, how) = (answer.name(), how.name());
                metrics::counter!("tidewaiter_gate_rulings_total", "gate" => gate, "answer" => answer, "how" => how)
            };
            self.rulings.meter((gate, answer, how), rulings).increment(1);
        }
    }
}

/// Meters by their labels, which are few.
struct Kept<L, M>(RwLock<HashMap<L, M>>);

impl<L, M> Default for Kept<L, M> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<L: Eq + Hash, M: Clone> Kept<L, M> {
    fn meter(&self, labels: L, find: impl FnOnce() -> M) -> M {
        // A map of meters is as good as before, whoever panicked while he held it.
        if let Some(meter) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&labels) {
            return meter.clone();
        }
        self.0.write().unwrap_or_else(PoisonError::into_inner).entry(labels).or_insert_with(find).clone()
    }
}
