//! Azure Container Registry: its own webhooks, and Event Grid in both of its schemas.
//!
//! Format: Microsoft's "Container registry webhook reference" (one Distribution event without envelope) and
//! "Azure Container Registry as an Event Grid source" (an array, or a CloudEvent, around the same event).
//! Event Grid asks before it sends: with an event of its own that wants a code back, or with `OPTIONS`.
//! It drops what is answered with 400, 401, 403 or 413, so what may pass by itself is 503.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{DecodeError, Delivery, Event, WebhookSource, notification};
use crate::auth::senders::Credential;

/// The source.
pub(super) struct Acr;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GridEvent<'a> {
    event_type: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct CloudEvent<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Validation {
    validation_code: String,
}

/// What makes a JSON object one of the three.
#[derive(Deserialize)]
struct Shape {
    specversion: Option<serde::de::IgnoredAny>,
}

impl WebhookSource for Acr {
    fn name(&self) -> &'static str {
        "acr"
    }

    fn credentials(&self) -> &'static [Credential] {
        &[Credential::Authorization, Credential::ChosenHeader, Credential::UrlParameter("token")]
    }

    fn asks_for_leave(&self) -> bool {
        true
    }

    fn handshake(&self, delivery: &Delivery<'_>) -> Result<Option<serde_json::Value>, DecodeError> {
        if delivery.header("aeg-event-type") != Some("SubscriptionValidation") {
            return Ok(None);
        }
        let events: Vec<GridEvent<'_>> = delivery.json(self.name())?;
        let data = events.first().and_then(|event| event.data);
        let data =
            data.ok_or_else(|| DecodeError::Envelope("data of the validation is missing".to_owned()))?;
        let validation: Validation = serde_json::from_str(data.get())
            .map_err(|source| DecodeError::Json { source_name: self.name(), source })?;
        // `validationUrl` is not fetched: it would be a request to a URL that came over the network (I8).
        Ok(Some(json!({"validationResponse": validation.validation_code})))
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        let is_array = delivery.body.trim_ascii_start().first() == Some(&b'[');
        let batch = delivery.media_type == "application/cloudevents-batch+json";
        if is_array && !batch {
            let events: Vec<&RawValue> = delivery.json(self.name())?;
            return Ok(events.into_iter().map(|raw| grid_event(raw, delivery)).collect());
        }
        if is_array {
            let events: Vec<&RawValue> = delivery.json(self.name())?;
            return Ok(events.into_iter().map(|raw| cloud_event(raw, delivery)).collect());
        }
        let raw: &RawValue = delivery.json(self.name())?;
        let shape: Shape = delivery.json(self.name())?;
        Ok(vec![match shape.specversion {
            Some(_) => cloud_event(raw, delivery),
            None => notification::event(raw, delivery),
        }])
    }
}

fn grid_event(raw: &RawValue, delivery: &Delivery<'_>) -> Event {
    match serde_json::from_str::<GridEvent<'_>>(raw.get()) {
        Ok(event) => typed(&event.event_type, event.data, delivery),
        Err(error) => Event::Rejected(format!("event: {error}")),
    }
}

fn cloud_event(raw: &RawValue, delivery: &Delivery<'_>) -> Event {
    match serde_json::from_str::<CloudEvent<'_>>(raw.get()) {
        Ok(event) => typed(&event.kind, event.data, delivery),
        Err(error) => Event::Rejected(format!("event: {error}")),
    }
}

/// Types are written with and without `Microsoft.ContainerRegistry.` before them.
fn typed(kind: &str, data: Option<&RawValue>, delivery: &Delivery<'_>) -> Event {
    match kind.rsplit('.').next() {
        Some("ImagePushed") => match data {
            Some(data) => notification::event(data, delivery),
            None => Event::Rejected("data is missing".to_owned()),
        },
        Some("ImageDeleted") => Event::Ignored("delete"),
        Some("ChartPushed" | "ChartDeleted") => Event::Ignored("other-format"),
        Some(_) | None => Event::Ignored("other-type"),
    }
}
