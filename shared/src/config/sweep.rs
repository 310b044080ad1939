//! `registries.<name>.sweep_*`: how a registry is compared with what is known.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::ConfigError;
use super::values::Span;
use crate::model::image::{RegistryHost, Repository};

/// How one registry is swept.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepSettings {
    /// How often, by itself; `None` for never. Default: every 24 h, and never for registries that are known to
    /// offer no catalogue while no repositories are named.
    pub every: Option<Duration>,
    /// How many tags are asked for in a second; default 10.
    pub rate: f64,
    /// The repositories to sweep in the place of the registry's catalogue; default none.
    pub repositories: Vec<Repository>,
}

/// `24h`, or `off`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Every {
    Off,
    Span(Span),
}

impl<'de> Deserialize<'de> for Every {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(Self::Off);
        }
        let refused =
            || serde::de::Error::custom(format!("{text:?} is not a duration; write it like 24h, or off"));
        let span: jiff::SignedDuration = text.parse().map_err(|_| refused())?;
        Duration::try_from(span).map(|span| Self::Span(Span(span))).map_err(|_| refused())
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Sweeps that follow one another faster would never end.
const SHORTEST: Duration = Duration::from_secs(10);
const DEFAULT_RATE: f64 = 10.0;
const RATES: std::ops::RangeInclusive<f64> = 0.1..=1000.0;
const MOST_REPOSITORIES: usize = 10_000;

impl SweepSettings {
    /// The settings of a registry of which nothing is said.
    pub fn of(host: &RegistryHost) -> Self {
        let every = if offers_catalogue(host.as_str()) { Some(DAY) } else { None };
        Self { every, rate: DEFAULT_RATE, repositories: Vec::new() }
    }
}

pub(super) fn settings(
    key: &str,
    host: &RegistryHost,
    every: Option<Every>,
    rate: Option<f64>,
    repositories: Vec<Repository>,
) -> Result<SweepSettings, ConfigError> {
    let rate = rate.unwrap_or(DEFAULT_RATE);
    if !RATES.contains(&rate) {
        let reason =
            format!("is {rate}; expected requests per second, between {} and {}", RATES.start(), RATES.end());
        return Err(ConfigError::invalid(format!("{key}.sweep_rate"), reason));
    }
    if repositories.len() > MOST_REPOSITORIES {
        let reason = format!("names {} repositories, the limit is {MOST_REPOSITORIES}", repositories.len());
        return Err(ConfigError::invalid(format!("{key}.repositories"), reason));
    }
    let every = match every {
        Some(Every::Off) => None,
        Some(Every::Span(Span(every))) if every < SHORTEST => {
            let reason = "is under 10s; write off to sweep only when somebody asks for it";
            return Err(ConfigError::invalid(format!("{key}.sweep_every"), reason));
        }
        Some(Every::Span(Span(every))) => Some(every),
        None if repositories.is_empty() => SweepSettings::of(host).every,
        None => Some(DAY),
    };
    Ok(SweepSettings { every, rate, repositories })
}

/// Whether a registry may let its clients list its repositories. These are known not to.
fn offers_catalogue(host: &str) -> bool {
    let never =
        ["docker.io", "ghcr.io", "quay.io", "public.ecr.aws", "registry.gitlab.com", "registry.k8s.io"];
    !never.contains(&host) && !host.ends_with(".pkg.dev")
}
