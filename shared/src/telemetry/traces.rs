//! Traces for whoever collects them: one trace from the webhook that told of a push to the verdict, over every process.
//!
//! Off unless `telemetry.traces.endpoint` is set; a span then costs one look at whether it is. What is measured is said
//! here and nowhere else: `spans` has every kind of span and its attributes by OpenTelemetry's semantic conventions,
//! `context` is what travels in headers (W3C Trace Context), `outbox` keeps ended spans until they are sent, in batches,
//! and `collector` posts them (OTLP/HTTP with protobuf). Spans stand beside the spans of the log, which have fields for
//! people: no log line and none of its fields is ever exported.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{RandomIdGenerator, Sampler, SdkTracer, SdkTracerProvider, SpanLimits};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::TelemetryError;
use crate::config::{Callers, TracesConfig};

mod collector;
mod context;
mod outbox;
mod spans;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::collect;

pub use collector::CollectorError;
pub use context::{TRACEPARENT, TRACESTATE, TraceContext};
pub use spans::{Origin, Place, Span, exchange, process, publish, request, stage};

/// Who makes this process's spans. Set at most once, like the recorder of metrics and the subscriber of the log, and
/// for the same reason: what is measured must not be handed to every function.
static TRACER: OnceLock<Tracing> = OnceLock::new();

/// How this process traces.
#[derive(Debug)]
struct Tracing {
    tracer: SdkTracer,
    /// What is done where somebody else has begun a trace.
    callers: Callers,
    sample_ratio: f64,
}

/// Attributes, events and links of one span; none of ours has as many.
const LIMITS: SpanLimits = SpanLimits {
    max_events_per_span: 16,
    max_attributes_per_span: 64,
    max_links_per_span: 16,
    max_attributes_per_event: 16,
    max_attributes_per_link: 16,
};

/// How long the last spans may take to be sent when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The traces of a process: on, or off.
#[derive(Default)]
#[must_use = "spans that have ended are sent when this is finished"]
pub struct Traces(Option<Sending>);

struct Sending {
    provider: SdkTracerProvider,
    closing: CancellationToken,
    task: JoinHandle<()>,
}

impl Traces {
    /// Traces from now on, as `service` where the configuration names no other. Once a process, within the runtime.
    pub(super) fn start(config: &TracesConfig, service: &'static str) -> Result<Self, TelemetryError> {
        let resource = resource(config, service);
        let collector = collector::Collector::new(config, &resource)?;
        let closing = CancellationToken::new();
        let (outbox, spans) = outbox::Outbox::new();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(outbox)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio))))
            .with_id_generator(RandomIdGenerator::default())
            .with_span_limits(LIMITS)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer("tidewaiter");
        let begun = Tracing { tracer, callers: config.callers, sample_ratio: config.sample_ratio };
        TRACER.set(begun).map_err(|_| TelemetryError::Twice)?;
        let task = tokio::spawn(outbox::send_all(spans, collector, closing.clone()));
        Ok(Self(Some(Sending { provider, closing, task })))
    }

    /// Sends what has ended so far, for as long as a process that ends can wait.
    pub async fn finish(self) {
        let Some(Sending { provider, closing, task }) = self.0 else { return };
        closing.cancel();
        if tokio::time::timeout(LAST_WORDS, task).await.is_err() {
            tracing::warn!("the last traces were not taken in time");
        }
        // Nothing is left for it to do; its destructor would do the same.
        drop(provider);
    }
}

/// Asks the collector whether it would take spans, by sending it none.
pub async fn try_collector(config: &TracesConfig) -> Result<(), CollectorError> {
    let resource = resource(config, "tidewaiter");
    collector::Collector::new(config, &resource)?.try_out().await
}

/// Who traces: name, version, and which of many alike.
fn resource(config: &TracesConfig, service: &'static str) -> Resource {
    let name = config.service_name.clone().unwrap_or_else(|| service.to_owned());
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", name),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", Uuid::now_v7().to_string()),
        ])
        .build()
}
