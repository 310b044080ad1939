//! `telemetry`: logs.

use serde::Deserialize;

/// Logs.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// `tracing` filter directives; default `info`.
    pub log: String,
    /// How a line looks; default `text`.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTelemetry {
    log: Option<String>,
    format: Option<LogFormat>,
}

impl RawTelemetry {
    pub(super) fn check(self) -> TelemetryConfig {
        TelemetryConfig {
            log: self.log.unwrap_or_else(|| "info".to_owned()),
            format: self.format.unwrap_or(LogFormat::Text),
        }
    }
}
