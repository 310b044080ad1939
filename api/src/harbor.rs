//! `/harbor/api/v1`: a scanner as Harbor wants one (pluggable scanner adapter, versions 1.0 to 1.2).
//!
//! `/scan` makes a job durable and says 202 (I1); Harbor polls `/scan/{id}/report` until the report is there.
//! A scan's id carries everything that the report needs, so that any replica answers, also after the store was
//! lost (I13). What could not be examined is an error or a finding of its own, never an empty report (I4).
//!
//! Reading order: `request` (what Harbor asks for), `ticket` (the id), `media` (which report), `findings`
//! (reports in Harbor's words), `refusal` (errors in Harbor's words). Specification:
//! goharbor/pluggable-scanner-spec `api/spec/scanner-adapter-openapi-v1.2.yaml`.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use shared::config::{Registries, Scope};
use shared::model::image::ImageName;
use shared::model::job::Lane;
use shared::model::push::{PushEvent, Pushed};
use shared::model::report::{Report, Subject};
use shared::policy::PolicySet;
use shared::registry::{Credentials, LentCredentials, LentError};
use shared::store::VerdictStore;
use shared::telemetry::chain;

use crate::error::ApiError;
use crate::intake::{Admission, Intake};

mod access;
mod findings;
mod media;
mod refusal;
mod request;
mod ticket;

#[cfg(test)]
mod tests;

use access::HarborAccess;
use media::{Kind, Metadata};
use refusal::Refusal;
use request::ScanRequest;
use ticket::Ticket;

/// Whether these bytes are a scan request.
pub(crate) fn asks_for_a_scan(body: &[u8]) -> bool {
    ScanRequest::parse(body).is_ok()
}

/// Whether this text is an id that a scan was given.
pub(crate) fn is_a_ticket(id: &str) -> bool {
    Ticket::from_id(id).is_some()
}

/// What the adapter needs besides what every route has.
pub struct Harbor {
    lent: Option<LentCredentials>,
    registries: Registries,
    policies: Arc<ArcSwap<PolicySet>>,
    advisories: ArcSwapOption<Timestamp>,
}

impl Harbor {
    /// An adapter for these registries.
    pub fn new(
        lent: Option<LentCredentials>,
        registries: Registries,
        policies: Arc<ArcSwap<PolicySet>>,
    ) -> Self {
        Self { lent, registries, policies, advisories: ArcSwapOption::empty() }
    }

    /// Notes how new the advisories behind these reports are: the api has no advisories of its own to look at.
    fn note_advisories(&self, reports: &[Report]) {
        let newest = reports.iter().map(|report| report.revisions.database_as_of).max();
        self.advisories.rcu(|known| known.as_deref().copied().max(newest).map(Arc::new));
    }

    /// Lends what Harbor lent us to the worker, where nobody has configured who we are at that registry (I8).
    async fn lend(
        &self,
        image: &ImageName,
        asked: &ScanRequest,
        authorization: Option<SecretString>,
    ) -> Result<(), Refusal> {
        let configured = self.registries.find(&image.registry).map(|registry| &registry.client.credentials);
        let (Some(Credentials::Anonymous), Some(authorization)) = (configured, authorization) else {
            return Ok(());
        };
        let Some(lent) = &self.lent else {
            tracing::warn!(image.name = %image, "Harbor's credentials are not used: gates.harbor.credentials_key is not set");
            return Ok(());
        };
        lent.lend(image, &asked.digest, &authorization).await.map_err(|error| match error {
            LentError::Unusable => Refusal::invalid(format!("registry.authorization: {error}")),
            LentError::Sealed | LentError::Random | LentError::Store(_) => {
                tracing::warn!(image.name = %image, error = %chain(&error), "credentials not lent");
                Refusal::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the registry's credentials cannot be kept; try again",
                )
            }
        })
    }
}

/// What this scanner is, takes and gives.
#[utoipa::path(
    tag = "harbor",
    responses(
        (status = 200, description = "Metadata of the adapter", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.metadata+json; version=1.0"),
        (status = 401, description = "Token missing or wrong", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.error+json; version=1.0"),
        (status = 403, description = "The token lacks the scope", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.error+json; version=1.0"),
        (status = 406, description = "Not a media type of the specification", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.error+json; version=1.0"),
    )
)]
#[get("/harbor/api/v1/metadata")]
pub(crate) async fn harbor_metadata(
    request: HttpRequest,
    harbor: web::Data<Harbor>,
) -> Result<HttpResponse, Refusal> {
    HarborAccess::check(&request, Scope::Read)?;
    let metadata = Metadata::accepted(request.headers())?;
    let advisories = harbor.advisories.load().as_deref().copied();
    let body = media::metadata(advisories).to_string();
    Ok(HttpResponse::Ok().content_type(metadata.media_type()).body(body))
}

/// Queues a scan of one image.
#[utoipa::path(
    tag = "harbor",
    request_body(content = serde_json::Value, content_type = "application/vnd.scanner.adapter.scan.request+json; version=1.1"),
    responses(
        (status = 202, description = "The scan is durable", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.scan.response+json; version=1.0"),
        (status = 401, description = "Token missing or wrong", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.error+json; version=1.0"),
        (status = 403, description = "The token lacks the scope", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.error+json; version=1.0"),
        (status = 415, description = "Not a scan request", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.error+json; version=1.0"),
        (status = 422, description = "A field is wrong, or the registry is not configured", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.error+json; version=1.0"),
        (status = 503, description = "The queue did not confirm", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.error+json; version=1.0"),
    )
)]
#[post("/harbor/api/v1/scan")]
pub(crate) async fn harbor_scan(
    request: HttpRequest,
    payload: web::Payload,
    harbor: web::Data<Harbor>,
    intake: web::Data<Intake>,
    store: web::Data<dyn VerdictStore>,
) -> Result<HttpResponse, Refusal> {
    HarborAccess::check(&request, Scope::Push)?;
    let body = request::read_body(&request, payload).await?;
    let (asked, authorization) = ScanRequest::parse(&body)?;
    let pushed = Pushed::Digest { digest: asked.digest.clone(), tag: asked.tag.clone() };
    let event = PushEvent { image: asked.image.clone(), pushed, occurred_at: None };
    // Not urgent: "scan all" of a large Harbor must not stand before a deployment that waits.
    let job = match intake.admit(event, Lane::Push, Timestamp::now()) {
        Admission::Job(job) => *job,
        Admission::NotConfigured(registry) => {
            return Err(ApiError::RegistryNotConfigured(registry).into());
        }
        Admission::ArtifactTag => {
            return Err(Refusal::invalid("artifact.tag: belongs to a list of referrers"));
        }
    };
    let image = job.image().cloned().unwrap_or_else(|| asked.image.clone());
    harbor.lend(&image, &asked, authorization).await?;
    let failed_before = match store.report(&asked.digest).await {
        Ok(Some(report)) if report.subject == Subject::Unreadable => Some(report.scanned_at),
        Ok(_) | Err(_) => None,
    };
    let ticket = Ticket::new(&job, image, asked, failed_before);
    intake.enqueue(vec![job]).await.map_err(ApiError::Queue)?;
    let answer = serde_json::json!({ "id": ticket.to_id() });
    Ok(HttpResponse::Accepted().content_type(media::SCAN_RESPONSE).body(answer.to_string()))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ReportQuery {
    /// Which kind of SBOM, for reports of that kind.
    #[param(example = "application/spdx+json")]
    sbom_media_type: Option<String>,
}

/// The report of a scan, in the form that `Accept` names.
#[utoipa::path(
    tag = "harbor",
    params(("id" = String, Path, description = "As `/scan` gave it"), ReportQuery),
    responses(
        (status = 200, description = "The report", body = serde_json::Value),
        (status = 302, description = "Not yet; ask again after `Refresh-After` seconds"),
        (status = 401, description = "Token missing or wrong", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.error+json; version=1.0"),
        (status = 403, description = "The token lacks the scope", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.error+json; version=1.0"),
        (status = 404, description = "No such scan", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.error+json; version=1.0"),
        (status = 406, description = "Not a kind of report that is made here", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.error+json; version=1.0"),
        (status = 500, description = "The image could not be examined; the message says why", body = serde_json::Value, content_type = "application/vnd.scanner.adapter.error+json; version=1.0"),
    )
)]
#[get("/harbor/api/v1/scan/{id}/report")]
pub(crate) async fn harbor_report(
    request: HttpRequest,
    id: web::Path<String>,
    query: web::Query<ReportQuery>,
    harbor: web::Data<Harbor>,
    store: web::Data<dyn VerdictStore>,
) -> Result<HttpResponse, Refusal> {
    HarborAccess::check(&request, Scope::Read)?;
    let kind = Kind::accepted(request.headers(), query.sbom_media_type.as_deref())?;
    let ticket = Ticket::from_id(&id).ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "no such scan"))?;
    let now = Timestamp::now();
    match look(store.get_ref(), &ticket, now).await {
        Found::Reports(reports) => {
            harbor.note_advisories(&reports);
            let body = match &kind {
                Kind::Vulnerabilities { .. } => {
                    findings::vulnerabilities(&ticket, &reports, &harbor.policies.load(), now)
                }
                Kind::Raw => findings::raw(&reports),
                Kind::Sbom(format) => findings::sbom(&ticket, &reports, *format)?,
            };
            Ok(HttpResponse::Ok().content_type(kind.media_type()).body(body))
        }
        Found::NotYet => Ok(HttpResponse::Found()
            .insert_header(("Refresh-After", ticket.refresh_after(now).to_string()))
            .insert_header((LOCATION, request.path().to_owned()))
            .finish()),
        Found::Nothing(reason) => Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, reason)),
    }
}

/// What there is to answer about a scan.
#[derive(Debug, PartialEq)]
enum Found {
    /// The image's report; for an index, those of its images after its own.
    Reports(Vec<Report>),
    /// Ask again.
    NotYet,
    /// There will be none, and this is why.
    Nothing(String),
}

async fn look(store: &dyn VerdictStore, ticket: &Ticket, now: Timestamp) -> Found {
    let report = match store.report(&ticket.digest).await {
        Ok(Some(report)) if ticket.is_news(&report) => report,
        Ok(_) => return late(ticket, now),
        Err(error) => {
            // Any other status would end the scan in Harbor, and the store may be back in a moment (I13).
            tracing::warn!(image.digest = %ticket.digest, error = %chain(&error), "report not to be had");
            return late(ticket, now);
        }
    };
    let mut reports = vec![report];
    if let Subject::Index { children } = reports[0].subject.clone() {
        for child in children {
            match store.report(&child.digest).await {
                Ok(Some(report)) => reports.push(report),
                Ok(None) | Err(_) => return late(ticket, now),
            }
        }
    }
    match reports.iter().find_map(unfit) {
        Some(reason) => Found::Nothing(reason),
        None => Found::Reports(reports),
    }
}

/// Why a report says nothing about an image.
fn unfit(report: &Report) -> Option<String> {
    match &report.subject {
        Subject::Image(_) | Subject::Index { .. } => None,
        Subject::Artifact { artifact_type } => {
            Some(format!("{} is no image but {artifact_type}; nothing was searched", report.digest))
        }
        Subject::Unreadable => {
            let problem = report.problems.first().map_or("no reason is known", |problem| &problem.detail);
            // Most say which image themselves.
            Some(match problem.contains(report.digest.as_str()) {
                true => problem.to_owned(),
                false => format!("{} could not be examined: {problem}", report.digest),
            })
        }
    }
}

fn late(ticket: &Ticket, now: Timestamp) -> Found {
    if ticket.is_hopeless(now) {
        let reason = format!(
            "there is no report about {} half an hour after the scan was queued; `tidewaiter queue dead` and the workers' logs say why",
            ticket.digest
        );
        return Found::Nothing(reason);
    }
    Found::NotYet
}
