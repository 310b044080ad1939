//! `GET /v1/reports/{digest}`: the facts behind a verdict.

use actix_web::http::header::{ACCEPT, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Deserialize;
use shared::model::digest::Digest;
use shared::model::report::Report;
use shared::output::{self, Output};
use shared::store::VerdictStore;

use crate::auth::ReadAccess;
use crate::error::{ApiError, ProblemDocument};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ReportQuery {
    /// The format by name; without it `Accept` decides, and without that it is `json`.
    #[param(example = "json")]
    format: Option<String>,
}

/// The report about one digest.
#[utoipa::path(
    tag = "reports",
    params(("digest" = String, Path, description = "Digest of a manifest or index"), ReportQuery),
    responses(
        (status = 200, description = "The report", body = Report),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 404, description = "No report about this digest", body = ProblemDocument),
        (status = 406, description = "No such format", body = ProblemDocument),
        (status = 422, description = "Not a digest, or a query that is not understood", body = ProblemDocument),
        (status = 503, description = "The store cannot be asked", body = ProblemDocument),
    ),
    security(("token" = ["read"]))
)]
#[get("/v1/reports/{digest}")]
pub(crate) async fn show_report(
    _access: ReadAccess,
    request: HttpRequest,
    digest: web::Path<Digest>,
    query: web::Query<ReportQuery>,
    store: web::Data<dyn VerdictStore>,
) -> Result<HttpResponse, ApiError> {
    let format = match &query.format {
        Some(name) => output::by_name(name),
        None => accepted(request.headers()),
    };
    let format = format.ok_or_else(|| {
        let names: Vec<_> = output::ALL.iter().map(|format| format.name()).collect();
        ApiError::NotAcceptable(format!("no such report format; there is {}", names.join(", ")))
    })?;
    let report = store.report(&digest).await.map_err(ApiError::Store)?;
    let report = report.ok_or_else(|| ApiError::UnknownDigest(digest.to_string()))?;
    // Formats with a place for the image's name get the one under which it was seen last.
    let seen = store.sightings(&digest).await.map_err(ApiError::Store)?;
    let body = match seen.first() {
        Some(sighting) => format.render_named(&report, &sighting.image),
        None => format.render(&report),
    };
    Ok(HttpResponse::Ok().content_type(format.media_type()).body(body))
}

/// The first format that the client accepts, in the client's order.
fn accepted(headers: &HeaderMap) -> Option<&'static dyn Output> {
    let Some(accept) = headers.get(ACCEPT).and_then(|value| value.to_str().ok()) else {
        return output::by_name("json");
    };
    accept.split(',').find_map(|wanted| match wanted.split(';').next().unwrap_or_default().trim() {
        "*/*" | "application/*" | "application/json" => output::by_name("json"),
        wanted => output::ALL.iter().copied().find(|format| format.media_type().starts_with(wanted)),
    })
}
