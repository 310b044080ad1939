//! Who may be Harbor: Basic, Bearer or an API key, as one chooses when the scanner is registered there.

use actix_web::HttpRequest;
use actix_web::web;
use shared::config::{GateAccess, Scope};

use crate::auth::{self, Tokens};
use crate::error::ApiError;
use crate::gates::Gates;

/// The check that every route of the adapter begins with.
pub(super) struct HarborAccess;

const API_KEY: &str = "x-scanneradapter-api-key";

impl HarborAccess {
    /// An API token as bearer token, as the password of Basic, or as `X-ScannerAdapter-API-Key`.
    pub(super) fn check(request: &HttpRequest, scope: Scope) -> Result<(), ApiError> {
        let gates = request.app_data::<web::Data<Gates>>();
        if gates.is_some_and(|gates| gates.config().harbor.gate.access == GateAccess::Open) {
            return Ok(());
        }
        let tokens = request.app_data::<web::Data<Tokens>>().ok_or(ApiError::Unauthorized)?;
        let headers = request.headers();
        let key = headers.get(API_KEY).map(|value| value.as_bytes().to_vec());
        let shown = key
            .or_else(|| auth::bearer(headers).map(<[u8]>::to_vec))
            .or_else(|| auth::basic_password(headers));
        tokens.allow_secret(shown.as_deref(), scope)
    }
}
