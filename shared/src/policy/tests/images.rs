//! Rules about the image itself, required signatures, registries, and which policies judge where.

use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;
use p256::pkcs8::EncodePublicKey;

use super::*;
use crate::model::settings::{BaseImage, Settings};
use crate::model::signature::{SignatureFact, SignatureForm};

fn image(settings: Option<Settings>) -> Report {
    let mut found = report(vec![], vec![]);
    if let Subject::Image(inventory) = &mut found.subject {
        inventory.settings = settings;
        inventory.base =
            Some(BaseImage { name: Some("docker.io/library/debian:12".to_owned()), ..BaseImage::default() });
    }
    found
}

fn settings() -> Settings {
    Settings {
        created: Some(at("2025-09-01T00:00:00Z")),
        user: String::new(),
        exposed_ports: vec!["22/tcp".to_owned(), "8080/tcp".to_owned()],
        labels: [("team".to_owned(), "web".to_owned())].into(),
        environment: vec!["PATH".to_owned(), "DB_PASSWORD".to_owned()],
        healthcheck: false,
        shortened: false,
    }
}

fn denied(when: &str, report: &Report) -> bool {
    judge(&with(&format!("image: [{{name: r, when: {{{when}}}, then: deny}}]")), report).outcome
        == Outcome::Fail
}

#[test]
fn every_condition_on_the_image_matches_what_it_says() {
    let mut found = image(Some(settings()));
    found.support_ends = Some(at("2026-04-01T00:00:00Z"));
    for (when, expected) in [
        ("runs_as_root: true", true),
        ("runs_as_root: false", false),
        ("exposes: ['22']", true),
        ("exposes: ['22/tcp']", true),
        ("exposes: ['80']", false),
        ("lacks_labels: [team, owner]", true),
        ("lacks_labels: [team]", false),
        ("labels: {team: 'w*'}", true),
        ("labels: {team: ops}", false),
        ("healthcheck: false", true),
        ("healthcheck: true", false),
        ("secrets_in_environment: true", true),
        ("secrets_in_environment: false", false),
        ("environment: ['DB_*']", true),
        ("environment: ['AWS_*']", false),
        ("built_days_at_least: 180", true),
        ("built_days_at_least: 190", false),
        ("scanned_days_at_least: 0", true),
        ("scanned_days_at_least: 1", false),
        ("advisories_days_at_least: 1", true),
        ("advisories_days_at_least: 2", false),
        ("support_ends_within_days: 30", true),
        ("support_ends_within_days: 7", false),
        ("cel: 'image.runs_as_root && \"22/tcp\" in image.ports'", true),
        ("cel: 'image.base.name.startsWith(\"docker.io/library/debian\")'", true),
        ("cel: 'image.labels.team != \"web\"'", false),
        ("cel: 'image.support_days < 20'", false),
    ] {
        assert_eq!(denied(when, &found), expected, "{when}");
    }
}

#[test]
fn names_that_hold_secrets_are_known_and_names_about_secrets_are_not() {
    for (name, secret) in [
        ("DB_PASSWORD", true),
        ("github_token", true),
        ("AWS_SECRET_ACCESS_KEY", true),
        ("API_KEY", true),
        ("DB_PASSWORD_FILE", false),
        ("TOKEN_URL", false),
        ("PATH", false),
        ("KEYBOARD", false),
    ] {
        assert_eq!(looks_secret(name), secret, "{name}");
    }
}

#[test]
fn i4_a_configuration_that_is_not_known_is_objected_to() {
    for when in ["runs_as_root: true", "healthcheck: false", "exposes: ['22']", "built_days_at_least: 9999"] {
        assert!(denied(when, &image(None)), "{when}");
    }
    let old = Settings { created: Some(at("1970-01-01T00:00:01Z")), ..settings() };
    assert!(denied("built_days_at_least: 9", &image(Some(old))), "1970 is no date");
    let cut = Settings { shortened: true, ..settings() };
    assert!(denied("exposes: ['80']", &image(Some(cut))), "what was cut may be there");
}

#[test]
fn time_alone_turns_a_rule_about_age_and_the_verdict_knows_when() {
    let policy = with("image: [{name: old, when: {built_days_at_least: 200}, then: deny}]");
    let found = image(Some(settings()));
    let verdict = judge(&policy, &found);
    assert_eq!((verdict.outcome, verdict.valid_until), (Outcome::Pass, Some(at("2026-03-20T00:00:00Z"))));
    let later = policy.judge(&found, &[], &Circumstances::anywhere(at("2026-03-20T00:00:00Z")));
    assert_eq!(later.outcome, Outcome::Fail);
}

fn key(seed: u8) -> (SigningKey, String) {
    let key = SigningKey::from_slice(&[seed; 32]).unwrap();
    let pem = key.verifying_key().to_public_key_pem(Default::default()).unwrap();
    (key, pem)
}

fn requiring(pem: &str) -> Policy {
    with(&format!("signatures: [{{name: release, keys: [{}]}}]", serde_json::to_string(pem).unwrap()))
}

fn simple(key: &SigningKey, digest: &Digest) -> SignatureFact {
    let payload = format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"r.io/a"}},"image":{{"docker-manifest-digest":"{digest}"}},"type":"cosign container image signature"}},"optional":null}}"#
    );
    let signature: p256::ecdsa::DerSignature = key.sign(payload.as_bytes());
    SignatureFact::new(SignatureForm::SimpleSigning, payload.into_bytes(), signature.as_bytes().to_vec())
        .unwrap()
}

fn dsse(key: &SigningKey, digest: &Digest, predicate: &str) -> SignatureFact {
    let payload_type = "application/vnd.in-toto+json";
    let payload = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"{}"}}}}],"predicateType":"{predicate}","predicate":{{}}}}"#,
        digest.encoded()
    );
    let message = format!("DSSEv1 {} {payload_type} {} {payload}", payload_type.len(), payload.len());
    let signature: p256::ecdsa::DerSignature = key.sign(message.as_bytes());
    let form = SignatureForm::Dsse { payload_type: payload_type.to_owned() };
    SignatureFact::new(form, payload.into_bytes(), signature.as_bytes().to_vec()).unwrap()
}

#[test]
fn a_required_signature_is_one_by_that_key_about_that_image() {
    let ((ours, pem), (theirs, _)) = (key(7), key(9));
    let digest = Digest::of(b"image");
    let other = Digest::of(b"other");
    let mut broken = simple(&ours, &digest);
    broken.signature[10] ^= 1;
    let predicate = "https://sigstore.dev/cosign/sign/v1";
    for (what, signatures, expected) in [
        ("none", vec![], Outcome::Fail),
        ("ours", vec![simple(&ours, &digest)], Outcome::Pass),
        ("ours among others", vec![simple(&theirs, &digest), simple(&ours, &digest)], Outcome::Pass),
        ("theirs", vec![simple(&theirs, &digest)], Outcome::Fail),
        ("of another image", vec![simple(&ours, &other)], Outcome::Fail),
        ("broken", vec![broken], Outcome::Fail),
        ("envelope", vec![dsse(&ours, &digest, predicate)], Outcome::Pass),
        ("attestation", vec![dsse(&ours, &digest, "https://slsa.dev/provenance/v1")], Outcome::Fail),
        (
            "nonsense",
            vec![SignatureFact::new(SignatureForm::SimpleSigning, b"{".to_vec(), vec![]).unwrap()],
            Outcome::Fail,
        ),
    ] {
        let found = Report { signatures, ..report(vec![], vec![]) };
        assert_eq!(judge(&requiring(&pem), &found).outcome, expected, "{what}");
    }
}

#[test]
fn an_index_answers_for_the_signatures_of_its_children() {
    let (ours, pem) = key(7);
    let policy = requiring(&pem);
    let index = index(&[("child", "linux/amd64")]);
    let child = Report { digest: Digest::of(b"child"), ..report(vec![], vec![]) };
    let children = [judge(&policy, &child)];
    assert_eq!((children[0].outcome, children[0].if_signed), (Outcome::Fail, Some(Outcome::Pass)));
    let folded = |report: &Report| policy.judge(report, &children, &Circumstances::anywhere(at(NOW)));
    let unsigned = folded(&index);
    assert_eq!((unsigned.outcome, unsigned.if_signed), (Outcome::Fail, Some(Outcome::Pass)));
    let signed = Report { signatures: vec![simple(&ours, &index.digest)], ..index };
    let verdict = folded(&signed);
    assert_eq!((verdict.outcome, verdict.reasons.len()), (Outcome::Pass, 0), "{:?}", verdict.reasons);
}

#[test]
fn images_from_elsewhere_are_objected_to_at_the_gate() {
    let policy = with("registries: {allow: ['r.io/*', 'docker.io/library/*'], otherwise: warn}");
    for (image, expected) in [("r.io/team/app", 0), ("nginx", 0), ("evil.io/r.io/app", 1), ("team/app", 1)] {
        let reasons = policy.admission_reasons(&image.parse().unwrap());
        assert_eq!(reasons.len(), expected, "{image}");
        assert!(reasons.iter().all(|reason| reason.effect == crate::model::verdict::Effect::Warn));
    }
    assert!(default_policy().admission_reasons(&"anywhere.io/x".parse().unwrap()).is_empty());
}

#[test]
fn every_policy_that_covers_a_place_judges_and_the_default_is_the_fallback() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, body: &str| {
        std::fs::write(
            folder.path().join(format!("{name}.yaml")),
            format!("version: 1\nname: {name}\n{body}"),
        )
        .unwrap();
    };
    write("web", "scope: {repositories: ['r.io/web/*']}");
    write("prod", "scope: {namespaces: [prod]}");
    write("trial", "mode: audit\nscope: {repositories: ['r.io/*']}");
    let set = PolicySet::load(folder.path()).unwrap();
    let names = |image: &str, namespace: &str| {
        let place =
            Place { image: image.parse().ok(), namespace: Some(namespace.to_owned()), ..Place::default() };
        let names: Vec<String> = set.covering(&place).iter().map(|policy| policy.name.to_string()).collect();
        names.join(" ")
    };
    assert_eq!(names("r.io/web/app", "prod"), "prod trial web");
    assert_eq!(names("r.io/web/app", "test"), "trial web");
    assert_eq!(names("r.io/ops/app", "test"), "trial default", "an audit does not switch the default off");
    assert_eq!(names("other.io/app", "test"), "default");
    assert_eq!(set.covering(&Place::default()).len(), 1, "what is not known fits no scope");
}

#[test]
fn pod_rules_are_off_where_nobody_names_them() {
    let policy = with("pods: {privileged: deny, host_paths: warn}");
    for rule in PodRule::ALL {
        let expected = match rule {
            PodRule::Privileged => Level::Deny,
            PodRule::HostPaths => Level::Warn,
            _ => Level::Off,
        };
        assert_eq!(policy.pods.level(*rule), expected, "{}", rule.name());
    }
}
