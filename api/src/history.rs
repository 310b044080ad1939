//! `GET /v1/verdicts/{digest}/history`: what became of the verdicts about a digest, and why.

use actix_web::{get, web};
use serde::{Deserialize, Serialize};
use shared::model::change::Recorded;
use shared::model::digest::Digest;
use shared::model::verdict::{Lookup, PolicyName};
use shared::store::{History, VerdictStore};

use crate::auth::ReadAccess;
use crate::error::{ApiError, ProblemDocument};

/// So many changes where nobody says how many.
const USUAL: usize = 50;
/// More are not kept of one digest.
const MOST: usize = 256;

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct HistoryQuery {
    /// Only the changes under this policy; all where nothing is said.
    #[param(example = "default")]
    policy: Option<PolicyName>,
    /// At most so many, up to 256; 50 where nothing is said.
    #[param(example = 50)]
    limit: Option<usize>,
}

/// What became of the verdicts about a digest.
#[derive(Serialize, utoipa::ToSchema)]
pub struct HistoryAnswer {
    /// The digest that was asked for.
    pub digest: Digest,
    /// Newest first.
    pub changes: Vec<ToldChange>,
}

/// One change of a verdict.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ToldChange {
    /// What changed, and why.
    #[serde(flatten)]
    pub recorded: Recorded,
    /// The same as one sentence for people.
    pub sentence: String,
}

/// Every change of the verdicts about one digest, with its cause.
#[utoipa::path(
    tag = "verdicts",
    params(("digest" = String, Path, description = "Digest of a manifest or index"), HistoryQuery),
    responses(
        (status = 200, description = "The changes, newest first", body = HistoryAnswer),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 404, description = "Nothing is known about the digest", body = ProblemDocument),
        (status = 422, description = "Not a digest, policy name or number", body = ProblemDocument),
        (status = 503, description = "The store cannot be asked", body = ProblemDocument),
    ),
    security(("token" = ["read"]))
)]
#[get("/v1/verdicts/{digest}/history")]
pub(crate) async fn show_history(
    _access: ReadAccess,
    digest: web::Path<Digest>,
    query: web::Query<HistoryQuery>,
    history: web::Data<dyn History>,
    store: web::Data<dyn VerdictStore>,
) -> Result<web::Json<HistoryAnswer>, ApiError> {
    let digest = digest.into_inner();
    let HistoryQuery { policy, limit } = query.into_inner();
    // All of them: those of one policy may be far back among those of others.
    let found = history.history(&digest, MOST).await.map_err(ApiError::Store)?;
    if found.is_empty() {
        let policy = policy.clone().unwrap_or_else(PolicyName::default_policy);
        let lookups = store.lookup(std::slice::from_ref(&digest), &policy).await.map_err(ApiError::Store)?;
        match lookups.first() {
            // Judged before histories were kept, or its history was lost with the cache (I13).
            Some(Lookup::Known(_) | Lookup::Pending(_)) => {}
            Some(Lookup::Unknown) | None => return Err(ApiError::UnknownDigest(digest.to_string())),
        }
    }
    let changes = found
        .into_iter()
        .filter(|recorded| policy.as_ref().is_none_or(|policy| recorded.change.policy == *policy))
        .take(limit.unwrap_or(USUAL).min(MOST))
        .map(|recorded| ToldChange { sentence: recorded.change.sentence(), recorded })
        .collect();
    Ok(web::Json(HistoryAnswer { digest, changes }))
}
