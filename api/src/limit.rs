//! How many requests one client may make, and how often it may fail to log in: the generic cell rate algorithm, by the
//! client's address.
//!
//! Behind a proxy all clients have one address. Requests are better counted by the proxy there; failed logins are not a
//! matter: whoever shows something right is never refused, whatever others at his address do. A client that fails too
//! often hears 429 where it heard 401, with the time to wait for, so that one with an old token slows down. It is no
//! wall against guessing, and needs to be none: a token has at least 16 characters.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, web};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use shared::config::ServerConfig;
use shared::telemetry::Throttle;

use crate::error::ApiError;
use crate::gates::TOKEN_HEADER;

/// How many clients are remembered one by one. Of more, whole networks share what is left to them.
const REMEMBERED: usize = 10_000;
/// A client may be this many seconds ahead of its rate.
const BURST_SECONDS: u32 = 2;
/// Whoever watches the process is never refused.
const EXEMPT: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The clients of a server, and what is left to each.
pub(crate) struct Clients {
    requests: Option<Budgets>,
    failures: Option<Budgets>,
}

impl Clients {
    /// Clients that may do as much as the configuration says, and all they like where it says nothing.
    pub(crate) fn new(config: &ServerConfig) -> Self {
        let burst = |rate: NonZeroU32| rate.saturating_mul(NonZeroU32::new(BURST_SECONDS).expect("not zero"));
        let requests = |rate| Budgets::new(Quota::per_second(rate).allow_burst(burst(rate)));
        let failures = |rate| Budgets::new(Quota::per_minute(rate));
        Self {
            requests: config.requests_per_second.map(requests),
            failures: config.failed_logins_per_minute.map(failures),
        }
    }

    fn admit(&self, request: &ServiceRequest) -> Result<(), ApiError> {
        let Some(budgets) = &self.requests else { return Ok(()) };
        let Some(address) = request.peer_addr() else { return Ok(()) };
        if EXEMPT.contains(&request.path()) {
            return Ok(());
        }
        budgets.spend(address.ip()).map_err(|seconds| ApiError::TooManyRequests { seconds })
    }

    /// After an answer 401: whether it may stand.
    fn fail(&self, request: &HttpRequest) -> Result<(), ApiError> {
        // Some ask without, to learn what is wanted, and then show it.
        if !shows_something(request) {
            return Ok(());
        }
        let spent = match (&self.failures, request.peer_addr()) {
            (Some(budgets), Some(address)) => budgets.spend(address.ip()),
            (None, _) | (_, None) => Ok(()),
        };
        let answer = if spent.is_ok() { "unauthorized" } else { "limited" };
        metrics::counter!("tidewaiter_failed_logins_total", "answer" => answer).increment(1);
        spent.map_err(|seconds| {
            static OFTEN: Throttle = Throttle::new();
            if let Some(others) = OFTEN.pass() {
                let address = request.peer_addr().map(|address| address.ip().to_string());
                tracing::warn!(client.address = address, others, "a client fails to log in again and again");
            }
            ApiError::TooManyFailedLogins { seconds }
        })
    }
}

/// Whether a request has anything by which its sender could prove itself.
fn shows_something(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(AUTHORIZATION)
        || headers.contains_key(TOKEN_HEADER)
        // A sender's secret is wherever that sender can put it.
        || request.path().starts_with("/webhooks/")
}

/// What is left to each of many clients. However many there are, what is remembered of them is bounded.
struct Budgets {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
    began: Instant,
    /// When those that are quiet again were forgotten last, in seconds since `began`.
    tidied: AtomicU64,
}

impl Budgets {
    fn new(quota: Quota) -> Self {
        let limiter = RateLimiter::keyed(quota);
        Self { limiter, clock: DefaultClock::default(), began: Instant::now(), tidied: AtomicU64::new(0) }
    }

    /// Takes one from what is left to a client, or says after how many seconds there is one again.
    fn spend(&self, address: IpAddr) -> Result<(), u64> {
        let mut client = client(address);
        if self.limiter.len() > REMEMBERED {
            self.tidy();
            if self.limiter.len() > REMEMBERED {
                client = network(client);
            }
        }
        self.limiter.check_key(&client).map_err(|early| early.wait_time_from(self.clock.now()).as_secs() + 1)
    }

    /// Looks at everybody, so at most once a second.
    fn tidy(&self) {
        let now = self.began.elapsed().as_secs() + 1;
        if self.tidied.fetch_max(now, Ordering::Relaxed) < now {
            self.limiter.retain_recent();
        }
    }
}

/// Whoever has an IPv6 address has a network of 2^64 of them.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// One of the 2^16 networks that an address can be in.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            Ipv4Addr::new(a, b, 0, 0).into()
        }
        IpAddr::V6(address) => Ipv6Addr::new(address.segments()[0], 0, 0, 0, 0, 0, 0, 0).into(),
    }
}

/// Wraps every request.
pub(crate) async fn admit<B: MessageBody + 'static>(
    clients: web::Data<Clients>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    clients.admit(&request)?;
    let answer = next.call(request).await?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        clients.fail(answer.request())?;
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn from(address: &str, path: &str) -> TestRequest {
        let address = format!("{address}:4711").parse().unwrap();
        TestRequest::get().uri(path).peer_addr(address)
    }

    fn asks(address: &str, path: &str) -> ServiceRequest {
        from(address, path).to_srv_request()
    }

    fn clients(requests: Option<u32>, failures: Option<u32>) -> Clients {
        let budgets = |rate: Option<u32>, quota: fn(NonZeroU32) -> Quota| {
            rate.map(|rate| Budgets::new(quota(NonZeroU32::new(rate).unwrap())))
        };
        let twice = |rate: NonZeroU32| Quota::per_second(rate).allow_burst(rate.saturating_add(rate.get()));
        Clients { requests: budgets(requests, twice), failures: budgets(failures, Quota::per_minute) }
    }

    #[test]
    fn one_client_is_refused_and_others_are_not() {
        let clients = clients(Some(5), None);
        for _ in 0..10 {
            clients.admit(&asks("192.0.2.1", "/v1/verdicts")).unwrap();
        }
        let refused = clients.admit(&asks("192.0.2.1", "/v1/verdicts")).unwrap_err();
        assert!(matches!(refused, ApiError::TooManyRequests { seconds: 1 }), "{refused}");
        clients.admit(&asks("192.0.2.1", "/healthz")).unwrap();
        clients.admit(&asks("192.0.2.2", "/v1/verdicts")).unwrap();
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let clients = clients(Some(1), None);
        clients.admit(&asks("[2001:db8::1]", "/")).unwrap();
        clients.admit(&asks("[2001:db8::2]", "/")).unwrap();
        assert!(clients.admit(&asks("[2001:db8::3]", "/")).is_err());
        clients.admit(&asks("[2001:db8:0:1::1]", "/")).unwrap();
    }

    #[test]
    fn nobody_is_refused_where_nothing_is_said() {
        let clients = clients(None, None);
        for _ in 0..10_000 {
            clients.admit(&asks("192.0.2.1", "/")).unwrap();
        }
    }

    #[test]
    fn whoever_fails_too_often_is_told_to_wait_and_whoever_shows_nothing_has_not_failed() {
        let clients = clients(None, Some(3));
        let shows = |header: &'static str, path: &str| {
            clients.fail(&from("192.0.2.1", path).insert_header((header, "wrong")).to_http_request())
        };
        for _ in 0..10 {
            shows("accept", "/v1/verdicts").unwrap();
        }
        shows("authorization", "/v1/verdicts").unwrap();
        shows(TOKEN_HEADER, "/gates/pull/check").unwrap();
        shows("x-secret-of-its-own", "/webhooks/generic").unwrap();
        let refused = shows("authorization", "/v1/verdicts").unwrap_err();
        assert!(matches!(refused, ApiError::TooManyFailedLogins { seconds: 1..=21 }), "{refused}");
        let elsewhere = from("192.0.2.2", "/").insert_header(("authorization", "wrong")).to_http_request();
        clients.fail(&elsewhere).unwrap();
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let budgets = Budgets::new(Quota::per_minute(NonZeroU32::new(1).unwrap()));
        for number in 0..200_000_u32 {
            let _ = budgets.spend(Ipv4Addr::from(0x0a00_0000 + number).into());
        }
        assert!(budgets.limiter.len() <= REMEMBERED + 10, "{}", budgets.limiter.len());
    }
}
