//! What of a trace travels with a request or a message: W3C Trace Context (<https://www.w3.org/TR/trace-context/>).

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceFlags};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// The header that names trace and span: `00-<32 hex>-<16 hex>-<2 hex>`.
pub const TRACEPARENT: &str = "traceparent";

/// The header with what tracing systems add for themselves.
pub const TRACESTATE: &str = "tracestate";

/// Longest value that is carried. The recommendation asks for 512 bytes of `tracestate` to be kept (§3.3.1.5).
const LONGEST: usize = 512;

/// A span somewhere else, or here, that others can be children of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext(SpanContext);

impl TraceContext {
    /// Reads two headers; `None` where they name no span.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let parent = header(TRACEPARENT).filter(|value| value.len() <= LONGEST)?;
        let mut carrier = HashMap::from([(TRACEPARENT.to_owned(), parent.to_owned())]);
        if let Some(state) = header(TRACESTATE).filter(|value| value.len() <= LONGEST) {
            carrier.insert(TRACESTATE.to_owned(), state.to_owned());
        }
        let read = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
        Self::of(&read)
    }

    pub(super) fn of(context: &Context) -> Option<Self> {
        let span = context.span().span_context().clone();
        span.is_valid().then_some(Self(span))
    }

    /// The headers to send along, by name.
    pub fn headers(&self) -> HashMap<String, String> {
        let mut headers = HashMap::new();
        TraceContextPropagator::new().inject_context(&self.remote(), &mut headers);
        headers.retain(|_, value| !value.is_empty() && value.len() <= LONGEST);
        headers
    }

    /// The same trace, of which nothing more is kept.
    pub(super) fn not_kept(&self) -> Self {
        let span = &self.0;
        let (trace, id, state) = (span.trace_id(), span.span_id(), span.trace_state().clone());
        Self(SpanContext::new(trace, id, TraceFlags::NOT_SAMPLED, span.is_remote(), state))
    }

    /// The context under which a child begins.
    pub(super) fn remote(&self) -> Context {
        Context::new().with_remote_span_context(self.0.clone())
    }

    pub(super) fn span(&self) -> &SpanContext {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn read(parent: &str, state: &str) -> Option<TraceContext> {
        TraceContext::read(|name| match name {
            TRACEPARENT => Some(parent),
            TRACESTATE => Some(state).filter(|state| !state.is_empty()),
            _ => None,
        })
    }

    #[test]
    fn what_is_read_is_sent_along() {
        for (parent, state, expected) in [
            (PARENT, "", Some((PARENT, None))),
            (PARENT, "rojo=1,congo=2", Some((PARENT, Some("rojo=1,congo=2")))),
            (PARENT, "no state", Some((PARENT, None))),
            ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", "", None),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", "", None),
            ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "", None),
            ("hunter2", "", None),
            ("", "", None),
        ] {
            let found = read(parent, state).map(|context| context.headers());
            let expected = expected.map(|(parent, state)| {
                let headers = [(TRACEPARENT, Some(parent)), (TRACESTATE, state)];
                let text = |(name, value): (&str, Option<&str>)| Some((name.to_owned(), value?.to_owned()));
                headers.into_iter().filter_map(text).collect::<HashMap<_, _>>()
            });
            assert_eq!(found, expected, "{parent} {state}");
        }
        assert_eq!(read(PARENT, &format!("a={}", "1".repeat(LONGEST))).unwrap().headers().len(), 1);
    }

    #[test]
    fn a_trace_that_is_not_kept_is_still_the_same() {
        let sent = read(PARENT, "rojo=1").unwrap().not_kept().headers();
        assert_eq!(sent[TRACEPARENT], PARENT.replace("-01", "-00"));
        assert_eq!(sent[TRACESTATE], "rojo=1");
    }

    proptest! {
        #[test]
        fn no_header_panics_and_what_is_sent_reads_back(parent in ".{0,80}", state in ".{0,80}") {
            if let Some(context) = read(&parent, &state) {
                let headers = context.headers();
                let again = TraceContext::read(|name| headers.get(name).map(String::as_str));
                prop_assert_eq!(again, Some(context));
            }
        }
    }
}
