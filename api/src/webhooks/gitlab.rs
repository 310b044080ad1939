//! GitLab's container registry (self-managed): a fork of Distribution, with its envelopes and its habits.
//!
//! Configured by `registry['notifications']` in `gitlab.rb`; gitlab.com has no such thing.

use super::{DecodeError, Delivery, Event, WebhookSource, notification};
use crate::auth::senders::Credential;

/// The source.
pub(super) struct GitLab;

impl WebhookSource for GitLab {
    fn name(&self) -> &'static str {
        "gitlab"
    }

    fn credentials(&self) -> &'static [Credential] {
        &[Credential::Authorization, Credential::ChosenHeader]
    }

    fn decode(&self, delivery: &Delivery<'_>) -> Result<Vec<Event>, DecodeError> {
        notification::envelope(delivery, self.name())
    }
}
