//! `GET /v1/policies` and `GET /v1/policies/{name}`: the policies that this server judges by.

use std::sync::Arc;

use actix_web::{get, web};
use serde::Serialize;
use shared::model::report::Revision;
use shared::model::verdict::{Mode, PolicyName};
use shared::policy::Policy;

use crate::auth::ReadAccess;
use crate::error::{ApiError, ProblemDocument};
use crate::verdicts::Verdicts;

/// One policy, without its text.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PolicySummary {
    /// What `?policy=` names.
    pub name: PolicyName,
    /// Whether gates obey it.
    pub mode: Mode,
    /// Where it judges.
    pub scope: PolicyScope,
    /// How many rules it has, of all kinds.
    pub rules: usize,
    /// How many exceptions hold now.
    pub exceptions: usize,
    /// Equal revisions judge equally.
    pub revision: Revision,
}

/// Where a policy judges; empty means everywhere.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PolicyScope {
    /// Patterns of repositories.
    pub repositories: Vec<String>,
    /// Patterns of namespaces.
    pub namespaces: Vec<String>,
    /// Patterns of labels.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// One policy with the text that it was made of.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PolicyDocument {
    /// What is said about it in the list.
    #[serde(flatten)]
    pub summary: PolicySummary,
    /// The text of its file, unchanged.
    pub source: String,
}

/// Every policy.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PolicyList {
    /// By name.
    pub policies: Vec<PolicySummary>,
}

/// The policies that this server judges by.
#[utoipa::path(
    tag = "policies",
    responses(
        (status = 200, description = "Every policy, by name", body = PolicyList),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
    ),
    security(("token" = ["read"]))
)]
#[get("/v1/policies")]
pub(crate) async fn list_policies(
    _access: ReadAccess,
    verdicts: web::Data<Verdicts>,
) -> web::Json<PolicyList> {
    let policies = verdicts.policies();
    web::Json(PolicyList { policies: policies.iter().map(summary).collect() })
}

/// One policy with its text.
#[utoipa::path(
    tag = "policies",
    params(("name" = String, Path, description = "The policy's name", example = "default")),
    responses(
        (status = 200, description = "The policy", body = PolicyDocument),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 404, description = "No policy of that name", body = ProblemDocument),
        (status = 422, description = "Not a policy name", body = ProblemDocument),
    ),
    security(("token" = ["read"]))
)]
#[get("/v1/policies/{name}")]
pub(crate) async fn show_policy(
    _access: ReadAccess,
    name: web::Path<PolicyName>,
    verdicts: web::Data<Verdicts>,
) -> Result<web::Json<PolicyDocument>, ApiError> {
    let policy = verdicts.policy(&name)?;
    Ok(web::Json(PolicyDocument { summary: summary(&policy), source: policy.source.to_string() }))
}

fn summary(policy: &Arc<Policy>) -> PolicySummary {
    let now = jiff::Timestamp::now();
    let scope = &policy.scope;
    PolicySummary {
        name: policy.name.clone(),
        mode: policy.mode,
        scope: PolicyScope {
            repositories: scope.repositories.iter().map(ToString::to_string).collect(),
            namespaces: scope.namespaces.iter().map(|glob| glob.as_str().to_owned()).collect(),
            labels: scope.labels.iter().map(|(key, glob)| (key.clone(), glob.as_str().to_owned())).collect(),
        },
        rules: policy.rules.len() + policy.image_rules.len() + policy.signatures.len(),
        exceptions: policy.exceptions.len() - policy.expired_exceptions(now).count(),
        revision: policy.revision.clone(),
    }
}
