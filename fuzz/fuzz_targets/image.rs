//! A whole image from its documents to every format of its report, hostile in all of them.
//!
//! Parts are separated by `\n---\n`. An input that begins with `{` is the documents themselves: the manifest or index, the
//! config, then what else is asked for. Any other is layers as [`tar_of_lines`] reads them, under an honest manifest.

#![no_main]

use std::io::{Cursor, Read};
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use libfuzzer_sys::fuzz_target;
use scanner::advisories::Database;
use scanner::advisories::compile::{BuildOptions, build};
use scanner::image::Silent;
use scanner::report::assemble;
use scanner::source::{ImageSource, SourceError};
use serde_json::json;
use shared::model::digest::Digest;
use shared::model::document::{Descriptor, Document, IMAGE_CONFIG_TYPES, MANIFEST_TYPES};
use shared::model::report::Report;
use shared::output;
use tidewaiter_fuzz::budget::ENGINE;
use tidewaiter_fuzz::layers::{descriptor, tar_of_lines};

const SEPARATOR: &[u8] = b"\n---\n";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// The repository's own advisories.
static DATABASE: LazyLock<Database> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("there is a place for files");
    let output = folder.path().join("db");
    let records = concat!(env!("CARGO_MANIFEST_DIR"), "/../advisories");
    build(&[records.into()], &output, &BuildOptions::default()).expect("they are tested");
    Database::open(&output).expect("it was built a moment ago")
});

fuzz_target!(|input: &[u8]| {
    let parts = parts(input);
    let source = match input.first() {
        Some(b'{') => Parts::documents(&parts),
        _ => Parts::honest(&parts),
    };
    let digest = Digest::of(&source.root);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime without I/O needs nothing");
    let examined = runtime.block_on(ENGINE.examine(Arc::new(source), &digest, Arc::new(Silent)));
    let Ok(examination) = examined else { return };
    let now = jiff::Timestamp::UNIX_EPOCH;
    let report = assemble(examination, &DATABASE, now);
    let report = report.expect("the database is our own");
    check(&report);
});

/// Formats that terminals and browsers show; the others are JSON, and whoever reads that escapes anew.
const FOR_PEOPLE: [&str; 2] = ["table", "markdown"];

/// What every format keeps: JSON reads back as the same report, and no text reaches a terminal as a command.
fn check(report: &Report) {
    for format in output::ALL {
        let bytes = format.render(report);
        let text = String::from_utf8(bytes).expect("every format is text");
        let is_command = |character: char| character.is_control() && character != '\n';
        if FOR_PEOPLE.contains(&format.name()) {
            assert!(!text.contains(is_command), "{} passes a control character on", format.name());
        }
    }
    let json = serde_json::to_vec(report).expect("a report is JSON");
    let again: Report = serde_json::from_slice(&json).expect("what is written can be read");
    assert_eq!(&again, report);
}

fn parts(mut input: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while let Some(at) = input.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) {
        parts.push(input[..at].to_vec());
        input = &input[at + SEPARATOR.len()..];
        if parts.len() >= 8 {
            break;
        }
    }
    parts.push(input.to_vec());
    parts
}

/// A source that has an answer to every question.
struct Parts {
    root: Vec<u8>,
    config: Vec<u8>,
    rest: Vec<Vec<u8>>,
}

impl Parts {
    fn documents(parts: &[Vec<u8>]) -> Self {
        let part = |at: usize| parts.get(at).cloned().unwrap_or_default();
        Self { root: part(0), config: part(1), rest: parts.get(2..).unwrap_or_default().to_vec() }
    }

    fn honest(parts: &[Vec<u8>]) -> Self {
        let layers: Vec<Vec<u8>> = parts.iter().map(|lines| tar_of_lines(lines)).collect();
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
        let config = json!({"os": "linux", "architecture": "amd64",
                            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = config.to_string().into_bytes();
        let described: Vec<Descriptor> = layers.iter().map(|layer| descriptor(TAR, layer)).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPES[0],
                              "config": descriptor(IMAGE_CONFIG_TYPES[0], &config), "layers": described});
        Self { root: manifest.to_string().into_bytes(), config, rest: layers }
    }

    /// The part with that digest; else one that the digest chooses, as a lying source would.
    fn part(&self, digest: &Digest) -> Option<&Vec<u8>> {
        let named = self.rest.iter().find(|part| digest.matches(part));
        let choice = usize::from(digest.encoded().as_bytes()[0]);
        named.or_else(|| self.rest.get(choice.checked_rem(self.rest.len())?))
    }
}

#[async_trait]
impl ImageSource for Parts {
    async fn document(&self, digest: &Digest) -> Result<Document, SourceError> {
        let bytes = match digest.matches(&self.root) {
            true => Some(&self.root),
            false => self.part(digest),
        };
        let bytes = bytes.ok_or_else(|| missing(digest))?;
        let malformed =
            |source| SourceError::Malformed { what: digest.to_string(), source: Box::new(source) };
        Document::parse(bytes, None).map_err(malformed)
    }

    async fn small_blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, SourceError> {
        match self.config.len() as u64 <= limit {
            true => Ok(self.config.clone()),
            false => Err(SourceError::TooLarge { what: descriptor.digest.to_string(), limit }),
        }
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let bytes = self.part(&descriptor.digest).ok_or_else(|| missing(&descriptor.digest))?;
        let most = descriptor.size.saturating_add(1);
        Ok(Box::new(Cursor::new(bytes.clone()).take(most)))
    }
}

fn missing(digest: &Digest) -> SourceError {
    SourceError::NotFound { what: digest.to_string(), place: "memory".to_owned() }
}
