//! An OpenTelemetry collector: takes OTLP over HTTP, and remembers every span.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::{Context, Result};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tests::process::free_port;
use tests::site::eventually;

/// The header by which it knows its senders.
pub(crate) const HEADER: &str = "authorization: Bearer the-key-of-the-collector";

/// A span as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `service.name`.
    pub(crate) service: String,
    /// `service.instance.id`.
    pub(crate) instance: String,
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty where there is none.
    pub(crate) parent: String,
    /// By its number in the protocol: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub(crate) kind: i32,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Whether its status is an error.
    pub(crate) failed: bool,
}

#[derive(Default)]
struct Heard {
    spans: Vec<Seen>,
    bytes: Vec<u8>,
    strangers: usize,
}

type Shared = Arc<Mutex<Heard>>;

pub(crate) struct Collector {
    port: u16,
    heard: Shared,
    running: Option<ServerHandle>,
}

impl Collector {
    /// One that is not there yet.
    pub(crate) fn absent() -> Result<Self> {
        Ok(Self { port: free_port()?, heard: Arc::default(), running: None })
    }

    pub(crate) fn start() -> Result<Self> {
        let mut collector = Self::absent()?;
        collector.open()?;
        Ok(collector)
    }

    pub(crate) fn open(&mut self) -> Result<()> {
        let heard = web::Data::new(Arc::clone(&self.heard));
        let server = HttpServer::new(move || {
            let limit = web::PayloadConfig::new(16 << 20);
            let app = App::new().app_data(heard.clone()).app_data(limit);
            app.route("/v1/traces", web::post().to(take))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", self.port))?.run();
        self.running = Some(server.handle());
        tokio::spawn(server);
        Ok(())
    }

    /// The section that has a process send its traces here.
    pub(crate) fn section(&self) -> String {
        let port = self.port;
        format!(
            "[telemetry.traces]\nendpoint = \"http://127.0.0.1:{port}\"\nplain_http = true\nheaders = \"{HEADER}\"\n"
        )
    }

    /// Every byte that arrived.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).bytes.clone()
    }

    /// Requests without the header.
    pub(crate) fn strangers(&self) -> usize {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).strangers
    }

    /// The spans that arrived.
    pub(crate) fn spans(&self) -> Vec<Seen> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).spans.clone()
    }

    /// The spans of a trace, once one of them has this name.
    pub(crate) async fn trace_with(&self, trace: &str, name: &str) -> Result<Vec<Seen>> {
        let of_trace = || self.spans().into_iter().filter(|span| span.trace == trace).collect::<Vec<_>>();
        let arrived = || async { Ok(of_trace().iter().any(|span| span.name == name)) };
        let waited = eventually(&format!("span {name}"), arrived).await;
        waited.with_context(|| format!("of the trace there are {:#?}", of_trace()))?;
        // What ended in the same moment may be in the next request.
        tokio::time::sleep(Duration::from_millis(1500)).await;
        Ok(of_trace())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            tokio::spawn(running.stop(false));
        }
    }
}

async fn take(request: HttpRequest, body: web::Bytes, heard: web::Data<Shared>) -> HttpResponse {
    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !HEADER.ends_with(header("authorization")) || header("authorization").is_empty() {
        heard.strangers += 1;
        return HttpResponse::Unauthorized().finish();
    }
    heard.bytes.extend_from_slice(&body);
    let Ok(message) = ExportTraceServiceRequest::decode(body) else {
        return HttpResponse::BadRequest().finish();
    };
    if header("content-type") != "application/x-protobuf" {
        return HttpResponse::UnsupportedMediaType().finish();
    }
    for of_process in message.resource_spans {
        let resource = texts(&of_process.resource.map(|resource| resource.attributes).unwrap_or_default());
        let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
        heard.spans.extend(spans.map(|span| seen(&resource, span)));
    }
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

fn seen(resource: &BTreeMap<String, String>, span: Span) -> Seen {
    Seen {
        service: resource["service.name"].clone(),
        instance: resource["service.instance.id"].clone(),
        name: span.name,
        trace: hex::encode(span.trace_id),
        id: hex::encode(span.span_id),
        parent: hex::encode(span.parent_span_id),
        kind: span.kind,
        attributes: texts(&span.attributes),
        failed: span.status.is_some_and(|status| status.code == 2),
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(&attribute.value))).collect()
}
