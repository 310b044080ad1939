//! What others can rely on: envelopes that the world's tools verify, and that nobody else's statement is believed.

mod envelopes;
mod keys;
mod signers;
mod statements;

use jiff::Timestamp;

use super::dsse::Envelope;
use super::keys::PrivateKey;
use super::signer::{KeyFile, Signer};
use super::statement::{Statement, StatementType};
use super::summary::{self, Speaker, Summary};
use crate::model::digest::Digest;
use crate::model::image::ImageName;
use crate::model::report::Report;
use crate::model::verdict::{Outcome, Verdict};
use crate::policy::{Circumstances, PolicySet};

fn now() -> Timestamp {
    "2026-11-27T22:30:00.5Z".parse().unwrap()
}

fn image() -> ImageName {
    "registry.example.com:5000/team/app".parse().unwrap()
}

fn digest() -> Digest {
    Digest::of(b"an image")
}

fn speaker() -> Speaker<'static> {
    Speaker { id: "https://tidewaiter.example.com/", version: "0.1.0", now: now() }
}

fn signer() -> KeyFile {
    KeyFile::new(PrivateKey::generate().unwrap())
}

/// A report and what the built-in policy thinks of it, whatever that is, with this outcome.
fn judged(outcome: Outcome) -> (Report, Verdict) {
    let report = crate::model::sample::report(&digest());
    let policies = PolicySet::built_in();
    let policy = policies.iter().next().unwrap();
    let mut verdict = policy.judge(&report, &[], &Circumstances::anywhere(now()));
    verdict.outcome = outcome;
    (report, verdict)
}

async fn signed(signer: &dyn Signer, about: &Digest, verdict: &Verdict, report: &Digest) -> Envelope {
    let image = image();
    let predicate = summary::predicate(verdict, &image, report, speaker()).unwrap();
    let statement = Statement {
        kind: StatementType::V1,
        name: "registry.example.com:5000/team/app",
        digest: about,
        predicate_type: summary::PREDICATE_TYPE,
        predicate: &predicate,
    };
    statement.sign(signer).await.unwrap()
}

fn open(envelope: &Envelope, signer: &dyn Signer) -> Result<Summary, super::summary::SummaryError> {
    Summary::open(envelope, &digest(), std::slice::from_ref(signer.public_key()))
}
