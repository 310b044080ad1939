//! One caller at a gate: whether he may ask, how long he waits (I9), and what he says.

use std::time::{Duration, Instant};

use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, web};
use futures_util::StreamExt;
use shared::config::{GateAccess, GateConfig, Scope};

use crate::auth::{self, Tokens};
use crate::error::ApiError;
use crate::tls::CertifiedClient;

/// A request to a gate from its first byte on.
pub(super) struct Visit {
    limit: usize,
    /// By when the answer has to be on its way.
    pub(super) deadline: Instant,
}

/// For callers whose `Authorization` belongs to somebody else: proxies that pass on what their client sends.
pub(crate) const TOKEN_HEADER: &str = "x-tidewaiter-token";

/// No caller is believed to wait longer; Kubernetes allows 30 s.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);

impl Visit {
    /// Lets a caller in, or not. The clock runs from here.
    pub(super) fn begin(request: &HttpRequest, gate: &GateConfig) -> Result<Self, ApiError> {
        match gate.access {
            GateAccess::Open => {}
            GateAccess::Certificate => {
                request.conn_data::<CertifiedClient>().ok_or(ApiError::NotCertified)?;
            }
            GateAccess::Token => {
                let tokens = request.app_data::<web::Data<Tokens>>().ok_or(ApiError::Unauthorized)?;
                let own = request.headers().get(TOKEN_HEADER).map(HeaderValue::as_bytes);
                tokens.allow_secret(own.or_else(|| auth::bearer(request.headers())), Scope::Read)?;
            }
        }
        let deadline = Instant::now() + gate.allowance(patience(request.query_string()));
        Ok(Self { limit: gate.body_limit, deadline })
    }

    /// The whole body, or in words why it cannot be had.
    pub(super) async fn body(&self, mut payload: web::Payload) -> Result<Vec<u8>, String> {
        let reading = async {
            let mut body = Vec::new();
            while let Some(chunk) = payload.next().await {
                let chunk = chunk.map_err(|error| format!("the body cannot be read: {error}"))?;
                if body.len() + chunk.len() > self.limit {
                    return Err(format!(
                        "the body has more than {} bytes; raise body_limit of this gate",
                        self.limit
                    ));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(body)
        };
        let read = tokio::time::timeout_at(self.deadline.into(), reading).await;
        read.unwrap_or_else(|_| Err("the body did not arrive in time".to_owned()))
    }
}

/// `?timeout=10s`, as the API server says how long it waits. What cannot be read is not believed.
fn patience(query: &str) -> Option<Duration> {
    let said = query.split('&').find_map(|pair| pair.strip_prefix("timeout="))?;
    let span: jiff::SignedDuration = said.parse().ok()?;
    Duration::try_from(span).ok().filter(|span| !span.is_zero()).map(|span| span.min(LONGEST_PATIENCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_patience_is_read_as_go_writes_it() {
        for (query, expected) in [
            ("timeout=10s", Some(10_000)),
            ("a=b&timeout=1m0s", Some(60_000)),
            ("timeout=500ms", Some(500)),
            ("timeout=1h0m0s", Some(60_000)),
            ("timeout=0s", None),
            ("timeout=-5s", None),
            ("timeout=soon", None),
            ("timeout=", None),
            ("", None),
        ] {
            assert_eq!(patience(query), expected.map(Duration::from_millis), "{query}");
        }
    }
}
