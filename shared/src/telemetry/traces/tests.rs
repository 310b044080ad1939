//! Spans as they come out.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry::trace::{SpanId, SpanKind, Status, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};

use super::*;
use crate::model::digest::Digest;
use crate::model::job::{Job, Lane};

static ENDED: Mutex<Vec<SpanData>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Memory;

impl SpanProcessor for Memory {
    fn on_start(&self, _span: &mut opentelemetry_sdk::trace::Span, _context: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        ENDED.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Has every test of this process trace, into memory.
pub(crate) fn collect() {
    static PROVIDER: LazyLock<SdkTracerProvider> = LazyLock::new(|| {
        let provider = SdkTracerProvider::builder().with_span_processor(Memory).build();
        let tracer = provider.tracer("tests");
        let tracing = Tracing { tracer, callers: Callers::Followed, sample_ratio: 1.0 };
        TRACER.set(tracing).expect("nobody else sets it");
        provider
    });
    LazyLock::force(&PROVIDER);
}

/// The spans of one trace that have ended.
fn ended(trace: &str) -> Vec<SpanData> {
    let trace = TraceId::from_hex(trace).unwrap();
    let ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
    ended.iter().filter(|span| span.span_context.trace_id() == trace).cloned().collect()
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    span.attributes.iter().find(|found| found.key.as_str() == key).map(|found| found.value.to_string())
}

fn place() -> Place {
    Place { system: "rabbitmq", destination: "jobs:push".to_owned() }
}

fn scan(lane: Lane) -> Job {
    let image = "registry.example.com/team/app".parse().unwrap();
    Job::scan(image, Digest::of(b"image"), None, lane, Timestamp::now())
}

#[tokio::test]
async fn a_job_continues_the_trace_of_the_request_that_published_it() {
    collect();
    let job = scan(Lane::Push);
    let parent = "00-11111111111111111111111111111111-2222222222222222-01";
    let request = request("BREW", "/webhooks/{source}", |name| Some(parent).filter(|_| name == TRACEPARENT));
    let published = request
        .around(async {
            let span = publish(&job, place);
            span.failed("not_queued");
            span.context()
        })
        .await;
    let origin = Origin { place: place(), trace: published };
    for attempt in [1, 2] {
        let process = process(&job, attempt, &origin);
        process.around(async { drop(stage("match")) }).await;
    }
    let trace = request.trace_id().unwrap();
    drop(request);
    let ended = ended(&trace);
    let of = |name: &str| ended.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let (server, producer) = (of("_OTHER /webhooks/{source}")[0], of("publish jobs:push")[0]);
    assert_eq!(server.parent_span_id, SpanId::from_hex("2222222222222222").unwrap());
    assert_eq!((&server.span_kind, &producer.span_kind), (&SpanKind::Server, &SpanKind::Producer));
    assert_eq!(producer.parent_span_id, server.span_context.span_id());
    assert_eq!(
        (&producer.status, attribute(producer, "error.type").as_deref()),
        (&Status::error(""), Some("not_queued"))
    );
    let attempts = of("process jobs:push");
    assert_eq!(attempts.len(), 2, "beside each other");
    for (attempt, stage) in attempts.iter().zip(of("match")) {
        assert_eq!(attempt.parent_span_id, producer.span_context.span_id());
        assert_eq!(stage.parent_span_id, attempt.span_context.span_id());
        assert_eq!(attribute(attempt, "oci.manifest.digest"), Some(Digest::of(b"image").to_string()));
    }
}

#[tokio::test]
async fn what_fans_out_is_linked_and_what_has_no_parent_is_no_stage() {
    collect();
    let sweeping = publish(&scan(Lane::Background), place);
    let published = sweeping.context();
    let origin = Origin { place: place(), trace: published.clone() };
    let one = process(&scan(Lane::Background), 1, &origin);
    let trace = one.trace_id().unwrap();
    assert_ne!(Some(&trace), sweeping.trace_id().as_ref());
    drop(one);
    let ended = ended(&trace);
    let links: Vec<_> = ended[0].links.iter().map(|link| link.span_context.clone()).collect();
    assert_eq!(links, [published.unwrap().span().clone()]);
    assert_eq!(stage("match").context(), None);
    assert_eq!(exchange("GET", "registry.example.com", None).context(), None);
}
