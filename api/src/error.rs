//! Errors as RFC 9457 problem documents: one table from variant to status and slug, written nowhere else.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use shared::queue::QueueError;
use shared::store::StoreError;
use shared::telemetry::{Throttle, chain};

use crate::auth::oidc::keys::KeysError;

/// Everything that a handler can answer besides success.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No token, or none that is known.
    #[error("this needs a valid token in `Authorization: Bearer …`")]
    Unauthorized,
    /// The webhook's secret or signature is missing or wrong.
    #[error("the webhook's secret or signature is missing or wrong")]
    WebhookUnauthorized,
    /// The token is known and lacks the scope.
    #[error("the token lacks the scope {0:?}")]
    Forbidden(&'static str),
    /// The gate asks for a client's certificate, and there is none.
    #[error("this gate is for clients that show a certificate signed by server.tls.client_ca")]
    NotCertified,
    /// No such route, or no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The route is there, for other methods.
    #[error("this route takes {allowed}; /openapi.json lists them all")]
    MethodNotAllowed {
        /// The methods, as `Allow` lists them.
        allowed: String,
    },
    /// Nothing is known about the digest.
    #[error("nothing is known about {0}; was it pushed to a configured registry?")]
    UnknownDigest(String),
    /// The index has no image for that platform.
    #[error("{0}")]
    PlatformNotFound(String),
    /// No policy of that name is loaded.
    #[error("there is no policy {0:?}")]
    UnknownPolicy(String),
    /// A path, query or body value is not what it should be.
    #[error("{0}")]
    Invalid(String),
    /// The body is larger than allowed.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body is of a type that this route does not read.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// None of the formats that the client accepts can be made.
    #[error("{0}")]
    NotAcceptable(String),
    /// The registry is not in the configuration (I8).
    #[error("registry {0} is not configured; add it under [registries]")]
    RegistryNotConfigured(String),
    /// The job could not be made durable (I1).
    #[error("the job could not be queued; try again")]
    Queue(#[source] QueueError),
    /// The store did not answer.
    #[error("the store cannot be asked; try again")]
    Store(#[source] StoreError),
    /// The client asks too often.
    #[error("this client asks too often (server.requests_per_second); try again in {seconds} s")]
    TooManyRequests {
        /// When it may ask again.
        seconds: u64,
    },
    /// The client fails to log in too often.
    #[error(
        "this client failed to log in too often (server.failed_logins_per_minute); what is right is taken at any time, what is wrong again in {seconds} s"
    )]
    TooManyFailedLogins {
        /// When it may fail again.
        seconds: u64,
    },
    /// As much of this is being done as the process does at once.
    #[error("{0}")]
    Busy(&'static str),
    /// The keys of a sender's identity tokens are not known.
    #[error("the sender's keys cannot be read; try again")]
    Keys(#[source] KeysError),
    /// The client did not send its body in time.
    #[error("the body did not arrive in time")]
    Timeout,
    /// The client did not send all of its body.
    #[error("the body broke off: {0}")]
    BrokenOff(String),
}

/// The body of every error.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemDocument {
    /// Stable slug, `urn:tidewaiter:problem:<slug>`.
    #[serde(rename = "type")]
    #[schema(example = "urn:tidewaiter:problem:unknown-digest")]
    pub kind: String,
    /// The slug in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened, and what to do.
    pub detail: String,
}

impl ApiError {
    fn row(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::WebhookUnauthorized => (StatusCode::UNAUTHORIZED, "webhook-unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotCertified => (StatusCode::FORBIDDEN, "not-certified"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not-found"),
            Self::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed"),
            Self::UnknownDigest(_) => (StatusCode::NOT_FOUND, "unknown-digest"),
            Self::PlatformNotFound(_) => (StatusCode::NOT_FOUND, "platform-not-found"),
            Self::UnknownPolicy(_) => (StatusCode::NOT_FOUND, "unknown-policy"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            Self::UnsupportedMediaType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type"),
            Self::NotAcceptable(_) => (StatusCode::NOT_ACCEPTABLE, "not-acceptable"),
            Self::RegistryNotConfigured(_) => (StatusCode::UNPROCESSABLE_ENTITY, "registry-not-configured"),
            Self::Queue(_) => (StatusCode::SERVICE_UNAVAILABLE, "queue-unavailable"),
            Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "store-unavailable"),
            Self::TooManyRequests { .. } => (StatusCode::TOO_MANY_REQUESTS, "too-many-requests"),
            Self::TooManyFailedLogins { .. } => (StatusCode::TOO_MANY_REQUESTS, "too-many-failed-logins"),
            Self::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Keys(_) => (StatusCode::SERVICE_UNAVAILABLE, "keys-unavailable"),
            Self::Timeout => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::BrokenOff(_) => (StatusCode::REQUEST_TIMEOUT, "broken-off"),
        }
    }

    /// The stable slug, also used in metrics.
    pub fn slug(&self) -> &'static str {
        self.row().1
    }
}

impl ApiError {
    /// A server that is away fails every request at the same time.
    fn throttle(&self) -> &'static Throttle {
        static QUEUE: Throttle = Throttle::new();
        static STORE: Throttle = Throttle::new();
        static OTHER: Throttle = Throttle::new();
        if matches!(self, Self::Queue(_)) {
            &QUEUE
        } else if matches!(self, Self::Store(_)) {
            &STORE
        } else {
            &OTHER
        }
    }
}

/// Seconds after which a sender that got 503 may try again.
const RETRY_AFTER_SECONDS: &str = "5";

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.row().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, slug) = self.row();
        if status.is_server_error()
            && let Some(others) = self.throttle().pass()
        {
            tracing::warn!(error = %chain(self), others, "request failed");
        }
        let mut response = HttpResponse::build(status);
        response.insert_header((CONTENT_TYPE, "application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((RETRY_AFTER, RETRY_AFTER_SECONDS));
        }
        if let Self::TooManyRequests { seconds } | Self::TooManyFailedLogins { seconds } = self {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let Self::MethodNotAllowed { allowed } = self {
            response.insert_header((ALLOW, allowed.as_str()));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"tidewaiter\""));
        }
        let body = ProblemDocument {
            kind: format!("urn:tidewaiter:problem:{slug}"),
            title: slug.replace('-', " "),
            status: status.as_u16(),
            detail: self.to_string(),
        };
        response.body(serde_json::to_vec(&body).expect("a problem document has only strings and a number"))
    }
}
