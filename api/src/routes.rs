//! The table of routes, and the OpenAPI document that is generated from it.

use actix_web::{HttpRequest, HttpResponse, web};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::error::ApiError;
use crate::gates::{gatekeeper, kubernetes, kyverno, pull};
use crate::{
    deliveries, document, events, harbor, health, history, policies, queue, reports, scans, simulate, sweeps,
    verdicts,
};

#[derive(OpenApi)]
#[openapi(info(
    title = "Tidewaiter",
    description = "Meets every image that is pushed to a registry, searches it, and answers by digest whether it may run."
))]
struct Document;

/// The document's fixed part; routes add themselves.
pub fn begun_document() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    document.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    document
}

/// Every route, in the order in which a request is compared with them: what is asked most often comes first, and
/// what has no parameters before what has some.
pub fn table(config: &mut ServiceConfig) {
    config
        .service(kubernetes::validate_pods)
        .service(kubernetes::pin_tags)
        .service(kubernetes::review_images)
        .service(gatekeeper::ask_gatekeeper)
        .service(gatekeeper::pin_for_gatekeeper)
        .service(kyverno::ask_kyverno)
        .service(pull::ask_pull)
        .service(verdicts::query_verdicts)
        .service(verdicts::show_verdict)
        .service(deliveries::receive)
        .service(deliveries::give_leave)
        .service(scans::request_scan)
        .service(sweeps::begin_sweep)
        .service(sweeps::list_sweeps)
        .service(sweeps::show_sweep)
        .service(history::show_history)
        .service(simulate::simulate_policy)
        .service(reports::show_report)
        .route("/gates/pull/{tail:.*}", web::route().to(pull::ask_pull_behind))
        .service(harbor::harbor_metadata)
        .service(harbor::harbor_scan)
        .service(harbor::harbor_report)
        .service(policies::list_policies)
        .service(policies::show_policy)
        .service(events::stream_events)
        .service(queue::queue_status)
        .service(queue::list_dead)
        .service(queue::requeue_dead)
        .service(queue::discard_dead)
        .service(health::healthz)
        .service(health::readyz)
        .service(health::serve_metrics);
}

/// Where the document itself is.
pub const DOCUMENT: &str = "/openapi.json";

/// What answers where no route does: there is none of this path, or it takes other methods (RFC 9110 §15.5.6).
pub async fn unmatched(
    request: HttpRequest,
    document: web::Data<utoipa::openapi::OpenApi>,
) -> Result<HttpResponse, ApiError> {
    // The pattern of a route fits although its method does not.
    let allowed = match request.match_pattern().as_deref() {
        Some(DOCUMENT) => "GET".to_owned(),
        Some(pattern) => document::methods(&document, pattern).join(", "),
        None => String::new(),
    };
    if allowed.is_empty() {
        return Err(ApiError::NotFound(format!("there is no such route; {DOCUMENT} lists them")));
    }
    Err(ApiError::MethodNotAllowed { allowed })
}

/// Errors of extractors, told as problem documents like all others.
pub fn extractor_errors(config: &mut web::ServiceConfig) {
    config
        .app_data(
            web::PathConfig::default().error_handler(|error, _| ApiError::Invalid(path_error(&error)).into()),
        )
        .app_data(
            web::QueryConfig::default()
                .error_handler(|error, _| ApiError::Invalid(query_error(&error)).into()),
        )
        .app_data(
            web::JsonConfig::default().limit(JSON_LIMIT).error_handler(|error, _| json_error(&error).into()),
        );
}

fn path_error(error: &actix_web::error::PathError) -> String {
    match error {
        actix_web::error::PathError::Deserialize(error) => format!("the path: {error}"),
        other => other.to_string(),
    }
}

fn query_error(error: &actix_web::error::QueryPayloadError) -> String {
    match error {
        actix_web::error::QueryPayloadError::Deserialize(error) => format!("the query: {error}"),
        other => other.to_string(),
    }
}

/// Questions about 500 digests fit many times.
const JSON_LIMIT: usize = 256 << 10;

fn json_error(error: &actix_web::error::JsonPayloadError) -> ApiError {
    use actix_web::error::JsonPayloadError as Json;
    match error {
        Json::Overflow { .. } | Json::OverflowKnownLength { .. } => ApiError::TooLarge(JSON_LIMIT),
        Json::ContentType => {
            ApiError::UnsupportedMediaType("expected Content-Type: application/json".to_owned())
        }
        Json::Deserialize(error) => ApiError::Invalid(format!("the body: {error}")),
        other => ApiError::Invalid(other.to_string()),
    }
}
