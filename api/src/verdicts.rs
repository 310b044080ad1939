//! `GET /v1/verdicts/{digest}` and `POST /v1/verdicts/query`: what is thought of a digest, now.
//!
//! A stored verdict is served as it is while it is current. When its policy changed or time changed it,
//! it is derived again from the stored report, written back, and served: nothing is pulled (I6).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use arc_swap::ArcSwap;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use shared::announce::Announcer;
use shared::config::ServerConfig;
use shared::model::digest::Digest;
use shared::model::image::Platform;
use shared::model::verdict::{Lookup, Pending, PolicyName, Verdict};
use shared::policy::{Policy, PolicySet};
use shared::store::{StoreError, VerdictStore};

use crate::auth::ReadAccess;
use crate::error::{ApiError, ProblemDocument};

mod derive;
mod narrow;
mod rendered;

use rendered::Bodies;

/// Finds verdicts, and derives them again where policy or time have changed them.
pub struct Verdicts {
    store: Arc<dyn VerdictStore>,
    policies: Arc<ArcSwap<PolicySet>>,
    announcer: Arc<Announcer>,
    longest_wait: Duration,
    bodies: Bodies,
}

impl Verdicts {
    /// Verdicts out of `store` under `policies`.
    pub fn new(
        store: Arc<dyn VerdictStore>,
        policies: Arc<ArcSwap<PolicySet>>,
        announcer: Arc<Announcer>,
        server: &ServerConfig,
    ) -> Self {
        Self { store, policies, announcer, longest_wait: server.longest_wait, bodies: Bodies::new() }
    }

    /// Every policy.
    pub fn policies(&self) -> Arc<PolicySet> {
        self.policies.load_full()
    }

    /// The policy of that name.
    pub fn policy(&self, name: &PolicyName) -> Result<Arc<Policy>, ApiError> {
        let known = self.policies.load().get(name).cloned();
        known.ok_or_else(|| ApiError::UnknownPolicy(name.to_string()))
    }

    /// Like [`Verdicts::find`] for one digest, waiting up to `limit` until there is a verdict.
    ///
    /// Woken by the store, not by polling: it watches first and looks afterwards, so that no news falls between.
    pub async fn wait(
        &self,
        digest: &Digest,
        policy: &Arc<Policy>,
        limit: Duration,
    ) -> Result<Lookup, StoreError> {
        let deadline = Instant::now() + limit.min(self.longest_wait);
        let one = std::slice::from_ref(digest);
        let mut watch = match limit.is_zero() {
            true => None,
            false => Some(self.store.watch(digest).await?),
        };
        loop {
            let lookup = self.find(one, policy).await?.pop().unwrap_or(Lookup::Unknown);
            let left = deadline.saturating_duration_since(Instant::now());
            match (&lookup, &mut watch) {
                (Lookup::Unknown | Lookup::Pending(_), Some(watch)) if !left.is_zero() => {
                    watch.changed(left).await;
                }
                (Lookup::Unknown | Lookup::Pending(_) | Lookup::Known(_), _) => return Ok(lookup),
            }
        }
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct VerdictQuery {
    /// Which policy judges; `default` where nothing is said.
    #[param(example = "default")]
    policy: Option<PolicyName>,
    /// For an index: the verdict of its image for this platform.
    #[param(example = "linux/amd64")]
    platform: Option<Platform>,
    /// How long to wait for a verdict that is not there yet, for example `30s`.
    #[param(value_type = Option<String>, example = "30s")]
    wait: Option<SignedDuration>,
}

/// A digest that waits for its first verdict.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PendingAnswer {
    /// The digest that was asked for.
    pub digest: Digest,
    /// Always `pending`.
    pub state: &'static str,
    /// Since when, and until when the marker holds.
    #[serde(flatten)]
    pub pending: Pending,
}

/// The verdict about one digest.
#[utoipa::path(
    tag = "verdicts",
    params(("digest" = String, Path, description = "Digest of a manifest or index"), VerdictQuery),
    responses(
        (status = 200, description = "The verdict", body = Verdict, headers(("ETag" = String))),
        (status = 202, description = "Accepted, not yet judged", body = PendingAnswer),
        (status = 304, description = "Unchanged since the ETag that was sent"),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 404, description = "Digest, policy or platform unknown", body = ProblemDocument),
        (status = 422, description = "Not a digest, policy name, platform or duration", body = ProblemDocument),
        (status = 503, description = "The store cannot be asked", body = ProblemDocument),
    ),
    security(("token" = ["read"]))
)]
#[get("/v1/verdicts/{digest}")]
pub(crate) async fn show_verdict(
    _access: ReadAccess,
    request: HttpRequest,
    digest: web::Path<Digest>,
    query: web::Query<VerdictQuery>,
    verdicts: web::Data<Verdicts>,
) -> Result<HttpResponse, ApiError> {
    let digest = digest.into_inner();
    let query = query.into_inner();
    let policy = verdicts.policy(&query.policy.unwrap_or_else(PolicyName::default_policy))?;
    let wait = Duration::try_from(query.wait.unwrap_or_default()).unwrap_or_default();
    let mut lookup = verdicts.wait(&digest, &policy, wait).await.map_err(ApiError::Store)?;
    if let (Lookup::Known(verdict), Some(platform)) = (&lookup, &query.platform)
        && let Some(child) = child_for(verdict, platform)?
    {
        lookup = verdicts.wait(&child, &policy, wait).await.map_err(ApiError::Store)?;
    }
    match lookup {
        Lookup::Known(verdict) => Ok(verdicts.bodies.of(&verdict).answer(&request)),
        Lookup::Pending(pending) => Ok(HttpResponse::Accepted()
            .insert_header((RETRY_AFTER, "1"))
            .json(PendingAnswer { digest, state: "pending", pending })),
        Lookup::Unknown => Err(ApiError::UnknownDigest(digest.to_string())),
    }
}

/// The child of an index that is built for `platform`; `None` if the verdict is not one of an index.
fn child_for(verdict: &Verdict, platform: &Platform) -> Result<Option<Digest>, ApiError> {
    if verdict.children.is_empty() {
        return Ok(None);
    }
    let fits = |known: &Option<Platform>| known.as_ref().is_some_and(|known| known.satisfies(platform));
    match verdict.children.iter().find(|child| fits(&child.platform)) {
        Some(child) => Ok(Some(child.digest.clone())),
        None => {
            let known: Vec<_> = verdict
                .children
                .iter()
                .filter_map(|child| child.platform.as_ref())
                .map(ToString::to_string)
                .collect();
            Err(ApiError::PlatformNotFound(format!(
                "the index has no image for {platform}, only {}",
                known.join(", ")
            )))
        }
    }
}

/// More digests than this in one question are an error.
const MOST_DIGESTS: usize = 500;

/// A question about many digests at once.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerdictQuestions {
    /// At most 500.
    pub digests: Vec<Digest>,
    /// Which policy judges; `default` where nothing is said.
    #[serde(default)]
    pub policy: Option<PolicyName>,
}

/// What is known about many digests.
#[derive(Serialize, utoipa::ToSchema)]
pub struct VerdictAnswers {
    /// One row a digest that was asked for, in that order.
    pub verdicts: Vec<VerdictAnswer>,
}

/// What is known about one of many digests.
#[derive(Serialize, utoipa::ToSchema)]
pub struct VerdictAnswer {
    /// The digest that was asked for.
    pub digest: Digest,
    /// How much is known.
    #[serde(flatten)]
    pub state: AnswerState,
}

/// How much is known.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AnswerState {
    /// Nothing.
    Unknown,
    /// It waits for its first verdict.
    Pending(Pending),
    /// Judged.
    Known {
        /// The verdict.
        verdict: Box<Verdict>,
    },
}

/// The verdicts about many digests.
#[utoipa::path(
    tag = "verdicts",
    request_body = VerdictQuestions,
    responses(
        (status = 200, description = "One row a digest", body = VerdictAnswers),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 413, description = "The body is too large", body = ProblemDocument),
        (status = 415, description = "Not `application/json`", body = ProblemDocument),
        (status = 422, description = "Too many digests, or not digests", body = ProblemDocument),
        (status = 503, description = "The store cannot be asked", body = ProblemDocument),
    ),
    security(("token" = ["read"]))
)]
#[post("/v1/verdicts/query")]
pub(crate) async fn query_verdicts(
    _access: ReadAccess,
    questions: web::Json<VerdictQuestions>,
    verdicts: web::Data<Verdicts>,
) -> Result<web::Json<VerdictAnswers>, ApiError> {
    let VerdictQuestions { digests, policy } = questions.into_inner();
    if digests.len() > MOST_DIGESTS {
        let reason = format!("{} digests asked for, the limit is {MOST_DIGESTS}", digests.len());
        return Err(ApiError::Invalid(reason));
    }
    let policy = verdicts.policy(&policy.unwrap_or_else(PolicyName::default_policy))?;
    let mut wanted: Vec<Digest> = digests.clone();
    wanted.sort();
    wanted.dedup();
    let found = verdicts.find(&wanted, &policy).await.map_err(ApiError::Store)?;
    let known: HashMap<Digest, Lookup> = wanted.into_iter().zip(found).collect();
    let answer = |digest: Digest| {
        let state = match known.get(&digest) {
            Some(Lookup::Known(verdict)) => AnswerState::Known { verdict: Box::new(Verdict::clone(verdict)) },
            Some(Lookup::Pending(pending)) => AnswerState::Pending(*pending),
            Some(Lookup::Unknown) | None => AnswerState::Unknown,
        };
        VerdictAnswer { digest, state }
    };
    Ok(web::Json(VerdictAnswers { verdicts: digests.into_iter().map(answer).collect() }))
}
