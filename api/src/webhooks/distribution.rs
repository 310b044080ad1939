//! CNCF Distribution: envelopes of events, `…events.v1+json` (2.x) and `…events.v2+json` (3.x).
//!
//! It can show whatever header is configured, and sends what is refused again for ever, before all else.

use super::{DecodeError, Delivery, Event, WebhookSource, notification};
use crate::auth::senders::Credential;

/// The source.
pub(super) struct Distribution;

impl WebhookSource for Distribution {
    fn name(&self) -> &'static str {
        "distribution"
    }

    fn credentials(&self) -> &'static [Credential] {
        &[Credential::Authorization, Credential::ChosenHeader]
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        notification::envelope(delivery, self.name())
    }
}
