//! Media types: which form of an answer Harbor accepts. Parameters but `version` do not matter.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, HeaderMap};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::refusal::Refusal;

pub(super) const SCAN_RESPONSE: &str = "application/vnd.scanner.adapter.scan.response+json; version=1.0";

const METADATA_TYPE: &str = "application/vnd.scanner.adapter.metadata+json";
const GENERIC: &str = "application/vnd.security.vulnerability.report";
const GENERIC_1_1: &str = "application/vnd.security.vulnerability.report; version=1.1";
const HARBOR: &str = "application/vnd.scanner.adapter.vuln.report.harbor+json";
const HARBOR_1_0: &str = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0";
const RAW: &str = "application/vnd.scanner.adapter.vuln.report.raw";
const SBOM: &str = "application/vnd.security.sbom.report+json";
const SBOM_1_0: &str = "application/vnd.security.sbom.report+json; version=1.0";

/// The metadata of the adapter; `advisories` is the newest change of the advisories, where that is known.
pub(super) fn metadata(advisories: Option<Timestamp>) -> Value {
    let consumes = [
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ];
    let mut metadata = json!({
        "scanner": {"name": "Tidewaiter", "vendor": "Tidewaiter", "version": env!("CARGO_PKG_VERSION")},
        "capabilities": [
            {
                "type": "vulnerability",
                "consumes_mime_types": consumes,
                "produces_mime_types": [GENERIC_1_1, HARBOR_1_0, RAW],
            },
            {
                "type": "sbom",
                "consumes_mime_types": consumes,
                "produces_mime_types": [SBOM_1_0],
                "additional_attributes": {"sbom_media_types": SbomFormat::ALL.map(SbomFormat::media_type)},
            },
        ],
        "properties": {
            "harbor.scanner-adapter/scanner-type": "os-package-vulnerability",
            "harbor.scanner-adapter/registry-authorization-type": "Basic",
        },
    });
    if let Some(advisories) = advisories {
        metadata["properties"]["harbor.scanner-adapter/vulnerability-database-updated-at"] =
            advisories.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
    }
    metadata
}

/// In which version the metadata is wanted; the body is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metadata {
    V1_0,
    V1_1,
}

/// Which report is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The vulnerabilities; both media types have the same body.
    Vulnerabilities {
        media_type: &'static str,
    },
    /// Tidewaiter's own JSON.
    Raw,
    Sbom(SbomFormat),
}

/// Which SBOM is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SbomFormat {
    Spdx,
    CycloneDx,
}

impl SbomFormat {
    const ALL: [Self; 2] = [Self::Spdx, Self::CycloneDx];

    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Spdx => "application/spdx+json",
            Self::CycloneDx => "application/vnd.cyclonedx+json",
        }
    }

    /// The name of the output that writes it.
    pub(super) const fn output(self) -> &'static str {
        match self {
            Self::Spdx => "spdx",
            Self::CycloneDx => "cyclonedx",
        }
    }

    fn named(wanted: Option<&str>) -> Result<Self, Refusal> {
        let Some(wanted) = wanted.filter(|text| !text.is_empty()) else { return Ok(Self::Spdx) };
        Self::ALL.into_iter().find(|format| essence(wanted).0 == format.media_type()).ok_or_else(|| {
            Refusal::invalid(
                "sbom_media_type: expected application/spdx+json or application/vnd.cyclonedx+json",
            )
        })
    }
}

impl Metadata {
    pub(super) fn accepted(headers: &HeaderMap) -> Result<Self, Refusal> {
        let read = |wanted: &str| match essence(wanted) {
            (METADATA_TYPE, Some("1.1")) => Some(Self::V1_1),
            (METADATA_TYPE, None | Some("1.0")) | ("*/*" | "application/*" | "application/json", _) => {
                Some(Self::V1_0)
            }
            _ => None,
        };
        first(headers, read, Self::V1_0)
    }

    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::V1_0 => "application/vnd.scanner.adapter.metadata+json; version=1.0",
            Self::V1_1 => "application/vnd.scanner.adapter.metadata+json; version=1.1",
        }
    }
}

impl Kind {
    pub(super) fn accepted(headers: &HeaderMap, sbom_media_type: Option<&str>) -> Result<Self, Refusal> {
        let generic = Self::Vulnerabilities { media_type: GENERIC_1_1 };
        let read = |wanted: &str| match essence(wanted) {
            (GENERIC, None | Some("1.1")) | ("*/*" | "application/*" | "application/json", _) => {
                Some(generic)
            }
            (HARBOR, None | Some("1.0")) => Some(Self::Vulnerabilities { media_type: HARBOR_1_0 }),
            (RAW, _) => Some(Self::Raw),
            (SBOM, None | Some("1.0")) => Some(Self::Sbom(SbomFormat::Spdx)),
            _ => None,
        };
        match first(headers, read, generic)? {
            Self::Sbom(_) => Ok(Self::Sbom(SbomFormat::named(sbom_media_type)?)),
            other => Ok(other),
        }
    }

    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Vulnerabilities { media_type } => media_type,
            Self::Raw => RAW,
            Self::Sbom(_) => SBOM_1_0,
        }
    }
}

/// What the first media type that can be read stands for; `default` where none is named.
fn first<T>(headers: &HeaderMap, read: impl Fn(&str) -> Option<T>, default: T) -> Result<T, Refusal> {
    let mut named = headers.get_all(ACCEPT).filter_map(|value| value.to_str().ok()).peekable();
    if named.peek().is_none() {
        return Ok(default);
    }
    named.flat_map(|value| value.split(',')).find_map(read).ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_ACCEPTABLE,
            "none of the accepted media types is made here; /metadata lists them",
        )
    })
}

/// A media type and its version.
fn essence(text: &str) -> (&str, Option<&str>) {
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let version = parts.find_map(|part| part.strip_prefix("version="));
    (essence, version.map(|version| version.trim_matches('"')))
}
