//! A report as a blob that can be attached to its image: its JSON as one zstd frame, named in signed statements by digest.
//!
//! Read back only after a trusted statement named the digest of these very bytes; bounded all the same.

use std::io::Read;

use crate::model::digest::Digest;
use crate::model::report::Report;

/// Media type of the blob.
pub const REPORT_TYPE: &str = "application/vnd.tidewaiter.report.v1+json+zstd";
/// The largest blob that is attached or read, in bytes.
pub const LARGEST_BLOB: u64 = 64 << 20;
/// The most bytes of JSON; as in the store.
const LARGEST_JSON: u64 = 256 << 20;
const ZSTD_LEVEL: i32 = 6;
/// 8 MiB: what a frame may make us allocate.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Why a report cannot be attached, or read back.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It is larger than what could be read back.
    #[error("the report has more than {0} bytes")]
    TooLarge(u64),
    /// Not one zstd frame within our limits.
    #[error("the report cannot be decompressed")]
    Compression(#[source] std::io::Error),
    /// Not the JSON of a report that this build knows.
    #[error("the report is not the JSON that was expected")]
    Json(#[from] serde_json::Error),
    /// It is about something else.
    #[error("the report is about {0}")]
    Misplaced(Digest),
}

/// The blob of a report.
pub fn encode(report: &Report) -> Result<Vec<u8>, ReportError> {
    let json = serde_json::to_vec(report)?;
    if json.len() as u64 > LARGEST_JSON {
        return Err(ReportError::TooLarge(LARGEST_JSON));
    }
    let compressed = || -> std::io::Result<Vec<u8>> {
        let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
        encoder.include_checksum(true)?;
        encoder.window_log(ZSTD_WINDOW_LOG)?;
        std::io::Write::write_all(&mut encoder, &json)?;
        encoder.finish()
    };
    let blob = compressed().map_err(ReportError::Compression)?;
    if blob.len() as u64 > LARGEST_BLOB {
        return Err(ReportError::TooLarge(LARGEST_BLOB));
    }
    Ok(blob)
}

/// The report of `digest` from its blob.
pub fn decode(digest: &Digest, blob: &[u8]) -> Result<Report, ReportError> {
    let json = inflated(blob).map_err(ReportError::Compression)?;
    if json.len() as u64 > LARGEST_JSON {
        return Err(ReportError::TooLarge(LARGEST_JSON));
    }
    let report: Report = serde_json::from_slice(&json)?;
    if report.digest == *digest { Ok(report) } else { Err(ReportError::Misplaced(report.digest)) }
}

/// At most one byte more than the limit.
fn inflated(blob: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut decoder = zstd::Decoder::with_buffer(blob)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    let mut json = Vec::new();
    decoder.take(LARGEST_JSON + 1).read_to_end(&mut json)?;
    Ok(json)
}
