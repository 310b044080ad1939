//! How many requests one client may make: the generic cell rate algorithm, by the client's address.
//!
//! Behind a proxy all clients have one address: leave it off there, and let the proxy count.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::error::ApiError;

/// How many clients are remembered before those that are quiet again are forgotten.
const REMEMBERED: usize = 10_000;
/// A client may be this many seconds ahead of its rate.
const BURST_SECONDS: u32 = 2;
/// Whoever watches the process is never refused.
const EXEMPT: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// The clients of a server, and how many requests each has left.
pub(crate) struct Clients {
    limiter: Option<DefaultKeyedRateLimiter<IpAddr>>,
    clock: DefaultClock,
}

impl Clients {
    /// Clients that may make so many requests a second each; as many as they like where nothing is said.
    pub(crate) fn new(per_second: Option<NonZeroU32>) -> Self {
        let quota = |rate: NonZeroU32| {
            Quota::per_second(rate)
                .allow_burst(rate.saturating_mul(NonZeroU32::new(BURST_SECONDS).expect("not zero")))
        };
        Self {
            limiter: per_second.map(|rate| RateLimiter::keyed(quota(rate))),
            clock: DefaultClock::default(),
        }
    }

    fn admit(&self, request: &ServiceRequest) -> Result<(), ApiError> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let Some(address) = request.peer_addr() else { return Ok(()) };
        if EXEMPT.contains(&request.path()) {
            return Ok(());
        }
        if limiter.len() > REMEMBERED {
            limiter.retain_recent();
        }
        limiter.check_key(&client(address.ip())).map_err(|early| {
            let wait = early.wait_time_from(self.clock.now());
            ApiError::TooManyRequests { seconds: wait.as_secs() + 1 }
        })
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

/// Wraps every request.
pub(crate) async fn admit<B: MessageBody + 'static>(
    clients: web::Data<Clients>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    clients.admit(&request)?;
    next.call(request).await
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn from(address: &str, path: &str) -> ServiceRequest {
        let address = format!("{address}:4711").parse().unwrap();
        TestRequest::get().uri(path).peer_addr(address).to_srv_request()
    }

    #[test]
    fn one_client_is_refused_and_others_are_not() {
        let clients = Clients::new(NonZeroU32::new(5));
        for _ in 0..10 {
            clients.admit(&from("192.0.2.1", "/v1/verdicts")).unwrap();
        }
        let refused = clients.admit(&from("192.0.2.1", "/v1/verdicts")).unwrap_err();
        assert!(matches!(refused, ApiError::TooManyRequests { seconds: 1 }), "{refused}");
        clients.admit(&from("192.0.2.1", "/healthz")).unwrap();
        clients.admit(&from("192.0.2.2", "/v1/verdicts")).unwrap();
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let clients = Clients::new(NonZeroU32::new(1));
        clients.admit(&from("[2001:db8::1]", "/")).unwrap();
        clients.admit(&from("[2001:db8::2]", "/")).unwrap();
        assert!(clients.admit(&from("[2001:db8::3]", "/")).is_err());
        clients.admit(&from("[2001:db8:0:1::1]", "/")).unwrap();
    }

    #[test]
    fn nobody_is_refused_where_nothing_is_said() {
        let clients = Clients::new(None);
        for _ in 0..10_000 {
            clients.admit(&from("192.0.2.1", "/")).unwrap();
        }
    }
}
