//! Errors as Harbor shows them: without this body it shows nothing useful.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};

use crate::error::ApiError;

/// Any answer but success.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// A field of the request is not what it should be.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let status = error.status_code();
        if status.is_server_error() {
            tracing::warn!(error = %shared::telemetry::chain(&error), "request of Harbor failed");
        }
        Self::new(status, error.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.insert_header((CONTENT_TYPE, "application/vnd.scanner.adapter.error+json; version=1.0"));
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Basic realm=\"tidewaiter\""));
        }
        response.body(serde_json::json!({ "error": { "message": self.message } }).to_string())
    }
}
