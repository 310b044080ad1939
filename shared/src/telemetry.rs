//! What a process says of itself: log lines on standard error, metrics for Prometheus, and traces for a collector.
//!
//! Field names are dotted and the same everywhere: `image.name image.digest layer.digest job.id
//! job.subject job.attempt analyzer.name advisory.id policy.name verdict.outcome problem.kind duration_ms size_bytes`.

mod catalogue;
pub mod traces;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogFormat, TelemetryConfig};

pub use catalogue::metrics_document;
use traces::{CollectorError, Traces};

/// Why telemetry cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter directives do not parse.
    #[error("telemetry.log: {0:?} is no filter; expected for example info or info,worker=debug")]
    Filter(String),
    /// Something in this process has set up logging or metrics before.
    #[error("telemetry was set up twice in this process")]
    Twice,
    /// Traces cannot be sent as configured.
    #[error(transparent)]
    Traces(#[from] CollectorError),
}

/// Sends log lines to standard error from now on. Once a process.
pub fn start_logging(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let filter = filter(&config.log).map_err(|_| TelemetryError::Filter(config.log.clone()))?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let lines = match config.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).boxed(),
    };
    let discreet = filter_fn(|line| !tells_secrets(line.target(), *line.level()));
    let set = tracing_subscriber::registry().with(lines).with(filter).with(discreet).try_init();
    set.map_err(|_| TelemetryError::Twice)
}

/// What is written. The AMQP client reports each attempt to connect several times as an error, through a whole outage,
/// and the queue tells of that itself, once: it is heard only by whoever asks for it.
fn filter(directives: &str) -> Result<EnvFilter, ParseError> {
    let filter = EnvFilter::try_new(directives)?;
    if directives.contains("lapin") {
        return Ok(filter);
    }
    Ok(filter.add_directive("lapin=off".parse()?))
}

/// Whether a library writes lines there that hold what it was told in confidence: the AMQP client writes every frame,
/// and the one with the password is among them. No filter directive brings them back.
fn tells_secrets(target: &str, level: Level) -> bool {
    let is_amqp = ["lapin", "amq_protocol", "async_rs"].iter().any(|library| target.starts_with(library));
    is_amqp && level == Level::TRACE
}

/// Sends traces where the configuration says, if it says so, as `service` where it names no other. Once a process,
/// within the runtime.
pub fn start_traces(config: &TelemetryConfig, service: &'static str) -> Result<Traces, TelemetryError> {
    match &config.traces {
        Some(traces) => Traces::start(traces, service),
        None => Ok(Traces::default()),
    }
}

/// Bounds of duration histograms, in seconds: from a cache hit to a large image.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

/// Collects metrics from now on; the handle renders them for `/metrics`. Once a process.
pub fn start_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .map_err(|_| TelemetryError::Twice)?;
    let handle = builder.install_recorder().map_err(|_| TelemetryError::Twice)?;
    catalogue::describe();
    metrics::gauge!("tidewaiter_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// An error with everything behind it on one line: TLS and network causes hide in `source`.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Lets one line through in so many seconds: what thousands of requests meet at the same time is told once, with how
/// many others met it.
#[derive(Debug)]
pub struct Throttle {
    /// When the next line may pass, in milliseconds on the clock of [`Throttle::pass`].
    next_ms: AtomicU64,
    held_back: AtomicU64,
}

impl Throttle {
    /// How long after one line the next may pass.
    const PAUSE: Duration = Duration::from_secs(10);

    /// Lets the first one through.
    pub const fn new() -> Self {
        Self { next_ms: AtomicU64::new(0), held_back: AtomicU64::new(0) }
    }

    /// Whether a line may be written now, and how many were held back since the last one.
    pub fn pass(&self) -> Option<u64> {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        self.pass_at(BEGAN.elapsed())
    }

    fn pass_at(&self, now: Duration) -> Option<u64> {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let next = self.next_ms.load(Ordering::Relaxed);
        let after = now.saturating_add(Self::PAUSE.as_millis() as u64);
        // Of several at the same moment one wins; the others are held back.
        let won = next <= now
            && self.next_ms.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if won {
            return Some(self.held_back.swap(0, Ordering::Relaxed));
        }
        self.held_back.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_amqp_client_is_heard_by_whoever_asks_and_its_frames_by_nobody() {
        assert_eq!(filter("info").unwrap().to_string(), "lapin=off,info");
        assert_eq!(filter("info,lapin=debug").unwrap().to_string(), "lapin=debug,info");
        assert!(filter("info,=").is_err());
        for (target, level, told) in [
            ("lapin::io_loop", Level::TRACE, false),
            ("lapin::io_loop", Level::DEBUG, true),
            ("shared::queue", Level::TRACE, true),
        ] {
            assert_eq!(tells_secrets(target, level), !told, "{target} {level}");
        }
    }

    #[test]
    fn one_line_passes_in_ten_seconds_and_tells_of_the_others() {
        let throttle = Throttle::new();
        let at = |seconds| throttle.pass_at(Duration::from_secs(seconds));
        let passed: Vec<_> = [3, 3, 4, 12, 13, 14, 60].map(at).to_vec();
        assert_eq!(passed, [Some(0), None, None, None, Some(3), None, Some(1)]);
    }
}
