//! `GET /v1/queue` and the dead letters: what an operator looks at, and what can be done about it.

use actix_web::{delete, get, post, web};
use serde::{Deserialize, Serialize};
use shared::model::job::JobId;
use shared::queue::{DeadJob, DeadSelection, JobQueue, QueueStatus};

use crate::auth::AdminAccess;
use crate::error::{ApiError, ProblemDocument};

/// How full the queue is.
#[utoipa::path(
    tag = "queue",
    responses(
        (status = 200, description = "Lanes, retries and dead letters", body = QueueStatus),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 503, description = "The queue cannot be asked", body = ProblemDocument),
    ),
    security(("token" = ["admin"]))
)]
#[get("/v1/queue")]
pub(crate) async fn queue_status(
    _access: AdminAccess,
    queue: web::Data<dyn JobQueue>,
) -> Result<web::Json<QueueStatus>, ApiError> {
    Ok(web::Json(queue.status().await.map_err(ApiError::Queue)?))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DeadQuery {
    /// At most so many, oldest first; 100 where nothing is said, at most 1000.
    limit: Option<usize>,
}

/// The dead letters.
#[derive(Serialize, utoipa::ToSchema)]
pub struct DeadJobs {
    /// Oldest first.
    pub dead: Vec<DeadJob>,
}

/// Jobs that nobody could do, with their last errors.
#[utoipa::path(
    tag = "queue",
    params(DeadQuery),
    responses(
        (status = 200, description = "Dead letters, oldest first", body = DeadJobs),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 422, description = "The limit is no number", body = ProblemDocument),
        (status = 503, description = "The queue cannot be asked", body = ProblemDocument),
    ),
    security(("token" = ["admin"]))
)]
#[get("/v1/queue/dead")]
pub(crate) async fn list_dead(
    _access: AdminAccess,
    query: web::Query<DeadQuery>,
    queue: web::Data<dyn JobQueue>,
) -> Result<web::Json<DeadJobs>, ApiError> {
    let limit = query.limit.unwrap_or(100).min(1000);
    Ok(web::Json(DeadJobs { dead: queue.dead(limit).await.map_err(ApiError::Queue)? }))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct SelectionQuery {
    /// One job.
    #[param(value_type = Option<String>)]
    id: Option<JobId>,
    /// `true`: every dead letter. Either this or `id` has to be said.
    all: Option<bool>,
}

impl SelectionQuery {
    fn selection(&self) -> Result<DeadSelection, ApiError> {
        match (self.id, self.all) {
            (Some(id), None | Some(false)) => Ok(DeadSelection::One(id)),
            (None, Some(true)) => Ok(DeadSelection::All),
            (None, None | Some(false)) | (Some(_), Some(true)) => {
                Err(ApiError::Invalid("say which dead letters: ?id=<job id> or ?all=true".to_owned()))
            }
        }
    }
}

/// How many dead letters were moved or forgotten.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Affected {
    /// So many.
    pub jobs: usize,
}

fn affected(selection: &DeadSelection, jobs: usize) -> Result<web::Json<Affected>, ApiError> {
    match (selection, jobs) {
        (DeadSelection::One(id), 0) => {
            Err(ApiError::NotFound(format!("there is no dead letter with job id {id}")))
        }
        (DeadSelection::One(_) | DeadSelection::All, jobs) => Ok(web::Json(Affected { jobs })),
    }
}

/// Moves dead letters back to their lanes.
#[utoipa::path(
    tag = "queue",
    params(SelectionQuery),
    responses(
        (status = 200, description = "Back in their lanes", body = Affected),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 404, description = "No such dead letter", body = ProblemDocument),
        (status = 422, description = "Neither id nor all", body = ProblemDocument),
        (status = 503, description = "The queue cannot be asked", body = ProblemDocument),
    ),
    security(("token" = ["admin"]))
)]
#[post("/v1/queue/dead/requeue")]
pub(crate) async fn requeue_dead(
    _access: AdminAccess,
    query: web::Query<SelectionQuery>,
    queue: web::Data<dyn JobQueue>,
) -> Result<web::Json<Affected>, ApiError> {
    let selection = query.selection()?;
    let jobs = queue.requeue(selection.clone()).await.map_err(ApiError::Queue)?;
    affected(&selection, jobs)
}

/// Forgets dead letters.
#[utoipa::path(
    tag = "queue",
    params(SelectionQuery),
    responses(
        (status = 200, description = "Forgotten", body = Affected),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 404, description = "No such dead letter", body = ProblemDocument),
        (status = 422, description = "Neither id nor all", body = ProblemDocument),
        (status = 503, description = "The queue cannot be asked", body = ProblemDocument),
    ),
    security(("token" = ["admin"]))
)]
#[delete("/v1/queue/dead")]
pub(crate) async fn discard_dead(
    _access: AdminAccess,
    query: web::Query<SelectionQuery>,
    queue: web::Data<dyn JobQueue>,
) -> Result<web::Json<Affected>, ApiError> {
    let selection = query.selection()?;
    let jobs = queue.discard(selection.clone()).await.map_err(ApiError::Queue)?;
    affected(&selection, jobs)
}
