//! One request to the collector: OTLP/HTTP with protobuf (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode};
use secrecy::ExposeSecret as _;
use url::Url;

use crate::config::TracesConfig;
use crate::outgoing::{AuthoritiesError, Egress};

/// How much of an answer is read.
const ANSWER_BYTES: usize = 64 << 10;

/// Why spans cannot be sent as configured.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// A file of certificate authorities cannot be used.
    #[error("telemetry.traces.ca_certificates cannot be used")]
    CaCertificates(#[source] AuthoritiesError),
    /// A header cannot be sent.
    #[error("telemetry.traces.headers: {0} cannot be sent")]
    Header(String),
    /// It cannot be asked now.
    #[error("spans cannot be sent: {0}")]
    Away(String),
    /// It wants none from us.
    #[error("spans are not taken: {0}")]
    Refused(String),
    /// The HTTP client cannot be built.
    #[error("telemetry.traces: no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

/// The way to a collector.
pub(super) struct Collector {
    client: Client,
    endpoint: Url,
    headers: HeaderMap,
    egress: Egress,
    resource: ResourceAttributesWithSchema,
}

/// What a collector says to a batch of spans.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has them, all but so many.
    Taken {
        /// Spans that it did not want.
        refused: u64,
    },
    /// It will never take them.
    Refused(String),
    /// Perhaps later.
    NotNow(String),
}

impl Collector {
    pub(super) fn new(config: &TracesConfig, resource: &Resource) -> Result<Self, CollectorError> {
        let client = config
            .egress
            .client(&config.ca_certificates)
            .map_err(CollectorError::CaCertificates)?
            .connect_timeout(config.timeout)
            .timeout(config.timeout)
            .build()
            .map_err(CollectorError::Client)?;
        let mut headers = HeaderMap::new();
        for header in &config.headers {
            let refused = || CollectorError::Header(header.name.clone());
            let name = HeaderName::try_from(&header.name).map_err(|_| refused())?;
            let mut value = HeaderValue::try_from(header.value.expose_secret()).map_err(|_| refused())?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        Ok(Self {
            client,
            endpoint: config.endpoint.clone(),
            headers,
            egress: config.egress.clone(),
            resource: resource.into(),
        })
    }

    /// The body of a request with these spans.
    pub(super) fn written(&self, spans: Vec<SpanData>) -> Bytes {
        let resource_spans = group_spans_by_resource_and_scope(spans, &self.resource);
        ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
    }

    /// Whether it would take spans: posts a batch of none.
    pub(super) async fn try_out(&self) -> Result<(), CollectorError> {
        match self.post(self.written(Vec::new())).await {
            Answer::Taken { .. } => Ok(()),
            Answer::NotNow(said) => Err(CollectorError::Away(said)),
            Answer::Refused(said) => Err(CollectorError::Refused(said)),
        }
    }

    /// Posts once.
    pub(super) async fn post(&self, body: Bytes) -> Answer {
        let request = self.client.post(self.endpoint.clone()).headers(self.headers.clone()).body(body);
        match request.send().await {
            Ok(response) => answer(response).await,
            Err(error) => Answer::NotNow(self.egress.told(&self.endpoint, error)),
        }
    }
}

/// What an answer means; what it says besides is for whoever runs the collector, and in its log.
async fn answer(response: Response) -> Answer {
    let status = response.status();
    if status.is_success() {
        return Answer::Taken { refused: refused(response).await };
    }
    let said = format!("the collector answered {status}");
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Answer::NotNow(said),
        _ => Answer::Refused(said),
    }
}

/// How many spans a collector that took the rest did not want; none where it does not say.
async fn refused(mut response: Response) -> u64 {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return 0;
        }
        body.extend_from_slice(&chunk);
    }
    let said = ExportTraceServiceResponse::decode(body.as_slice()).ok().and_then(|said| said.partial_success);
    said.map_or(0, |said| u64::try_from(said.rejected_spans).unwrap_or(0))
}
