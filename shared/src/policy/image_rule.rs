//! Rules about the image itself: how it would run, how old it is, how old the knowledge about it is.
//!
//! Unlike rules about findings every one that matches speaks: there is only one image.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::expression::Expression;
use super::horizon::Horizon;
use super::pattern::Glob;
use super::rule::Match;
use super::values::ImageValues;
use crate::model::report::Report;
use crate::model::settings::Settings;
use crate::model::verdict::Effect;

/// One rule about the image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageRule {
    /// For people, in reasons.
    pub name: String,
    /// Which images; every condition that is given must hold.
    pub when: ImageConditions,
    /// What then.
    pub then: Effect,
}

/// Conditions of a rule about the image. `None` and empty mean: does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageConditions {
    /// Whether it starts as root.
    pub runs_as_root: Option<bool>,
    /// Exposes one of these ports: `22`, `22/tcp`, `*`.
    pub exposes: Vec<Glob>,
    /// Lacks one of these labels.
    pub lacks_labels: Vec<String>,
    /// Has one of these labels with a value that fits.
    pub labels: BTreeMap<String, Glob>,
    /// Whether it says how to find out that it is healthy.
    pub healthcheck: Option<bool>,
    /// Whether names of environment variables look as if they held secrets.
    pub secrets_in_environment: Option<bool>,
    /// Has an environment variable with one of these names.
    pub environment: Vec<Glob>,
    /// Built at least so many days ago.
    pub built_days_at_least: Option<u32>,
    /// Examined at least so many days ago.
    pub scanned_days_at_least: Option<u32>,
    /// Judged with advisories of which the newest is at least so many days old.
    pub advisories_days_at_least: Option<u32>,
    /// The distribution's advisories end within so many days; 0 means that they have ended.
    pub support_ends_within_days: Option<u32>,
    /// Whatever else an expression can say.
    pub cel: Option<Expression>,
}

impl ImageConditions {
    pub(super) fn hold(&self, report: &Report, values: &ImageValues<'_>, horizon: &mut Horizon) -> Match {
        self.fits_settings(report).and(|| self.fits_ages(report, horizon)).and(|| match &self.cel {
            Some(expression) => expression.holds(values, None, horizon),
            None => Match::Yes,
        })
    }

    fn asks_settings(&self) -> bool {
        self.runs_as_root.is_some()
            || !self.exposes.is_empty()
            || !self.lacks_labels.is_empty()
            || !self.labels.is_empty()
            || self.healthcheck.is_some()
            || self.secrets_in_environment.is_some()
            || !self.environment.is_empty()
    }

    fn fits_settings(&self, report: &Report) -> Match {
        if !self.asks_settings() {
            return Match::Yes;
        }
        let Some(settings) = report.inventory().and_then(|inventory| inventory.settings.as_ref()) else {
            return Match::Unsure(Cow::Borrowed("the image's configuration is not known"));
        };
        let has_secrets = || settings.environment.iter().any(|name| looks_secret(name));
        let named = |glob: &Glob| settings.environment.iter().any(|name| glob.matches(name));
        let labelled =
            |(key, glob): (&String, &Glob)| settings.labels.get(key).is_some_and(|value| glob.matches(value));
        // Lists may have been cut; then what is not seen in them may all the same be there.
        let listed = Match::of(self.exposes.is_empty() || exposes(settings, &self.exposes))
            .or_cut(settings)
            .and(|| Match::of(self.labels.is_empty() || self.labels.iter().any(labelled)).or_cut(settings))
            .and(|| {
                Match::of(self.environment.is_empty() || self.environment.iter().any(named)).or_cut(settings)
            })
            .and(|| match self.secrets_in_environment {
                None => Match::Yes,
                Some(true) => Match::of(has_secrets()).or_cut(settings),
                Some(false) => Match::of(!has_secrets()),
            });
        let lacks = |key: &String| !settings.labels.contains_key(key);
        listed
            .and(|| Match::of(self.runs_as_root.is_none_or(|wanted| wanted == settings.runs_as_root())))
            .and(|| Match::of(self.healthcheck.is_none_or(|wanted| wanted == settings.healthcheck)))
            .and(|| Match::of(self.lacks_labels.is_empty() || self.lacks_labels.iter().any(lacks)))
    }

    fn fits_ages(&self, report: &Report, horizon: &mut Horizon) -> Match {
        self.is_old(report, horizon)
            .and(|| aged(self.scanned_days_at_least, report.scanned_at, horizon))
            .and(|| aged(self.advisories_days_at_least, report.revisions.database_as_of, horizon))
            .and(|| match (self.support_ends_within_days, report.support_ends) {
                (None, _) => Match::Yes,
                (Some(days), Some(end)) => Match::of(horizon.is_past(days_before(end, days))),
                (Some(_), None) => Match::No,
            })
    }

    fn is_old(&self, report: &Report, horizon: &mut Horizon) -> Match {
        let Some(days) = self.built_days_at_least else { return Match::Yes };
        match created(report) {
            Some(created) => Match::of(horizon.is_aged(created, days)),
            None => Match::Unsure(Cow::Borrowed("the image does not say when it was built")),
        }
    }
}

impl Match {
    fn or_cut(self, settings: &Settings) -> Self {
        match self {
            Self::No if settings.shortened => {
                Self::Unsure(Cow::Borrowed("the image's configuration is too long to be kept whole"))
            }
            other => other,
        }
    }
}

fn aged(days: Option<u32>, since: jiff::Timestamp, horizon: &mut Horizon) -> Match {
    match days {
        None => Match::Yes,
        Some(days) => Match::of(horizon.is_aged(since, days)),
    }
}

fn days_before(end: jiff::Timestamp, days: u32) -> jiff::Timestamp {
    let days = jiff::SignedDuration::from_secs(i64::from(days) * 24 * 60 * 60);
    end.saturating_sub(days).unwrap_or(jiff::Timestamp::MIN)
}

/// When the image was built. Reproducible builds say 1970 or 1980, which is no date.
pub(super) fn created(report: &Report) -> Option<jiff::Timestamp> {
    const FIRST_IMAGE: i64 = 1_356_998_400; // 2013-01-01: there were none before
    let created = report.inventory()?.settings.as_ref()?.created?;
    (created.as_second() >= FIRST_IMAGE).then_some(created)
}

fn exposes(settings: &Settings, wanted: &[Glob]) -> bool {
    let fits = |port: &String| {
        let number = port.split('/').next().unwrap_or_default();
        wanted.iter().any(|glob| glob.matches(port) || glob.matches(number))
    };
    settings.exposed_ports.iter().any(fits)
}

/// Words that are in names of variables with secrets, and hardly in others.
const SECRET_WORDS: [&str; 12] = [
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "APIKEY",
    "API_KEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "CREDENTIAL",
    "AUTH_KEY",
    "ENCRYPTION_KEY",
];
/// Endings that say where a secret is, or something about it, and not the secret.
const HARMLESS_ENDINGS: [&str; 8] =
    ["_FILE", "_PATH", "_DIR", "_URL", "_TTL", "_LENGTH", "_HEADER", "_EXPIRY"];

/// Whether a variable of this name would hold a secret.
pub fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
        && !HARMLESS_ENDINGS.iter().any(|ending| name.ends_with(ending))
}
