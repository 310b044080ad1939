//! `/v1/sweeps`: compare a registry with what is known, and see how far that is.
//!
//! The scope is `push`: a sweep does nothing that scans on demand could not do one by one, and it is paced and
//! at most one of a whole registry is on its way.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, get, post, web};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::config::Registries;
use shared::model::image::{RegistryHost, Repository};
use shared::model::sweep::{Progress, SweepId, Trigger};
use shared::sweeps::{Begun, Sweeps, SweepsError};

use crate::auth::PushAccess;
use crate::error::{ApiError, ProblemDocument};
use crate::timed::TimedJson;

/// A wish to have a registry compared with what is known.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepRequest {
    /// The registry: the name of its section in the configuration, its host or an alias.
    #[schema(example = "main")]
    pub registry: String,
    /// Only this repository; the whole registry where none is named.
    #[serde(default)]
    pub repository: Option<Repository>,
}

/// Begins a sweep.
#[utoipa::path(
    tag = "sweeps",
    request_body = SweepRequest,
    responses(
        (status = 202, description = "Durable; or one of the whole registry that is on its way already", body = Progress,
            headers(("Location" = String))),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 408, description = "The body did not arrive in time", body = ProblemDocument),
        (status = 413, description = "The body is too large", body = ProblemDocument),
        (status = 415, description = "Not `application/json`", body = ProblemDocument),
        (status = 422, description = "No such registry, or not a repository", body = ProblemDocument),
        (status = 503, description = "The queue did not confirm, or the store cannot be asked; try again", body = ProblemDocument),
    ),
    security(("token" = ["push"]))
)]
#[post("/v1/sweeps")]
pub(crate) async fn begin_sweep(
    _access: PushAccess,
    body: TimedJson<SweepRequest>,
    registries: web::Data<Registries>,
    sweeps: web::Data<Sweeps>,
) -> Result<HttpResponse, ApiError> {
    let SweepRequest { registry, repository } = body.0;
    let Some(settings) = registries.named(&registry) else {
        let names: Vec<&str> = registries.iter().map(|registry| registry.name.as_str()).collect();
        let shown: String = registry.chars().take(160).collect();
        let reason = format!("registry {shown:?} is not configured; there is {}", listed(&names));
        return Err(ApiError::Invalid(reason));
    };
    let host = &settings.client.host;
    let begun = sweeps.begin(host, repository, Trigger::Request, Timestamp::now()).await;
    let progress = match begun {
        Ok(Begun::Now(progress) | Begun::Before(progress)) => progress,
        Err(SweepsError::Queue(error)) => return Err(ApiError::Queue(error)),
        Err(SweepsError::Store(error)) => return Err(ApiError::Store(error)),
    };
    tracing::info!(sweep.id = %progress.id, registry = %host, "sweep accepted");
    Ok(HttpResponse::Accepted()
        .insert_header((LOCATION, format!("/v1/sweeps/{}", progress.id)))
        .json(progress))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none: add one under [registries]".to_owned() } else { names.join(", ") }
}

/// The last sweeps.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SweepList {
    /// Newest first, the last sixteen of each registry.
    pub sweeps: Vec<Progress>,
}

/// The last sweeps of every registry.
#[utoipa::path(
    tag = "sweeps",
    responses(
        (status = 200, description = "Newest first", body = SweepList),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 503, description = "The store cannot be asked", body = ProblemDocument),
    ),
    security(("token" = ["push"]))
)]
#[get("/v1/sweeps")]
pub(crate) async fn list_sweeps(
    _access: PushAccess,
    registries: web::Data<Registries>,
    sweeps: web::Data<Sweeps>,
) -> Result<web::Json<SweepList>, ApiError> {
    let hosts: Vec<RegistryHost> = registries.iter().map(|registry| registry.client.host.clone()).collect();
    Ok(web::Json(SweepList { sweeps: sweeps.list(&hosts).await.map_err(ApiError::Store)? }))
}

/// How far a sweep is.
#[utoipa::path(
    tag = "sweeps",
    params(("id" = SweepId, Path, description = "What POST /v1/sweeps answered")),
    responses(
        (status = 200, description = "How far it is, and what came out", body = Progress),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 404, description = "No such sweep", body = ProblemDocument),
        (status = 422, description = "Not an id of a sweep", body = ProblemDocument),
        (status = 503, description = "The store cannot be asked", body = ProblemDocument),
    ),
    security(("token" = ["push"]))
)]
#[get("/v1/sweeps/{id}")]
pub(crate) async fn show_sweep(
    _access: PushAccess,
    id: web::Path<SweepId>,
    sweeps: web::Data<Sweeps>,
) -> Result<web::Json<Progress>, ApiError> {
    let progress = sweeps.progress(*id).await.map_err(ApiError::Store)?;
    let unknown = || ApiError::NotFound(format!("nothing is known of sweep {id}"));
    Ok(web::Json(progress.ok_or_else(unknown)?))
}
