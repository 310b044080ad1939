//! Percentiles of what was measured.

use std::time::Duration;

/// The value below which `share` of all values lie (nearest rank).
pub(crate) fn percentile(values: &mut [Duration], share: f64) -> Duration {
    assert!(!values.is_empty(), "nothing was measured");
    values.sort_unstable();
    let rank = (values.len() as f64 * share).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

/// The middle of some figures.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    assert!(!values.is_empty(), "nothing was measured");
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Half and nearly all: `p50 3.1 ms, p95 4.8 ms`.
pub(crate) fn spread(values: &mut [Duration]) -> String {
    format!(
        "p50 {}, p95 {} of {}",
        shown(percentile(values, 0.5)),
        shown(percentile(values, 0.95)),
        values.len()
    )
}

/// A duration with three digits that count.
pub(crate) fn shown(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1e3;
    match milliseconds {
        1000.0.. => format!("{:.2} s", milliseconds / 1e3),
        10.0.. => format!("{milliseconds:.0} ms"),
        _ => format!("{milliseconds:.2} ms"),
    }
}
