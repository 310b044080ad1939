//! Every kind of span, its name and its attributes, by the semantic conventions of OpenTelemetry
//! (<https://opentelemetry.io/docs/specs/semconv/>: HTTP, messaging, OCI).
//!
//! What the conventions ask for and is left out: `url.path`, `url.query` and `url.full`. They hold what a client put
//! there, and for some registries a signature that opens a layer; `http.route` and `server.address` say enough.

use std::borrow::Cow;
use std::future::Future;

use futures_util::future::Either;
use opentelemetry::trace::{
    FutureExt as _, Link, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value};

use super::{TRACER, TraceContext};
use crate::config::Callers;
use crate::model::job::{Job, Lane, Task};

/// A span of a trace, which ends when this is dropped; nothing where nobody traces.
#[derive(Debug)]
pub struct Span(Option<Context>);

impl Span {
    /// No span.
    pub const NONE: Self = Self(None);

    fn begin(parent: &Context, span: impl FnOnce() -> SpanBuilder) -> Self {
        let begun = TRACER.get().map(|tracing| tracing.tracer.build_with_context(span(), parent));
        Self(begun.map(|begun| parent.with_span(begun)))
    }

    /// Runs `work` within this span: spans that begin there are its children.
    pub fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        // No `async`, which would keep room for the work more than once.
        match &self.0 {
            None => Either::Left(work),
            Some(context) => Either::Right(work.with_context(context.clone())),
        }
    }

    /// Says something more of it.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// It failed, in one of a few ways; never with the words of an error, which may repeat anything.
    pub fn failed(&self, kind: impl Into<Cow<'static, str>>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new("error.type", kind.into()));
            context.span().set_status(Status::error(""));
        }
    }

    /// The same, where `outcome` is an error.
    pub fn outcome<T, E>(&self, outcome: &Result<T, E>, kind: &'static str) {
        if outcome.is_err() {
            self.failed(kind);
        }
    }

    /// What to send along, for others to continue the trace.
    pub fn context(&self) -> Option<TraceContext> {
        self.0.as_ref().and_then(TraceContext::of)
    }

    /// The trace, in 32 hex digits, for the log.
    pub fn trace_id(&self) -> Option<String> {
        self.context().map(|context| context.span().trace_id().to_string())
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }
}

/// A request that we answer. Its `traceparent`, if it has one, is the parent; whether it decides that the trace is kept
/// is the configuration's to say.
pub fn request<'a>(method: &str, route: &str, header: impl Fn(&str) -> Option<&'a str>) -> Span {
    let Some(tracing) = TRACER.get() else { return Span::NONE };
    let parent = TraceContext::read(header).map(|caller| match tracing.callers {
        Callers::Followed => caller,
        // By lot, and not by the trace's id: whoever chooses the id would choose one that is kept.
        Callers::Sampled if is_drawn(tracing.sample_ratio) => caller,
        Callers::Sampled => caller.not_kept(),
    });
    let parent = parent.map_or_else(Context::new, |parent| parent.remote());
    let method = known_method(method);
    Span::begin(&parent, || {
        SpanBuilder::from_name(format!("{method} {route}")).with_kind(SpanKind::Server).with_attributes([
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route.to_owned()),
        ])
    })
}

/// A request that we make, within some other span. Our headers are for its receiver alone: no `traceparent` goes out.
pub fn exchange(method: &str, host: &str, port: Option<u16>) -> Span {
    let method = known_method(method);
    within(|| {
        let port = port.map(|port| KeyValue::new("server.port", i64::from(port)));
        SpanBuilder::from_name(method).with_kind(SpanKind::Client).with_attributes(
            [KeyValue::new("http.request.method", method), KeyValue::new("server.address", host.to_owned())]
                .into_iter()
                .chain(port),
        )
    })
}

/// A stage of some other span.
pub fn stage(name: &'static str) -> Span {
    within(|| SpanBuilder::from_name(name))
}

/// Where messages go, and come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `messaging.system`: `rabbitmq`, or `tidewaiter` for the embedded queue.
    pub system: &'static str,
    /// `messaging.destination.name`.
    pub destination: String,
}

/// Where a message comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The queue.
    pub place: Place,
    /// The span that published it.
    pub trace: Option<TraceContext>,
}

/// A job is made durable.
pub fn publish(job: &Job, place: impl FnOnce() -> Place) -> Span {
    Span::begin(&Context::current(), || {
        let place = place();
        SpanBuilder::from_name(format!("publish {}", place.destination))
            .with_kind(SpanKind::Producer)
            .with_attributes(message(job, place, "publish", "send"))
    })
}

/// One attempt at a job.
///
/// It is a child of the span that published the job: a job is one message, taken alone, and whoever reads the trace of
/// a push wants its verdict in it. Every further attempt, after a failure or because a worker was lost, is another
/// child of the same span, so that attempts stand beside each other. What fans out (a sweep with all its scans, verdicts
/// derived again) begins a trace for each job and links to the span that published it: one trace of a hundred thousand
/// spans helps nobody, and the conventions ask for links where there is more than one message to a parent.
pub fn process(job: &Job, attempt: u32, origin: &Origin) -> Span {
    let parent = origin.trace.as_ref();
    let remote = parent.filter(|_| !fans_out(job)).map_or_else(Context::new, TraceContext::remote);
    Span::begin(&remote, || {
        let place = origin.place.clone();
        let links = parent.filter(|_| fans_out(job)).map(|parent| Link::with_context(parent.span().clone()));
        SpanBuilder::from_name(format!("process {}", place.destination))
            .with_kind(SpanKind::Consumer)
            .with_links(links.into_iter().collect())
            .with_attributes(
                message(job, place, "process", "process")
                    .chain([KeyValue::new("tidewaiter.job.attempt", i64::from(attempt))]),
            )
    })
}

fn within(span: impl FnOnce() -> SpanBuilder) -> Span {
    if TRACER.get().is_none() {
        return Span::NONE;
    }
    let parent = Context::current();
    if parent.span().span_context().is_valid() { Span::begin(&parent, span) } else { Span::NONE }
}

fn fans_out(job: &Job) -> bool {
    match &job.task {
        Task::Scan { .. } => job.lane == Lane::Background,
        Task::Sweep(_) | Task::Rejudge { .. } => true,
        Task::Resolve { .. } | Task::Notify { .. } | Task::Attest { .. } | Task::Attachments { .. } => false,
    }
}

fn message(
    job: &Job,
    place: Place,
    operation: &'static str,
    kind: &'static str,
) -> impl Iterator<Item = KeyValue> + use<> {
    let task = match &job.task {
        Task::Scan { .. } => "scan",
        Task::Resolve { .. } => "resolve",
        Task::Notify { .. } => "notify",
        Task::Rejudge { .. } => "rejudge",
        Task::Sweep(_) => "sweep",
        Task::Attest { .. } => "attest",
        Task::Attachments { .. } => "attachments",
    };
    let digest = match &job.task {
        Task::Scan { digest, .. } | Task::Attest { digest, .. } | Task::Attachments { digest, .. } => {
            Some(digest.to_string())
        }
        Task::Notify { event, .. } => Some(event.subject.clone()),
        Task::Resolve { .. } | Task::Rejudge { .. } | Task::Sweep(_) => None,
    };
    let routing_key = (place.system == "rabbitmq")
        .then(|| KeyValue::new("messaging.rabbitmq.destination.routing_key", job.lane.name()));
    [
        KeyValue::new("messaging.system", place.system),
        KeyValue::new("messaging.operation.name", operation),
        KeyValue::new("messaging.operation.type", kind),
        KeyValue::new("messaging.destination.name", place.destination),
        KeyValue::new("messaging.message.id", job.id.to_string()),
        KeyValue::new("tidewaiter.job.task", task),
        KeyValue::new("tidewaiter.job.lane", job.lane.name()),
    ]
    .into_iter()
    .chain(routing_key)
    .chain(job.image().map(|image| KeyValue::new("container.image.name", image.to_string())))
    .chain(digest.map(|digest| KeyValue::new("oci.manifest.digest", digest)))
}

/// Whether a lot falls on one of so many. Without a source of randomness it falls on nobody.
fn is_drawn(ratio: f64) -> bool {
    let lot = getrandom::u32().map_or(1.0, |drawn| f64::from(drawn) / (f64::from(u32::MAX) + 1.0));
    lot < ratio
}

/// A method that the conventions know; a client may invent others.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("_OTHER")
}

#[cfg(test)]
mod tests {
    use super::is_drawn;

    #[test]
    fn lots_fall_as_often_as_they_should() {
        assert!((0..1000).all(|_| is_drawn(1.0) && !is_drawn(0.0)));
        let drawn = (0..10_000).filter(|_| is_drawn(0.25)).count();
        assert!((2000..3000).contains(&drawn), "{drawn}");
    }
}
