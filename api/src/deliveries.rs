//! `POST /webhooks/{source}`: from a registry's request to durable jobs.
//!
//! The order is always the same: who sends (401), how large (413), what type (415), what it says (422),
//! then one durable job a pushed manifest (202), or 503 when the queue does not confirm (I1). A sender
//! that a refusal harms gets 2xx for what is bad once it has proved itself, with the bad event listed.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, options, post, web};
use futures_util::StreamExt;
use serde::Serialize;
use shared::config::{AuthConfig, ServerConfig, SourceSettings};

use crate::auth::Tokens;
use crate::auth::senders::{Listing, Proof, Sender, Shown, identify, is_signed_by};
use crate::error::{ApiError, ProblemDocument};
use crate::intake::{AcceptedJob, Intake};
use crate::webhooks::{self, Delivery, Event, Refusal, WebhookSource};

mod admit;

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

/// A reason repeats what it is about, and that may be as long as a body.
const LONGEST_REASON: usize = 500;

impl EventNote {
    fn new(event: usize, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        if reason.len() > LONGEST_REASON {
            reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
            reason.push('…');
        }
        Self { event, reason }
    }
}

/// The configuration of the webhook routes.
pub struct Webhooks {
    listed: BTreeMap<String, Listed>,
    body_limit: usize,
}

struct Listed {
    proof: Proof,
    settings: SourceSettings,
}

impl Webhooks {
    /// The routes' configuration.
    pub fn new(auth: &AuthConfig, server: &ServerConfig) -> Self {
        let listed = auth.webhooks.iter().map(|(name, config)| {
            (name.clone(), Listed { proof: Proof::new(&config.proof), settings: config.settings.clone() })
        });
        Self { listed: listed.collect(), body_limit: server.body_limit }
    }

    fn settings(&self, source: &str) -> SourceSettings {
        self.listed.get(source).map(|listed| listed.settings.clone()).unwrap_or_default()
    }

    fn listing(&self, source: &str) -> Listing<'_> {
        match self.listed.get(source) {
            Some(listed) => Listing::Listed(&listed.proof),
            None if self.listed.is_empty() => Listing::NothingListed,
            None => Listing::Unlisted,
        }
    }
}

/// More events than this in one body are no registry's: Event Grid batches 5000, and no other as many.
const MOST_EVENTS: usize = 5000;
/// A sender has this long for its body.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(10);

/// What is to be answered.
enum Answer {
    Delivery(DeliveryAnswer),
    Handshake(serde_json::Value),
}

/// Takes a registry's push events.
///
/// Authentication is per source, as configured under `auth.webhooks.<source>`; an API token with the scope
/// `push` works for every source that shows tokens.
#[utoipa::path(
    tag = "webhooks",
    params(("source" = String, Path, description = "distribution, harbor, quay, dockerhub, github, acr, ecr, gar, artifactory, nexus, gitea, gitlab, zot, cloudevents or generic")),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses(
        (status = 202, description = "Jobs are durable", body = DeliveryAnswer),
        (status = 200, description = "Nothing in it is a push that can be taken, or it was a handshake", body = DeliveryAnswer),
        (status = 401, description = "Secret or signature missing or wrong", body = ProblemDocument),
        (status = 404, description = "No such source", body = ProblemDocument),
        (status = 413, description = "Body too large", body = ProblemDocument),
        (status = 415, description = "Not a media type of this source", body = ProblemDocument),
        (status = 422, description = "Not what this source sends", body = ProblemDocument),
        (status = 503, description = "The queue did not confirm, or the sender's keys cannot be read; send it again", body = ProblemDocument),
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
        Ok(Answer::Handshake(_)) => "handshake",
        Ok(Answer::Delivery(answer)) if answer.jobs.is_empty() => "nothing",
        Ok(Answer::Delivery(_)) => "accepted",
        Err(error) => error.slug(),
    };
    metrics::counter!("tidewaiter_webhooks_total", "source" => source.name(), "result" => label).increment(1);
    Ok(match answer? {
        Answer::Handshake(document) => HttpResponse::Ok().json(document),
        Answer::Delivery(answer) if answer.jobs.is_empty() => HttpResponse::Ok().json(answer),
        Answer::Delivery(answer) => HttpResponse::Accepted().json(answer),
    })
}

/// Gives a sender of CloudEvents leave to post (CloudEvents HTTP 1.1 Web Hooks, §4).
///
/// Anybody may ask: leave is no proof, every delivery still has to show its own. `WebHook-Request-Callback`
/// is not called, since that would be a request to a URL that a stranger chose (I8).
#[utoipa::path(
    tag = "webhooks",
    params(("source" = String, Path, description = "acr or cloudevents")),
    responses(
        (status = 200, description = "It may; `WebHook-Allowed-Origin` says who"),
        (status = 404, description = "No such source, or one that does not ask", body = ProblemDocument),
        (status = 422, description = "`WebHook-Request-Origin` is missing", body = ProblemDocument),
    )
)]
#[options("/webhooks/{source}")]
pub(crate) async fn give_leave(
    request: HttpRequest,
    source: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    let source = source_named(&source)?;
    if !source.asks_for_leave() {
        let reason = format!("{} takes POST; its senders do not ask with OPTIONS", source.name());
        return Err(ApiError::NotFound(reason));
    }
    let origin = request.headers().get("webhook-request-origin").cloned();
    let origin = origin.ok_or_else(|| ApiError::Invalid("WebHook-Request-Origin is missing".to_owned()))?;
    let mut leave = HttpResponse::Ok();
    leave.insert_header((ALLOW, "POST")).insert_header(("WebHook-Allowed-Origin", origin));
    if request.headers().contains_key("webhook-request-rate") {
        leave.insert_header(("WebHook-Allowed-Rate", "*"));
    }
    Ok(leave.finish())
}

fn source_named(name: &str) -> Result<&'static dyn WebhookSource, ApiError> {
    webhooks::named(name).ok_or_else(|| {
        let names = webhooks::names();
        ApiError::NotFound(format!("there is no webhook source {name:?}; expected one of {names}"))
    })
}

async fn take(
    source: &dyn WebhookSource,
    request: &HttpRequest,
    payload: web::Payload,
    webhooks: &Webhooks,
    tokens: &Tokens,
    intake: &Intake,
) -> Result<Answer, ApiError> {
    let headers = request.headers();
    let shown = Shown { headers, query: request.query_string() };
    let sender = identify(shown, source.credentials(), webhooks.listing(source.name()), tokens).await?;
    let bad = |error: ApiError| match source.refusal() {
        Refusal::Harms => Ok(Answer::Delivery(nothing(source, error.to_string()))),
        Refusal::Helps => Err(error),
    };
    let body = match (read(payload, webhooks.body_limit).await, sender) {
        (Err(error @ ApiError::TooLarge(_)), Sender::Admitted) => return bad(error),
        (body, _) => body?,
    };
    let media_type = media_type(source, headers);
    if let Sender::MustSign(secret) = sender {
        let signed = source.signed(media_type.as_deref().unwrap_or_default(), &body);
        if !is_signed_by(secret, source.credentials(), headers, &signed) {
            return Err(ApiError::WebhookUnauthorized);
        }
    }
    // From here on the sender is known, and what is wrong is the body's fault.
    let media_type = match media_type {
        Ok(media_type) => media_type,
        Err(error) => return bad(error),
    };
    let settings = webhooks.settings(source.name());
    let delivery = Delivery { headers, media_type: &media_type, body: &body, settings: &settings };
    match understand(source, &delivery) {
        Ok(Understood::Handshake(document)) => Ok(Answer::Handshake(document)),
        Ok(Understood::Events(events)) => admit::admit(source, events, intake).await.map(Answer::Delivery),
        Err(reason) => bad(ApiError::Invalid(reason)),
    }
}

enum Understood {
    Handshake(serde_json::Value),
    Events(Vec<Event>),
}

fn understand(source: &dyn WebhookSource, delivery: &Delivery<'_>) -> Result<Understood, String> {
    if let Some(document) = source.handshake(delivery).map_err(|error| error.to_string())? {
        return Ok(Understood::Handshake(document));
    }
    let events = source.decode(delivery).map_err(|error| error.to_string())?;
    if events.len() > MOST_EVENTS {
        return Err(format!("{} events in one body, the limit is {MOST_EVENTS}", events.len()));
    }
    Ok(Understood::Events(events))
}

/// An answer that takes nothing and says why.
fn nothing(source: &dyn WebhookSource, reason: String) -> DeliveryAnswer {
    admit::count(source, "malformed");
    let note = EventNote::new(0, reason);
    tracing::warn!(webhook.source = source.name(), error = note.reason, "delivery rejected");
    DeliveryAnswer { rejected: vec![note], ..DeliveryAnswer::default() }
}

/// A whole body, at most so many bytes, within the time that a sender has.
pub(crate) async fn read(mut payload: web::Payload, limit: usize) -> Result<Vec<u8>, ApiError> {
    let whole = async {
        let mut body = Vec::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| ApiError::BrokenOff(error.to_string()))?;
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
