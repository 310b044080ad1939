//! `POST /webhooks/{source}`: registries say what was pushed. Adding a registry: a file, and a line in [`ALL`].
//!
//! The order is always the same: who sends (401), how large (413), what type (415), what it says (422),
//! then one durable job a pushed manifest (202), or 503 when the queue does not confirm (I1). A sender
//! that repeats a refused delivery for ever gets 2xx with the bad event listed, so that it is not jammed.

use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, post, web};
use futures_util::StreamExt;
use jiff::Timestamp;
use serde::Serialize;
use shared::config::{AuthConfig, ServerConfig, WebhookConfig, WebhookProof};
use shared::model::job::Lane;
use shared::model::push::PushEvent;

use crate::auth::{self, Listing, Sender, Tokens};
use crate::error::{ApiError, ProblemDocument};
use crate::intake::{AcceptedJob, Admission, Intake};

mod cloudevents;
mod distribution;
mod generic;
mod harbor;

/// Every source.
pub const ALL: &[&dyn WebhookSource] =
    &[&distribution::Distribution, &harbor::Harbor, &cloudevents::CloudEvents, &generic::Generic];

/// Reads one registry's events.
pub trait WebhookSource: Send + Sync {
    /// The last part of the route.
    fn name(&self) -> &'static str;

    /// Whether bodies of this media type (lower case, without parameters) are for it.
    fn reads(&self, media_type: &str) -> bool;

    /// What the sender does with an answer that it does not like.
    fn redelivery(&self) -> Redelivery;

    /// The header that carries an HMAC of the body, where the sender signs.
    fn signature_header(&self) -> &'static str {
        "x-hub-signature-256"
    }

    /// The events of a body. Pure; the sender has proved itself already.
    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError>;
}

/// A request as a source sees it.
pub struct Delivery<'a> {
    /// Headers, for formats that put attributes there.
    pub headers: &'a HeaderMap,
    /// `Content-Type` without parameters, lower case.
    pub media_type: &'a str,
    /// The body as it was sent.
    pub body: &'a [u8],
}

/// What a sender does with an answer that it does not like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redelivery {
    /// Sends the same event again until it is taken, and nothing else meanwhile.
    ForEver,
    /// Gives up after a few attempts, or at once.
    Bounded,
}

/// One event of a delivery.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A manifest was pushed.
    Push(PushEvent),
    /// Something else happened; the reason is a metric label.
    Ignored(&'static str),
    /// It should have been a push, and a field is wrong.
    Rejected(String),
}

/// Why a body has no events at all.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not the JSON that this source sends.
    #[error("the body is not what {source_name} sends: {source}")]
    Json {
        /// Which source.
        source_name: &'static str,
        /// What and where.
        source: serde_json::Error,
    },
    /// The envelope lacks something.
    #[error("{0}")]
    Envelope(String),
}

/// What became of a delivery.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct DeliveryAnswer {
    /// Jobs that are durable now.
    pub jobs: Vec<AcceptedJob>,
    /// Events that are about something else.
    pub ignored: Vec<EventNote>,
    /// Events that should have been pushes and cannot be taken.
    pub rejected: Vec<EventNote>,
}

/// What became of one event that is no job.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EventNote {
    /// Position in the delivery, from 0.
    pub event: usize,
    /// Why.
    pub reason: String,
}

/// The configuration of the webhook routes.
pub struct Webhooks {
    auth: AuthConfig,
    body_limit: usize,
}

impl Webhooks {
    /// The routes' configuration.
    pub fn new(auth: AuthConfig, server: &ServerConfig) -> Self {
        Self { auth, body_limit: server.body_limit }
    }

    fn config(&self, source: &str) -> Option<&WebhookConfig> {
        self.auth.webhooks.get(source)
    }

    fn listing<'a>(&self, config: Option<&'a WebhookConfig>) -> Listing<'a> {
        match config {
            Some(config) => Listing::Listed(&config.proof),
            None if self.auth.webhooks.is_empty() => Listing::NothingListed,
            None => Listing::Unlisted,
        }
    }
}

/// More events than this in one body are no registry's.
const MOST_EVENTS: usize = 1000;
/// A sender has this long for its body.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Takes a registry's push events.
///
/// Authentication is per source, as configured under `auth.webhooks.<source>`; an API token with the scope
/// `push` works for every source that does not sign.
#[utoipa::path(
    tag = "webhooks",
    params(("source" = String, Path, description = "distribution, harbor, cloudevents or generic")),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses(
        (status = 202, description = "Jobs are durable", body = DeliveryAnswer),
        (status = 200, description = "Nothing in it is a push that can be taken", body = DeliveryAnswer),
        (status = 401, description = "Secret or signature missing or wrong", body = ProblemDocument),
        (status = 404, description = "No such source", body = ProblemDocument),
        (status = 413, description = "Body too large", body = ProblemDocument),
        (status = 415, description = "Not a media type of this source", body = ProblemDocument),
        (status = 422, description = "Not what this source sends", body = ProblemDocument),
        (status = 503, description = "The queue did not confirm; send it again", body = ProblemDocument),
    )
)]
#[post("/webhooks/{source}")]
pub(crate) async fn receive(
    request: HttpRequest,
    source: web::Path<String>,
    payload: web::Payload,
    webhooks: web::Data<Webhooks>,
    tokens: web::Data<Tokens>,
    intake: web::Data<Intake>,
) -> Result<HttpResponse, ApiError> {
    let source = source_named(&source)?;
    let answer = take(source, &request, payload, &webhooks, &tokens, &intake).await;
    let label = match &answer {
        Ok(answer) if answer.jobs.is_empty() => "nothing",
        Ok(_) => "accepted",
        Err(error) => error.slug(),
    };
    metrics::counter!("tidewaiter_webhooks_total", "source" => source.name(), "result" => label).increment(1);
    let answer = answer?;
    if answer.jobs.is_empty() {
        Ok(HttpResponse::Ok().json(answer))
    } else {
        Ok(HttpResponse::Accepted().json(answer))
    }
}

fn source_named(name: &str) -> Result<&'static dyn WebhookSource, ApiError> {
    let known = ALL.iter().find(|source| source.name() == name);
    known.copied().ok_or_else(|| {
        let names: Vec<_> = ALL.iter().map(|source| source.name()).collect();
        ApiError::NotFound(format!(
            "there is no webhook source {name:?}; expected one of {}",
            names.join(", ")
        ))
    })
}

async fn take(
    source: &dyn WebhookSource,
    request: &HttpRequest,
    payload: web::Payload,
    webhooks: &Webhooks,
    tokens: &Tokens,
    intake: &Intake,
) -> Result<DeliveryAnswer, ApiError> {
    let config = webhooks.config(source.name());
    let listing = webhooks.listing(config);
    let sender = auth::identify(request.headers(), listing, tokens)?;
    let patient = |sender: Sender| match (source.redelivery(), sender) {
        (Redelivery::ForEver, Sender::Authenticated) => true,
        (Redelivery::ForEver | Redelivery::Bounded, _) => false,
    };
    let body = match read(payload, webhooks.body_limit).await {
        Err(error @ ApiError::TooLarge(_)) if patient(sender) => return Ok(nothing(error.to_string())),
        other => other?,
    };
    let sender = match (sender, listing) {
        (Sender::MustSign, Listing::Listed(WebhookProof::Hmac(secret))) => {
            let signature =
                request.headers().get(source.signature_header()).ok_or(ApiError::WebhookUnauthorized)?;
            if !auth::is_signed(secret, &body, signature.as_bytes()) {
                return Err(ApiError::WebhookUnauthorized);
            }
            Sender::Authenticated
        }
        (known, _) => known,
    };
    let media_type = media_type(source, request.headers())?;
    let delivery = Delivery { headers: request.headers(), media_type: &media_type, body: &body };
    let events = match source.decode(&delivery) {
        Ok(events) if events.len() > MOST_EVENTS => {
            Err(format!("{} events in one body, the limit is {MOST_EVENTS}", events.len()))
        }
        Ok(events) => Ok(events),
        Err(error) => Err(error.to_string()),
    };
    match events {
        Ok(events) => admit(source, config, events, sender, intake).await,
        Err(reason) if patient(sender) => Ok(nothing(reason)),
        Err(reason) => Err(ApiError::Invalid(reason)),
    }
}

/// An answer that takes nothing and says why.
fn nothing(reason: String) -> DeliveryAnswer {
    tracing::warn!(error = reason, "delivery rejected");
    DeliveryAnswer { rejected: vec![EventNote { event: 0, reason }], ..DeliveryAnswer::default() }
}

/// A whole body, at most so many bytes, within the time that a sender has.
pub(crate) async fn read(mut payload: web::Payload, limit: usize) -> Result<Vec<u8>, ApiError> {
    let whole = async {
        let mut body = Vec::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| ApiError::Invalid(format!("the body broke off: {error}")))?;
            if body.len() + chunk.len() > limit {
                return Err(ApiError::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    };
    tokio::time::timeout(BODY_TIME, whole).await.map_err(|_| ApiError::Timeout)?
}

fn media_type(source: &dyn WebhookSource, headers: &HeaderMap) -> Result<String, ApiError> {
    // A signature covers the bytes on the wire, so they are read as they are.
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding.as_bytes() != b"identity") {
        return Err(ApiError::UnsupportedMediaType("webhook bodies must not be compressed".to_owned()));
    }
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = shared::model::document::essence(text);
    if source.reads(&media_type) {
        Ok(media_type)
    } else {
        Err(ApiError::UnsupportedMediaType(format!("{} does not send {media_type:?}", source.name())))
    }
}

async fn admit(
    source: &dyn WebhookSource,
    config: Option<&WebhookConfig>,
    events: Vec<Event>,
    sender: Sender,
    intake: &Intake,
) -> Result<DeliveryAnswer, ApiError> {
    let now = Timestamp::now();
    let mut answer = DeliveryAnswer::default();
    let mut jobs = Vec::new();
    let count = |what: &'static str| {
        metrics::counter!("tidewaiter_events_total", "source" => source.name(), "event" => what).increment(1);
    };
    for (at, event) in events.into_iter().enumerate() {
        let mut event = match event {
            Event::Push(event) => event,
            Event::Ignored(reason) => {
                count(reason);
                answer.ignored.push(EventNote { event: at, reason: reason.to_owned() });
                continue;
            }
            Event::Rejected(reason) => {
                count("malformed");
                answer.rejected.push(EventNote { event: at, reason });
                continue;
            }
        };
        if let Some(registry) = config.and_then(|config| config.registry.as_ref()) {
            event.image.registry = registry.clone();
        }
        match intake.admit(event, Lane::Push, now) {
            Admission::Job(job) => jobs.push(*job),
            Admission::ArtifactTag => {
                count("artifact-tag");
                answer.ignored.push(EventNote { event: at, reason: "artifact-tag".to_owned() });
            }
            Admission::NotConfigured(registry) => {
                count("registry-not-configured");
                let reason = ApiError::RegistryNotConfigured(registry).to_string();
                answer.rejected.push(EventNote { event: at, reason });
            }
        }
    }
    for note in &answer.rejected {
        tracing::warn!(
            webhook.source = source.name(),
            webhook.event = note.event,
            error = note.reason,
            "event rejected"
        );
    }
    let refuse = source.redelivery() == Redelivery::Bounded || sender == Sender::Anybody;
    if jobs.is_empty()
        && refuse
        && let Some(note) = answer.rejected.first()
    {
        return Err(ApiError::Invalid(note.reason.clone()));
    }
    for job in &jobs {
        tracing::info!(webhook.source = source.name(), job.id = %job.id, image.name = job.subject(), "push accepted");
    }
    answer.jobs = intake.enqueue(jobs).await.map_err(ApiError::Queue)?;
    for _ in &answer.jobs {
        count("accepted");
    }
    Ok(answer)
}

#[cfg(test)]
mod tests;
