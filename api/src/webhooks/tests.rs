//! Every source against bodies as senders send them. Here: how the tests ask; what holds for all sources.
//! `sources`: one table a source. `recorded`: with `TIDEWAITER_FIXTURES`, recorded bodies. `hostile`: bodies that
//! no sender sends.

use actix_web::http::header::{HeaderName, HeaderValue};
use serde_json::json;
use shared::config::{RepositoryMapping, WebhookConfig, WebhookProof};
use shared::model::push::Pushed;

use super::*;

mod distribution;
mod hostile;
mod recorded;
mod sources;

const HEX: &str = "5861314d7fccb39c2192173240eab44fa35ca66426201ca2acd0630a6258dd51";
const JSON: &str = "application/json";

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

/// One question to one source.
struct Ask<'a> {
    source: &'a str,
    media_type: &'a str,
    headers: &'a [(&'a str, &'a str)],
    settings: SourceSettings,
}

impl<'a> Ask<'a> {
    fn of(source: &'a str) -> Self {
        Self { source, media_type: JSON, headers: &[], settings: SourceSettings::default() }
    }

    fn typed(self, media_type: &'a str) -> Self {
        Self { media_type, ..self }
    }

    fn with(self, headers: &'a [(&'a str, &'a str)]) -> Self {
        Self { headers, ..self }
    }

    fn registry(mut self, host: &str) -> Self {
        self.settings.registry = Some(host.parse().unwrap());
        self
    }

    fn mapped(mut self, mapping: RepositoryMapping) -> Self {
        self.settings.repositories.push(mapping);
        self
    }

    fn decode(&self, body: impl AsRef<[u8]>) -> Result<Vec<Event>, DecodeError> {
        let headers = headers(self.headers);
        let source = named(self.source).unwrap();
        assert!(source.reads(self.media_type), "{} does not read {}", self.source, self.media_type);
        let (media_type, settings) = (self.media_type, &self.settings);
        source.decode(&Delivery { headers: &headers, media_type, body: body.as_ref(), settings })
    }

    fn says(&self, body: impl AsRef<[u8]>, expected: &[&str]) {
        let body = body.as_ref();
        let shown = String::from_utf8_lossy(body);
        let events = self.decode(body).unwrap_or_else(|error| panic!("{}: {shown}: {error}", self.source));
        assert_eq!(events.iter().map(told).collect::<Vec<_>>(), expected, "{}: {shown}", self.source);
    }
}

/// An event in one line: what the tables compare.
fn told(event: &Event) -> String {
    match event {
        Event::Push(push) => match &push.pushed {
            Pushed::Digest { digest, tag } => {
                let tag = tag.as_ref().map(|tag| format!(" {tag}")).unwrap_or_default();
                format!("{}@{}{tag}", push.image, digest.short())
            }
            Pushed::Tag(tag) => format!("{}:{tag}", push.image),
        },
        Event::Ignored(reason) => format!("ignored {reason}"),
        Event::Rejected(reason) => format!("rejected {reason}"),
    }
}

/// The source, media type, headers and body of a delivery.
type Sample = (&'static str, &'static str, &'static [(&'static str, &'static str)], String);

/// A push as each source would tell of it.
fn pushes() -> Vec<Sample> {
    let digest = format!("sha256:{HEX}");
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let notification = json!({"action": "push", "request": {"host": "named.example.com"},
        "target": {"mediaType": manifest, "digest": digest, "repository": "team/app", "tag": "1"}});
    let resource = json!({"digest": digest, "tag": "1", "resource_url": "named.example.com/team/app:1"});
    let package = json!({"name": "App", "package_type": "CONTAINER", "owner": {"login": "Team"},
        "package_version": {"container_metadata": {"tag": {"name": "1"}, "manifest": {"digest": digest}}}});
    let gitea = json!({"type": "container", "owner": {"login": "Team"}, "name": "App", "version": "1",
        "html_url": "https://named.example.com/team/-/packages/container/app/1"});
    vec![
        ("distribution", JSON, &[][..], json!({"events": [notification]}).to_string()),
        ("gitlab", JSON, &[], json!({"events": [notification]}).to_string()),
        ("acr", JSON, &[], notification.to_string()),
        (
            "harbor",
            JSON,
            &[],
            json!({"type": "PUSH_ARTIFACT", "event_data":
            {"resources": [resource], "repository": {"repo_full_name": "team/app"}}})
            .to_string(),
        ),
        (
            "quay",
            JSON,
            &[],
            json!({"repository": "team/app", "docker_url": "named.example.com/team/app",
            "updated_tags": ["1"]})
            .to_string(),
        ),
        (
            "dockerhub",
            JSON,
            &[],
            json!({"push_data": {"tag": "1"}, "repository": {"repo_name": "team/app"}}).to_string(),
        ),
        (
            "github",
            JSON,
            &[("x-github-event", "package")],
            json!({"action": "published", "package": package}).to_string(),
        ),
        (
            "ecr",
            JSON,
            &[],
            json!({"detail-type": "ECR Image Action", "account": "123456789012", "region": "eu-west-1",
            "detail": {"result": "SUCCESS", "action-type": "PUSH", "repository-name": "team/app",
                "image-digest": digest, "image-tag": "1"}})
            .to_string(),
        ),
        (
            "gar",
            JSON,
            &[],
            json!({"action": "INSERT", "digest": format!("named.example.com/team/app@{digest}"),
            "tag": "named.example.com/team/app:1"})
            .to_string(),
        ),
        (
            "artifactory",
            JSON,
            &[],
            json!({"domain": "docker", "event_type": "pushed",
            "jpd_origin": "https://named.example.com",
            "data": {"repo_key": "team", "image_name": "app", "tag": "1", "sha256": HEX}})
            .to_string(),
        ),
        (
            "nexus",
            JSON,
            &[],
            json!({"repositoryName": "hosted", "action": "CREATED",
            "component": {"format": "docker", "name": "team/app", "version": "1"}})
            .to_string(),
        ),
        (
            "gitea",
            JSON,
            &[("x-gitea-event", "package")],
            json!({"action": "created", "package": gitea}).to_string(),
        ),
        (
            "zot",
            JSON,
            &[("ce-type", "zotregistry.image.updated")],
            json!({"name": "team/app", "reference": "1", "digest": digest}).to_string(),
        ),
        (
            "cloudevents",
            "application/cloudevents+json",
            &[],
            json!({"specversion": "1.0",
            "type": "dev.tidewaiter.image.pushed.v1",
            "data": {"reference": format!("named.example.com/team/app@{digest}"), "tag": "1"}})
            .to_string(),
        ),
        (
            "generic",
            JSON,
            &[],
            json!({"image": "named.example.com/team/app:1", "digest": digest}).to_string(),
        ),
    ]
}

#[test]
fn every_source_hears_a_push_and_the_operator_has_the_last_word_on_the_registry() {
    let pushes = pushes();
    let mut heard: Vec<&str> = pushes.iter().map(|push| push.0).collect();
    let mut all: Vec<&str> = ALL.iter().map(|source| source.name()).collect();
    heard.sort_unstable();
    all.sort_unstable();
    assert_eq!(heard, all, "a source without a sample");
    for (source, media_type, headers, body) in pushes {
        let ask = Ask::of(source).typed(media_type).with(headers).registry("configured.example.com");
        let events = ask.decode(&body).unwrap_or_else(|error| panic!("{source}: {error}"));
        let told: Vec<String> = events.iter().map(told).collect();
        let by_tag = "configured.example.com/team/app:1".to_owned();
        let by_digest = "configured.example.com/team/app@5861314d7fcc 1".to_owned();
        assert!(told == [by_digest] || told == [by_tag], "{source}: {told:?}");
    }
}

#[test]
fn a_replayed_body_tells_the_same_again() {
    for (source, media_type, headers, body) in pushes() {
        let ask = Ask::of(source).typed(media_type).with(headers).registry("configured.example.com");
        assert_eq!(ask.decode(&body).unwrap(), ask.decode(&body).unwrap(), "{source}");
    }
}

#[test]
fn what_a_sender_cannot_live_up_to_is_refused_at_the_start_with_the_key_and_the_fix() {
    let refused = |source: &str, proof: WebhookProof, settings: SourceSettings| {
        let webhooks = [(source.to_owned(), WebhookConfig { proof, settings })].into();
        check(&AuthConfig { webhooks, ..AuthConfig::default() }).err().map(|error| error.to_string())
    };
    let token = || WebhookProof::Token("webhook-token".into());
    let hmac = || WebhookProof::Hmac("webhook-token".into());
    let registry = || SourceSettings { registry: Some("r.io".parse().unwrap()), ..SourceSettings::default() };
    let none = SourceSettings::default;
    for (source, proof, settings, expected) in [
        (
            "quai",
            token(),
            none(),
            "auth.webhooks.quai: there is no such source; name one of distribution, harbor",
        ),
        (
            "quay",
            hmac(),
            none(),
            "auth.webhooks.quay.hmac_secret: quay cannot show that; what it can: token (shown in the URL as ?token=)",
        ),
        ("distribution", hmac(), none(), "auth.webhooks.distribution.hmac_secret"),
        (
            "github",
            token(),
            none(),
            "auth.webhooks.github.token: github cannot show that; what it can: hmac_secret",
        ),
        ("nexus", hmac(), none(), "auth.webhooks.nexus.registry: is needed"),
        ("zot", token(), none(), "auth.webhooks.zot.registry: is needed"),
        (
            "harbor",
            WebhookProof::Header { name: "x".into(), secret: "y".into() },
            none(),
            "auth.webhooks.harbor.header",
        ),
        ("ecr", WebhookProof::Oidc(crate::auth::oidc::tests::config()), none(), "auth.webhooks.ecr.oidc"),
    ] {
        let error = refused(source, proof, settings).unwrap_or_else(|| panic!("{source} was accepted"));
        assert!(error.starts_with(expected), "{error}");
    }
    let mapping = RepositoryMapping {
        key: "a".to_owned(),
        registry: "r.io".parse().unwrap(),
        prefix: shared::config::PathPrefix::Usual,
    };
    let mapped = || SourceSettings { repositories: vec![mapping.clone()], ..SourceSettings::default() };
    assert!(
        refused("distribution", token(), mapped())
            .unwrap()
            .contains("distribution.repositories: is of no use")
    );
    for (source, proof, settings) in [
        ("nexus", hmac(), registry()),
        ("nexus", hmac(), mapped()),
        ("artifactory", token(), mapped()),
        ("artifactory", hmac(), none()),
        ("zot", WebhookProof::Basic { username: "u".into(), password: "p".into() }, registry()),
        ("gar", WebhookProof::Oidc(crate::auth::oidc::tests::config()), none()),
        ("dockerhub", token(), none()),
        ("ecr", WebhookProof::Header { name: "x-api-key".into(), secret: "y".into() }, none()),
        ("cloudevents", token(), none()),
        ("quay", WebhookProof::Nothing, none()),
    ] {
        assert_eq!(refused(source, proof, settings), None, "{source}");
    }
}
