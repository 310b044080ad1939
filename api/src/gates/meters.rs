//! What gates decided and how long it took, by gate.

use std::time::Duration;

use super::ruling::Decision;

pub(super) fn decided(gate: &'static str, decision: &Decision, took: Duration) {
    metrics::histogram!("tidewaiter_gate_seconds", "gate" => gate).record(took.as_secs_f64());
    metrics::counter!("tidewaiter_gate_decisions_total", "gate" => gate, "answer" => decision.answer().name())
        .increment(1);
    for ruling in &decision.rulings {
        let (answer, how) = (ruling.answer.name(), ruling.how.name());
        metrics::counter!("tidewaiter_gate_rulings_total", "gate" => gate, "answer" => answer, "how" => how)
            .increment(1);
    }
}
