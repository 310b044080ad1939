//! One span in the log, one log line, two metrics and, where somebody traces, one span of a trace a request. No query
//! string, no body, no header is logged or traced.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, web};
use metrics::{Counter, Histogram};
use shared::telemetry::traces;
use tracing::Instrument;
use tracing::field::Empty;

/// The meters of the routes that a thread has answered, made once each: to find a meter by its labels takes longer
/// than to count with it.
#[derive(Default)]
pub struct Meters(RefCell<HashMap<Rc<str>, RouteMeters>>);

struct RouteMeters {
    seconds: Histogram,
    answers: HashMap<StatusCode, Counter>,
}

impl Meters {
    /// The pattern of the route that a request takes. To search for it takes longer than all the rest here; a route
    /// without parameters is its own pattern, so that one which was answered before is known by its path.
    fn route(&self, request: &ServiceRequest) -> Rc<str> {
        if let Some((route, _)) = self.0.borrow().get_key_value(request.path()) {
            return Rc::clone(route);
        }
        request.match_pattern().map_or_else(|| Rc::from("unmatched"), Rc::from)
    }

    fn answered(&self, route: &Rc<str>, status: StatusCode, took: Duration) {
        let mut routes = self.0.borrow_mut();
        let meters = match routes.get_mut(route) {
            Some(meters) => meters,
            None => routes.entry(Rc::clone(route)).or_insert_with(|| RouteMeters::of(route)),
        };
        meters.seconds.record(took.as_secs_f64());
        let count = || {
            let (route, status) = (route.to_string(), status.as_str().to_owned());
            metrics::counter!("tidewaiter_http_requests_total", "route" => route, "status" => status)
        };
        meters.answers.entry(status).or_insert_with(count).increment(1);
    }
}

impl RouteMeters {
    fn of(route: &str) -> Self {
        let seconds = metrics::histogram!("tidewaiter_http_request_seconds", "route" => route.to_owned());
        Self { seconds, answers: HashMap::new() }
    }
}

/// What orchestrators and Prometheus ask for all the time; nobody wants traces of that.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Wraps every request.
pub async fn observe<B: MessageBody + 'static>(
    meters: web::Data<Meters>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let began = Instant::now();
    let route = meters.route(&request);
    let span = tracing::info_span!(
        "request",
        http.method = %request.method(),
        http.route = &*route,
        trace_id = Empty
    );
    let trace = if PROBES.contains(&&*route) {
        traces::Span::NONE
    } else {
        let header = |name: &str| request.headers().get(name)?.to_str().ok();
        traces::request(request.method().as_str(), &route, header)
    };
    if let Some(id) = trace.trace_id() {
        span.record("trace_id", id);
    }
    let answer = trace.around(next.call(request)).instrument(span.clone()).await;
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    trace.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        trace.failed(status.as_str().to_owned());
    }
    let took = began.elapsed();
    meters.answered(&route, status, took);
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::debug!(http.status = status.as_u16(), duration_ms, "request answered"));
    answer
}
