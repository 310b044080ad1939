//! Statements: what is written, what is believed, and what is not.

use serde_json::{Value, json};

use super::super::artifact::{self, Layers};
use super::super::dsse::{Envelope, pre_authentication_encoding};
use super::super::keys::PrivateKey;
use super::super::report;
use super::super::signer::Signer;
use super::super::statement::{PAYLOAD_TYPE, Statement, StatementError, StatementType};
use super::super::summary::{self, Summary, SummaryError};
use super::super::tag::{self, Suffix};
use super::super::vulnerability::{self, Vulnerabilities};
use super::{digest, image, judged, now, open, signed, signer, speaker};
use crate::model::digest::Digest;
use crate::model::document::{Document, MANIFEST_TYPES};
use crate::model::verdict::Outcome;

fn payload(envelope: &Envelope, signer: &dyn Signer) -> Value {
    serde_json::from_slice(envelope.open(std::slice::from_ref(signer.public_key())).unwrap().payload).unwrap()
}

#[tokio::test]
async fn a_summary_has_the_fields_that_slsa_asks_for() {
    let (_, verdict) = judged(Outcome::Fail);
    let signer = signer();
    let written = payload(&signed(&signer, &digest(), &verdict, &Digest::of(b"report")).await, &signer);
    assert_eq!(written["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(written["predicateType"], "https://slsa.dev/verification_summary/v1");
    assert_eq!(written["subject"][0]["digest"], json!({"sha256": digest().encoded()}));
    let predicate = &written["predicate"];
    assert_eq!(predicate["verifier"]["id"], "https://tidewaiter.example.com/");
    assert_eq!(predicate["verifier"]["version"]["tidewaiter"], "0.1.0");
    assert_eq!(predicate["timeVerified"], "2026-11-27T22:30:00.5Z");
    assert_eq!(
        predicate["resourceUri"],
        format!(
            "pkg:oci/app@sha256%3A{}?repository_url=registry.example.com%3A5000/team/app",
            digest().encoded()
        )
    );
    assert_eq!(predicate["policy"]["uri"], "urn:tidewaiter:policy:default");
    assert_eq!(predicate["inputAttestations"][0]["digest"]["sha256"], Digest::of(b"report").encoded());
    assert_eq!(predicate["verificationResult"], "FAILED");
    assert_eq!(predicate["verifiedLevels"], json!(["FAILED"]));
    assert_eq!(predicate["slsaVersion"], "1.0");
}

#[tokio::test]
async fn what_was_stated_is_read_back() {
    for outcome in [Outcome::Pass, Outcome::Warn, Outcome::Fail] {
        let (_, verdict) = judged(outcome);
        let signer = signer();
        let report = Digest::of(b"report");
        let envelope = signed(&signer, &digest(), &verdict, &report).await;
        let envelope = Envelope::parse(&envelope.to_json()).unwrap();
        let summary = open(&envelope, &signer).unwrap();
        assert_eq!((summary.outcome, summary.verified_at), (outcome, now()));
        assert_eq!((&summary.policy, &summary.policy_revision), (&verdict.policy, &verdict.policy_revision));
        assert_eq!((&summary.revisions, summary.valid_until), (&verdict.revisions, verdict.valid_until));
        assert_eq!((summary.report, summary.counts), (report, verdict.counts));
        assert_eq!(summary.key, signer.public_key().id());
        assert_eq!(summary.reasons.len(), verdict.reasons.len());
    }
}

#[test]
fn what_was_not_examined_has_no_proof() {
    for outcome in [Outcome::Error, Outcome::NotAnImage] {
        let (_, verdict) = judged(outcome);
        assert!(summary::predicate(&verdict, &image(), &digest(), speaker()).is_none());
    }
}

#[tokio::test]
async fn i13_what_others_sign_or_sign_about_others_is_not_believed() {
    let (_, verdict) = judged(Outcome::Pass);
    let (ours, theirs) = (signer(), signer());
    let report = Digest::of(b"report");
    let foreign = signed(&theirs, &digest(), &verdict, &report).await;
    assert!(matches!(open(&foreign, &ours), Err(SummaryError::Statement(StatementError::Envelope(_)))));
    let elsewhere = signed(&ours, &Digest::of(b"another image"), &verdict, &report).await;
    assert!(matches!(open(&elsewhere, &ours), Err(SummaryError::Statement(StatementError::Subject(_)))));
    // Rotation: both keys are believed for a while.
    let both = [theirs.public_key().clone(), ours.public_key().clone()];
    assert_eq!(Summary::open(&foreign, &digest(), &both).unwrap().key, theirs.public_key().id());
}

/// A statement that we really signed, changed before it was signed.
fn changed(change: impl FnOnce(&mut Value), original: &Value, key: &PrivateKey, kind: &str) -> Envelope {
    let mut statement = original.clone();
    change(&mut statement);
    let payload = statement.to_string().into_bytes();
    let signature = key.sign(&pre_authentication_encoding(kind, &payload));
    Envelope::new(kind, payload, signature)
}

#[tokio::test]
async fn a_signed_statement_of_another_shape_is_refused() {
    let (_, verdict) = judged(Outcome::Fail);
    let key = PrivateKey::generate().unwrap();
    let signer = super::KeyFile::new(key.clone());
    let original = payload(&signed(&signer, &digest(), &verdict, &Digest::of(b"report")).await, &signer);
    let told = |kind: &str, change: &dyn Fn(&mut Value)| {
        let envelope = changed(change, &original, &key, kind);
        crate::telemetry::chain(&open(&envelope, &signer).unwrap_err())
    };
    for (change, fragment) in [
        (
            &(|s: &mut Value| s["_type"] = json!("https://in-toto.io/Statement/v9")) as &dyn Fn(&mut Value),
            "unknown type",
        ),
        (&|s| s["predicateType"] = json!("https://example.com/x"), "predicate type"),
        (&|s| s["subject"] = json!([]), "another digest"),
        (&|s| s["predicate"]["policy"]["uri"] = json!("https://elsewhere"), "none of ours"),
        (&|s| s["predicate"]["inputAttestations"] = json!([]), "names no report"),
        (&|s| s["predicate"]["verificationResult"] = json!("PASSED"), "does not fit"),
        (&|s| s["predicate"] = json!(null), "cannot be read"),
    ] {
        let error = told(PAYLOAD_TYPE, change);
        assert!(error.contains(fragment), "{error:?} lacks {fragment:?}");
    }
    assert!(told("text/plain", &|_| {}).contains("not an in-toto statement"));
    let old =
        changed(|s| s["_type"] = json!("https://in-toto.io/Statement/v0.1"), &original, &key, PAYLOAD_TYPE);
    assert!(open(&old, &signer).is_ok(), "version 0.1 differs in its name alone");
}

#[tokio::test]
async fn cosigns_predicate_has_its_required_fields_and_our_verdicts() {
    let (report, verdict) = judged(Outcome::Fail);
    let signer = signer();
    let predicate = vulnerability::predicate(&report, std::slice::from_ref(&verdict), &image(), speaker());
    let (name, digest) = (image().to_string(), digest());
    let statement = Statement {
        kind: StatementType::V0_1,
        name: &name,
        digest: &digest,
        predicate_type: vulnerability::PREDICATE_TYPE,
        predicate: &predicate,
    };
    let envelope = statement.sign(&signer).await.unwrap();
    let written = payload(&envelope, &signer);
    assert_eq!(written["_type"], "https://in-toto.io/Statement/v0.1");
    let predicate = &written["predicate"];
    for pointer in [
        "/invocation/parameters",
        "/invocation/uri",
        "/invocation/event_id",
        "/invocation/builder.id",
        "/scanner/uri",
        "/scanner/version",
        "/scanner/db/uri",
        "/scanner/db/version",
        "/scanner/result",
        "/metadata/scanStartedOn",
        "/metadata/scanFinishedOn",
    ] {
        assert!(predicate.pointer(pointer).is_some(), "{pointer} is missing: {predicate:#}");
    }
    assert!(predicate["scanner"]["result"]["findings"][0]["purl"].is_string());
    let keys = [signer.public_key().clone()];
    let read = Vulnerabilities::open(&envelope, &digest, &keys).unwrap();
    assert_eq!((read.verdicts[0].outcome, &read.verdicts[0].policy), (Outcome::Fail, &verdict.policy));

    // The layouts in which cosign looks for it.
    let att = tag::manifest(None, &envelope, signer.public_key().id());
    let Document::Manifest(manifest) = Document::parse(&att.manifest, Some(MANIFEST_TYPES[0])).unwrap()
    else {
        panic!("not a manifest");
    };
    assert_eq!(manifest.layers[0].annotations["predicateType"], vulnerability::PREDICATE_TYPE);
    assert_eq!(manifest.layers[0].media_type, "application/vnd.dsse.envelope.v1+json");
    assert_eq!(manifest.config.media_type, "application/vnd.oci.image.config.v1+json");
    let again = tag::manifest(Some(&manifest), &envelope, signer.public_key().id());
    assert_eq!(again.manifest, att.manifest, "our earlier layer is replaced");
    let beside = tag::manifest(Some(&manifest), &envelope, "another key");
    let Document::Manifest(beside) = Document::parse(&beside.manifest, Some(MANIFEST_TYPES[0])).unwrap()
    else {
        panic!("not a manifest");
    };
    assert_eq!(beside.layers.len(), 2, "others' layers are kept");
    let subject = artifact::described(MANIFEST_TYPES[0], b"image", Default::default());
    let bundle = tag::bundle(&subject, &envelope, signer.public_key().id(), now());
    assert_eq!(tag::envelope_of_bundle(&bundle.blobs[1]).unwrap(), envelope);
    assert_eq!(tag::of(&digest, Suffix::Attestations).as_str(), format!("sha256-{}.att", digest.encoded()));
}

#[tokio::test]
async fn an_artifact_is_found_again_by_what_it_is_about() {
    let (facts, verdict) = judged(Outcome::Warn);
    let signer = signer();
    let blob = report::encode(&facts).unwrap();
    let envelope = signed(&signer, &digest(), &verdict, &Digest::of(&blob)).await;
    let subject = artifact::described(MANIFEST_TYPES[0], b"an image", Default::default());
    let state = artifact::state(&facts.revisions, std::slice::from_ref(&verdict));
    let stated = (state.as_str(), verdict.outcome.name());
    let made = artifact::build(&subject, blob.clone(), &[envelope], signer.public_key().id(), stated, now());
    let Document::Manifest(manifest) = Document::parse(&made.manifest, Some(MANIFEST_TYPES[0])).unwrap()
    else {
        panic!("not a manifest");
    };
    let layers = Layers::of(&manifest, &subject.digest).unwrap();
    assert_eq!(layers.report.unwrap().digest, Digest::of(&blob));
    assert_eq!(layers.summaries.len(), 1);
    assert_eq!(Layers::of(&manifest, &Digest::of(b"another")), None);
    for descriptor in manifest.layers.iter().chain([&manifest.config]) {
        assert!(made.blobs.iter().any(|blob| descriptor.digest.matches(blob)), "{}", descriptor.digest);
    }
    assert_eq!(report::decode(&digest(), &blob).unwrap(), facts);
    assert!(report::decode(&Digest::of(b"another"), &blob).is_err());
    assert!(report::decode(&digest(), &blob[..blob.len() - 5]).is_err(), "truncated");
    let mut other = verdict.clone();
    other.valid_until = Some(now());
    assert_ne!(artifact::state(&facts.revisions, &[other]), state);
}
