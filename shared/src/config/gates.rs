//! `gates`: who may ask whether an image may run, and how long the answer may take.

use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;
use super::values::{Bytes, Span};

/// The gates.
#[derive(Debug, Clone)]
pub struct GatesConfig {
    /// How long a registry has to say what a tag points at; default 3 s.
    pub resolve_timeout: Duration,
    /// How long that answer is used for further questions; default 5 s.
    pub tag_ttl: Duration,
    /// The admission webhooks of Kubernetes: `validate`, `mutate` and `image-policy`.
    pub kubernetes: GateConfig,
}

/// One gate.
#[derive(Debug, Clone, Copy)]
pub struct GateConfig {
    /// Who may ask; default whoever shows a token with the scope `read`.
    pub access: GateAccess,
    /// How long a caller waits who does not say so himself.
    pub deadline: Duration,
    /// How much earlier than its caller's patience ends a gate answers (I9).
    pub margin: Duration,
    /// The largest question in bytes.
    pub body_limit: usize,
}

/// Who may ask a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateAccess {
    /// Whoever shows an API token with the scope `read`; everybody where no tokens are configured.
    Token,
    /// Everybody: the caller cannot show a token, and something else guards the way to the gate.
    Open,
}

impl GatesConfig {
    /// Every gate, by the name of its section.
    pub fn each(&self) -> [(&'static str, &GateConfig); 1] {
        [("kubernetes", &self.kubernetes)]
    }
}

impl GateConfig {
    /// How long an answer may take when the caller waits for `patience`, or does not say how long.
    ///
    /// Never less than half of the caller's patience, so that a margin larger than that does not close the gate.
    pub fn allowance(&self, patience: Option<Duration>) -> Duration {
        let patience = patience.unwrap_or(self.deadline);
        patience.saturating_sub(self.margin).max(patience / 2)
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGates {
    resolve_timeout: Option<Span>,
    tag_ttl: Option<Span>,
    #[serde(default)]
    kubernetes: RawGate,
}

/// One gate as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawGate {
    #[serde(default)]
    open: bool,
    deadline: Option<Span>,
    margin: Option<Span>,
    body_limit: Option<Bytes>,
}

impl RawGates {
    pub(super) fn check(self) -> Result<GatesConfig, ConfigError> {
        let span = |span: Option<Span>, default: Duration| span.map_or(default, |span| span.0);
        let second = Duration::from_secs(1);
        // Ten seconds are what Kubernetes waits by default. An object has at most 3 MiB; the review has two of them.
        let kubernetes = GateConfig {
            access: GateAccess::Token,
            deadline: 10 * second,
            margin: second,
            body_limit: 8 << 20,
        };
        Ok(GatesConfig {
            resolve_timeout: span(self.resolve_timeout, 3 * second),
            tag_ttl: span(self.tag_ttl, 5 * second),
            kubernetes: self.kubernetes.check("gates.kubernetes", kubernetes)?,
        })
    }
}

impl RawGate {
    fn check(self, key: &str, defaults: GateConfig) -> Result<GateConfig, ConfigError> {
        let body_limit = self.body_limit.map(|bytes| usize::try_from(bytes.0).unwrap_or(usize::MAX));
        let gate = GateConfig {
            access: if self.open { GateAccess::Open } else { defaults.access },
            deadline: self.deadline.map_or(defaults.deadline, |span| span.0),
            margin: self.margin.map_or(defaults.margin, |span| span.0),
            body_limit: body_limit.unwrap_or(defaults.body_limit),
        };
        if gate.margin >= gate.deadline {
            let reason = format!(
                "{:?} leave no time to answer within the deadline of {:?}; the margin has to be smaller",
                gate.margin, gate.deadline
            );
            return Err(ConfigError::invalid(format!("{key}.margin"), reason));
        }
        Ok(gate)
    }
}
