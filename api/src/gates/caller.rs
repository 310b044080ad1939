//! What gates have in common before they ask: who may, and how much is read of what they say.

use actix_web::http::header::HeaderMap;
use actix_web::web;
use futures_util::StreamExt;
use shared::config::{GateAccess, GateConfig, Scope};

use crate::auth::{self, Tokens};
use crate::error::ApiError;

/// For callers whose `Authorization` belongs to somebody else: proxies that pass on what their client has sent.
pub(super) const TOKEN_HEADER: &str = "x-tidewaiter-token";

/// Whether the caller may ask this gate: it shows a token with the scope `read`, or nobody has to.
pub(super) fn admit(headers: &HeaderMap, gate: &GateConfig, tokens: &Tokens) -> Result<(), ApiError> {
    match gate.access {
        GateAccess::Open => Ok(()),
        GateAccess::Token => {
            let own = headers.get(TOKEN_HEADER).map(|value| value.as_bytes());
            tokens.allow_secret(own.or_else(|| auth::bearer(headers)), Scope::Read)
        }
    }
}

/// A body of at most `limit` bytes, whatever its media type.
pub(super) async fn read_body(mut payload: web::Payload, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| ApiError::Invalid(error.to_string()))?;
        if body.len() + chunk.len() > limit {
            return Err(ApiError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
