//! `POST /v1/scans`: scan on demand.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, post, web};
use jiff::Timestamp;
use serde::Deserialize;
use shared::model::image::{Reference, Target};
use shared::model::job::Lane;
use shared::model::push::{PushEvent, Pushed};

use crate::auth::PushAccess;
use crate::error::{ApiError, ProblemDocument};
use crate::intake::{AcceptedJob, Admission, Intake};
use crate::timed::TimedJson;

/// A wish to have an image scanned.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanRequest {
    /// `registry/repository:tag` or `registry/repository@sha256:…`.
    #[schema(example = "registry.example.com/team/app:1.2")]
    pub image: String,
    /// How urgent it is; `push` where nothing is said.
    #[serde(default)]
    pub lane: Option<Lane>,
}

/// Enqueues a scan.
#[utoipa::path(
    tag = "scans",
    request_body = ScanRequest,
    responses(
        (status = 202, description = "The job is durable", body = AcceptedJob),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 408, description = "The body did not arrive in time", body = ProblemDocument),
        (status = 413, description = "The body is too large", body = ProblemDocument),
        (status = 415, description = "Not `application/json`", body = ProblemDocument),
        (status = 422, description = "Not an image, or its registry is not configured", body = ProblemDocument),
        (status = 503, description = "The queue did not confirm; try again", body = ProblemDocument),
    ),
    security(("token" = ["push"]))
)]
#[post("/v1/scans")]
pub(crate) async fn request_scan(
    _access: PushAccess,
    body: TimedJson<ScanRequest>,
    intake: web::Data<Intake>,
) -> Result<HttpResponse, ApiError> {
    let ScanRequest { image, lane } = body.0;
    let reference: Reference = image.parse().map_err(|error| ApiError::Invalid(format!("image: {error}")))?;
    let pushed = match reference.target {
        Target::Digest(digest) => Pushed::Digest { digest, tag: None },
        Target::Tag(tag) => Pushed::Tag(tag),
    };
    let event = PushEvent { image: reference.name, pushed, occurred_at: None };
    let job = match intake.admit(event, lane.unwrap_or(Lane::Push), Timestamp::now()) {
        Admission::Job(job) => *job,
        Admission::NotConfigured(registry) => return Err(ApiError::RegistryNotConfigured(registry)),
        Admission::ArtifactTag => {
            return Err(ApiError::Invalid("image: this tag belongs to a list of referrers".to_owned()));
        }
    };
    let mut accepted = intake.enqueue(vec![job]).await.map_err(ApiError::Queue)?;
    let accepted = accepted.pop().expect("one job went in and came out");
    let mut response = HttpResponse::Accepted();
    if let Some(digest) = &accepted.digest {
        response.insert_header((LOCATION, format!("/v1/verdicts/{digest}")));
    }
    Ok(response.json(accepted))
}
