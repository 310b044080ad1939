//! `POST /v1/policies/{name}/simulate`: what would change if this policy were enforced.
//!
//! Every stored report is judged by the candidate and by the policy of that name that is in force, both as of
//! now; nothing is stored and nothing is pulled. It goes through the store page by page, judges on threads of
//! its own, and stops after a while with the place from which the next request goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{post, web};
use arc_swap::ArcSwap;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::Deserialize;
use shared::derive::Stored;
use shared::model::digest::Digest;
use shared::model::verdict::PolicyName;
use shared::policy::{Policy, PolicySet};
use shared::store::{Known, Sighting, StoreError, VerdictStore};
use shared::telemetry::chain;
use tokio::sync::Semaphore;

use crate::auth::ReadAccess;
use crate::deliveries;
use crate::error::{ApiError, ProblemDocument};

mod tally;

pub use tally::{Difference, Differences, DifferentImage, Simulation};

/// A policy is written by hand; more than this is a mistake.
const LARGEST_POLICY: usize = 1 << 20;
/// How many digests are read, then judged, then counted: a report may have some megabytes.
const PAGE: usize = 32;
/// How many reports are read at once.
const READS_AT_ONCE: usize = 8;
/// How long one request goes on; below the patience of proxies.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// How many requests a process works on at once: gates come first.
const AT_ONCE: usize = 2;

/// Replays policies over what is stored.
pub struct Simulations {
    store: Arc<dyn VerdictStore>,
    known: Arc<dyn Known>,
    policies: Arc<ArcSwap<PolicySet>>,
    permits: Semaphore,
}

/// What one digest needs to be compared.
struct Row {
    digest: Digest,
    stored: Option<Stored>,
    /// Where it was seen; read beforehand only where the candidate's scope asks for it.
    seen: Option<Vec<Sighting>>,
}

impl Simulations {
    /// Simulations over `store`, compared with `policies`.
    pub fn new(
        store: Arc<dyn VerdictStore>,
        known: Arc<dyn Known>,
        policies: Arc<ArcSwap<PolicySet>>,
    ) -> Self {
        Self { store, known, policies, permits: Semaphore::new(AT_ONCE) }
    }

    async fn run(&self, candidate: Policy, after: Option<Digest>) -> Result<Simulation, StoreError> {
        let (deadline, now) = (Instant::now() + TIME_LIMIT, Timestamp::now());
        let current = self.policies.load().get(&candidate.name).cloned();
        let candidate = Arc::new(candidate);
        let mut simulation = Simulation::new(&candidate, current.as_deref());
        let mut after = after;
        loop {
            let page = self.known.known_after(after.as_ref(), PAGE).await?;
            let rows = self.rows(page.digests, &candidate).await?;
            let (candidate, current) = (Arc::clone(&candidate), current.clone());
            let judging = tokio::task::spawn_blocking(move || {
                let compare = |row| compared(row, &candidate, current.as_deref(), now);
                rows.into_iter().map(compare).collect::<Vec<_>>()
            });
            let judged = judging.await.map_err(|error| StoreError::Unavailable {
                place: "a judging thread".to_owned(),
                source: Box::new(error),
            })?;
            for (digest, difference) in judged {
                if let Some(listed) = simulation.count(&digest, difference) {
                    listed.seen = seen_as(&self.store.sightings(&digest).await?);
                }
            }
            after = page.next;
            if after.is_none() || Instant::now() >= deadline {
                simulation.next = after;
                return Ok(simulation);
            }
        }
    }

    async fn rows(&self, digests: Vec<Digest>, candidate: &Policy) -> Result<Vec<Row>, StoreError> {
        let somewhere = !candidate.scope.repositories.is_empty();
        let read = |digest: Digest| async move {
            let stored = Stored::read(&*self.store, &digest).await?;
            let seen = if somewhere { Some(self.store.sightings(&digest).await?) } else { None };
            Ok(Row { digest, stored, seen })
        };
        stream::iter(digests).map(read).buffered(READS_AT_ONCE).try_collect().await
    }
}

/// What the candidate changes about one digest.
fn compared(row: Row, candidate: &Policy, current: Option<&Policy>, now: Timestamp) -> (Digest, Difference) {
    let in_scope = row.seen.as_ref().is_none_or(|seen| {
        let repositories = &candidate.scope.repositories;
        seen.iter().any(|seen| repositories.iter().any(|one| one.matches(&seen.image)))
    });
    let difference = match row.stored {
        _ if !in_scope => Difference::OutOfScope,
        // Its report expired since the page was made.
        None => Difference::OutOfScope,
        Some(stored) => {
            let before = current.map(|current| stored.judge(current, now));
            Difference::between(before.as_ref(), &stored.judge(candidate, now))
        }
    };
    (row.digest, difference)
}

/// The newest places, as people write them.
fn seen_as(sightings: &[Sighting]) -> Vec<String> {
    let name = |seen: &Sighting| match &seen.tag {
        Some(tag) => format!("{}:{tag}", seen.image),
        None => seen.image.to_string(),
    };
    sightings.iter().take(DifferentImage::MOST_PLACES).map(name).collect()
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct SimulateQuery {
    /// Where to go on: `next` of the answer before.
    #[param(value_type = Option<String>)]
    after: Option<Digest>,
}

/// What would change if this policy were enforced in the place of the one of that name.
#[utoipa::path(
    tag = "policies",
    params(("name" = String, Path, description = "The policy that it would replace, or the name of a new one"), SimulateQuery),
    request_body(content = String, content_type = "application/yaml", description = "The candidate: a policy file"),
    responses(
        (status = 200, description = "What would change; ask again with `after` while there is a `next`", body = Simulation),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 413, description = "Longer than a policy may be", body = ProblemDocument),
        (status = 422, description = "Not a policy, or of another name; the detail names line and column", body = ProblemDocument),
        (status = 503, description = "The store cannot be asked, or other simulations are under way", body = ProblemDocument),
    ),
    security(("token" = ["read"]))
)]
#[post("/v1/policies/{name}/simulate")]
pub(crate) async fn simulate_policy(
    _access: ReadAccess,
    name: web::Path<PolicyName>,
    query: web::Query<SimulateQuery>,
    payload: web::Payload,
    simulations: web::Data<Simulations>,
) -> Result<web::Json<Simulation>, ApiError> {
    let _permit = simulations
        .permits
        .try_acquire()
        .map_err(|_| ApiError::Busy("other simulations are under way; try again in a while"))?;
    let body = deliveries::read(payload, LARGEST_POLICY).await?;
    let text =
        String::from_utf8(body).map_err(|_| ApiError::Invalid("the policy is not UTF-8 text".to_owned()))?;
    let candidate = Policy::parse(&text).map_err(|error| ApiError::Invalid(chain(&error)))?;
    if candidate.name != *name {
        let reason = format!("the policy is named {}, the address says {name}", candidate.name);
        return Err(ApiError::Invalid(reason));
    }
    let simulation = simulations.run(candidate, query.into_inner().after).await;
    simulation.map(web::Json).map_err(ApiError::Store)
}
