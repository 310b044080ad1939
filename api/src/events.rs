//! `GET /v1/events`: changed verdicts as they are announced, as server-sent events.
//!
//! Format: HTML Living Standard, "Server-sent events". A subscriber is a place in the feed and the page that it
//! reads next: nothing is buffered for it, a slow one reads at its own pace, and one that falls out of what the
//! feed keeps is told so by an event `gap`. What is read is described once for all subscribers. Changes that
//! other processes announce arrive too: the store wakes whoever watches the feed.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::{HttpRequest, HttpResponse, get, web};
use bytes::Bytes;
use futures_util::stream;
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use shared::announce::{Describer, Interest};
use shared::model::change::{ChangeId, Recorded};
use shared::model::event::VerdictEvent;
use shared::policy::ImagePattern;
use shared::store::{History, StoreError, Watch};
use shared::telemetry::chain;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::auth::ReadAccess;
use crate::error::{ApiError, ProblemDocument};

/// Changes that a subscriber reads at a time: all that it ever holds.
const PAGE: usize = 32;

/// Described changes that are kept for all subscribers together.
const DESCRIBED: u64 = 1024;

/// After so long without news a subscriber hears that the line still stands, and where it is.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The wait of a client before it connects again, in milliseconds.
const RECONNECT_MS: u32 = 2000;

/// Most patterns or names of one filter.
const MOST_FILTERS: usize = 50;

/// The feed, and everybody who listens to it.
pub struct Events {
    history: Arc<dyn History>,
    describer: Arc<Describer>,
    described: Cache<ChangeId, Arc<Described>>,
    places: Arc<Semaphore>,
    shutdown: CancellationToken,
}

/// A change of the feed as it is sent.
struct Described {
    event: VerdictEvent,
    frame: Bytes,
}

impl Events {
    /// The feed of `history`, for so many subscribers at the same time, until `shutdown`.
    pub fn new(
        history: Arc<dyn History>,
        describer: Arc<Describer>,
        subscribers: usize,
        shutdown: CancellationToken,
    ) -> Self {
        let places = Arc::new(Semaphore::new(subscribers.min(Semaphore::MAX_PERMITS)));
        Self { history, describer, described: Cache::new(DESCRIBED), places, shutdown }
    }

    async fn describe(&self, recorded: &Recorded) -> Result<Arc<Described>, Arc<StoreError>> {
        let describing = async {
            let event = self.describer.describe(&recorded.change, None).await?;
            let mut frame = format!("id: {}\nevent: verdict\ndata: ", recorded.id).into_bytes();
            frame.extend(event.to_json());
            frame.extend(b"\n\n");
            Ok(Arc::new(Described { event, frame: frame.into() }))
        };
        self.described.try_get_with(recorded.id, describing).await
    }
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    /// Only what these policies think, separated by commas.
    #[param(example = "default")]
    policy: Option<String>,
    /// Only these changes, separated by commas: `fail`, `pass->fail`, `pending->*`.
    #[param(example = "pass->fail")]
    outcome: Option<String>,
    /// Only images seen in these repositories, separated by commas: `registry.example.com/team/*`.
    #[param(example = "registry.example.com/team/*")]
    repository: Option<String>,
    /// Begin after this event, like the header `Last-Event-ID`, which goes first; `0-0` begins with the oldest
    /// that is kept. Without either it begins now.
    #[param(value_type = Option<String>, example = "1796200000000-0")]
    last_event_id: Option<ChangeId>,
}

impl EventsQuery {
    fn interest(&self) -> Result<Interest, ApiError> {
        Ok(Interest {
            policies: list("policy", self.policy.as_deref(), str::parse)?,
            outcomes: list("outcome", self.outcome.as_deref(), str::parse)?,
            repositories: list("repository", self.repository.as_deref(), ImagePattern::new)?,
        })
    }
}

fn list<T, E: std::fmt::Display>(
    name: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, ApiError> {
    let parts: Vec<&str> = text.map(|text| text.split(',').map(str::trim).collect()).unwrap_or_default();
    if parts.len() > MOST_FILTERS {
        return Err(ApiError::Invalid(format!("{name}: more than {MOST_FILTERS} values")));
    }
    let parsed = parts.into_iter().map(|part| parse(part).map_err(|error| invalid(name, &error)));
    parsed.collect()
}

fn invalid(name: &str, error: &dyn std::fmt::Display) -> ApiError {
    ApiError::Invalid(format!("{name}: {error}"))
}

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Where a client wants to begin: its `Last-Event-ID`, then the query. An empty header is none.
fn resumed(request: &HttpRequest, query: &EventsQuery) -> Result<Option<ChangeId>, ApiError> {
    match request.headers().get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or("?")) {
        None | Some("") => Ok(query.last_event_id),
        Some(text) => text.trim().parse().map(Some).map_err(|error| invalid("Last-Event-ID", &error)),
    }
}

/// Changed verdicts, as they are announced.
#[utoipa::path(
    tag = "events",
    params(
        EventsQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Begin after this event; clients that lost the line send it by themselves"),
    ),
    responses(
        (
            status = 200,
            description = "Server-sent events without end. `verdict`: a CloudEvent about one changed verdict. `gap`: some were missed, for they are no longer kept",
            body = VerdictEvent,
            content_type = "text/event-stream",
        ),
        (status = 401, description = "Token missing or wrong", body = ProblemDocument),
        (status = 403, description = "The token lacks the scope `read`", body = ProblemDocument),
        (status = 422, description = "A filter or an id that is none", body = ProblemDocument),
        (status = 503, description = "The store cannot be asked, or too many listen already", body = ProblemDocument),
    ),
    security(("token" = ["read"]))
)]
#[get("/v1/events")]
pub(crate) async fn stream_events(
    _access: ReadAccess,
    request: HttpRequest,
    query: web::Query<EventsQuery>,
    events: web::Data<Events>,
) -> Result<HttpResponse, ApiError> {
    let interest = query.interest()?;
    let after = resumed(&request, &query)?;
    let place = Arc::clone(&events.places).try_acquire_owned();
    let place = place.map_err(|_| ApiError::Busy("too many clients listen to events already"))?;
    let subscription = Subscription::begin(events.into_inner(), interest, after, place);
    let subscription = subscription.await.map_err(ApiError::Store)?;
    let frames = stream::unfold(subscription, |mut subscription| async {
        let frame = subscription.next().await?;
        Some((Ok::<_, actix_web::Error>(frame), subscription))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-cache"))
        // nginx would hold the events back.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(frames))
}

/// One client: where it is in the feed, and what it wants.
struct Subscription {
    events: Arc<Events>,
    interest: Interest,
    /// The last change that it has seen or does not want; `None` before the first of an empty feed.
    after: Option<ChangeId>,
    watch: Watch,
    state: State,
    spoke: Instant,
    _place: Place,
}

/// What a subscription does next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Say hello, and what was missed.
    Begin,
    /// Read the feed.
    Read,
}

/// A place among the subscribers, counted.
struct Place(#[allow(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

impl Place {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        metrics::gauge!("tidewaiter_event_subscribers").increment(1.0);
        Self(permit)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!("tidewaiter_event_subscribers").decrement(1.0);
    }
}

/// What a client missed.
#[derive(Serialize)]
struct Gap {
    /// The last event that it had.
    after: ChangeId,
    /// The oldest that is kept, if any is.
    oldest: Option<ChangeId>,
}

impl Subscription {
    async fn begin(
        events: Arc<Events>,
        interest: Interest,
        after: Option<ChangeId>,
        place: OwnedSemaphorePermit,
    ) -> Result<Self, StoreError> {
        // Watched before it is looked at, so that no news falls between.
        let watch = events.history.watch_feed().await?;
        let after = match after {
            Some(after) => Some(after),
            None => events.history.feed_end().await?,
        };
        let (state, spoke) = (State::Begin, Instant::now());
        Ok(Self { events, interest, after, watch, state, spoke, _place: Place::new(place) })
    }

    /// What is sent next; `None` ends the stream: the process stops, or the store fails. The client comes again.
    async fn next(&mut self) -> Option<Bytes> {
        let shutdown = self.events.shutdown.clone();
        let sent = shutdown.run_until_cancelled(self.frames()).await?;
        match sent {
            Ok(frames) => {
                self.spoke = Instant::now();
                Some(frames)
            }
            Err(error) => {
                tracing::warn!(error = %chain(error.as_ref()), "events cannot be read; the subscriber has to come again");
                None
            }
        }
    }

    async fn frames(&mut self) -> Result<Bytes, Arc<StoreError>> {
        if self.state == State::Begin {
            self.state = State::Read;
            return Ok(self.hello().await?);
        }
        loop {
            let page = self.events.history.feed_after(self.after, PAGE).await?;
            let Some(last) = page.last().map(|recorded| recorded.id) else {
                if self.wait().await? {
                    continue;
                }
                return Ok(self.heartbeat());
            };
            // A full page means that this reader is behind, perhaps so far that some are gone.
            let mut frames = match page.len() == PAGE {
                true => self.missed().await?,
                false => Vec::new(),
            };
            for recorded in &page {
                let described = self.events.describe(recorded).await?;
                if self.interest.includes(&described.event) {
                    frames.extend_from_slice(&described.frame);
                }
            }
            self.after = Some(last);
            if !frames.is_empty() {
                return Ok(frames.into());
            }
            if self.spoke.elapsed() >= HEARTBEAT {
                return Ok(self.heartbeat());
            }
        }
    }

    /// The beginning of the stream: where it begins, and whether something is missing before that.
    async fn hello(&self) -> Result<Bytes, StoreError> {
        let mut frames = format!("retry: {RECONNECT_MS}\n").into_bytes();
        frames.extend(self.place());
        frames.extend(self.missed().await?);
        Ok(frames.into())
    }

    /// An event `gap` where changes behind this reader's place are no longer kept. Whoever begins with `0-0`
    /// has asked for what there is.
    async fn missed(&self) -> Result<Vec<u8>, StoreError> {
        let Some(after) = self.after.filter(|after| *after != ChangeId::default()) else {
            return Ok(Vec::new());
        };
        let oldest = self.events.history.feed_after(None, 1).await?.first().map(|recorded| recorded.id);
        if oldest.is_some_and(|oldest| oldest <= after) {
            return Ok(Vec::new());
        }
        metrics::counter!("tidewaiter_event_gaps_total").increment(1);
        let gap = serde_json::to_string(&Gap { after, oldest }).expect("a gap has only strings");
        Ok(format!("event: gap\ndata: {gap}\n\n").into_bytes())
    }

    /// Waits for news; `false` when it is time to say something without any.
    async fn wait(&mut self) -> Result<bool, StoreError> {
        let left = HEARTBEAT.saturating_sub(self.spoke.elapsed());
        if left.is_zero() {
            return Ok(false);
        }
        let began = Instant::now();
        self.watch.changed(left).await;
        if began.elapsed() < left {
            // What woke us may have been the end of the subscription behind this watch.
            self.watch = self.events.history.watch_feed().await?;
            return Ok(true);
        }
        Ok(false)
    }

    fn heartbeat(&self) -> Bytes {
        let mut frame = b": still here\n".to_vec();
        frame.extend(self.place());
        frame.into()
    }

    /// An id without data: the client remembers it and dispatches nothing.
    fn place(&self) -> Vec<u8> {
        self.after.map_or_else(|| b"\n".to_vec(), |after| format!("id: {after}\n\n").into_bytes())
    }
}

#[cfg(test)]
mod tests;
