//! Bodies that no registry sends, from senders that have proved themselves: each gets the answer that does its sender
//! no harm, is counted, and changes nothing for the next push.

use anyhow::{Context, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use shared::model::digest::Digest;
use tests::image::{HARMLESS, Image};
use tests::site::Site;

use super::{SECRET, curl, hmac};

/// What all of them call the site's registry.
const HOST: &str = "images.example.com";
/// The default of `server.body_limit`.
const BODY_LIMIT: usize = 1 << 20;

/// How a sender shows who it is.
#[derive(Clone, Copy)]
enum Proof {
    Header(&'static str, &'static str),
    Url(&'static str),
    /// Header, hash as openssl names it, and what stands before the digest.
    Signature(&'static str, &'static str, &'static str),
}

const BEARER: Proof = Proof::Header("authorization", "Bearer secret-of-the-senders");

/// What a sender does with a refusal: the reason for the answer that it gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// It sends the same again, is switched off, or forgets the push.
    Harms,
    /// A person reads the answer.
    Helps,
}

#[derive(Clone)]
struct Sender {
    source: &'static str,
    proof: Proof,
    refused: Refused,
    headers: &'static [(&'static str, &'static str)],
    /// A push that it would tell of.
    push: String,
}

impl Sender {
    async fn send(&self, site: &Site, body: Vec<u8>) -> Result<(StatusCode, Value)> {
        let mut path = format!("/webhooks/{}", self.source);
        let mut headers = self.headers.to_vec();
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            headers.push(("content-type", "application/json"));
        }
        let signature;
        match self.proof {
            Proof::Header(name, value) => headers.push((name, value)),
            Proof::Url(parameter) => path = format!("{path}?{parameter}={SECRET}"),
            Proof::Signature(header, hash, prefix) => {
                signature = format!("{prefix}{}", hmac(hash, &body)?);
                headers.push((header, &signature));
            }
        }
        let (status, _, answer) = curl(site, Method::POST, &path, &headers, body).await?;
        Ok((status, answer))
    }
}

/// Every source with its habits and a push of this image, which is in the site's registry as `team/app:1`.
fn senders(digest: &Digest) -> Vec<Sender> {
    let host = HOST;
    let hex = digest.to_string().trim_start_matches("sha256:").to_owned();
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    let notification = json!({"action": "push", "request": {"host": host},
        "target": {"mediaType": manifest, "digest": digest, "repository": "team/app", "tag": "1"}});
    let sender = |source, proof, headers, push: Value| Sender {
        source,
        proof,
        refused: Refused::Harms,
        headers,
        push: push.to_string(),
    };
    let helped = |sender: Sender| Sender { refused: Refused::Helps, ..sender };
    vec![
        sender(
            "distribution",
            Proof::Header("authorization", "Bearer webhook-token-of-the-tests"),
            &[],
            json!({"events": [notification]}),
        ),
        sender("gitlab", BEARER, &[], json!({"events": [notification]})),
        sender("acr", BEARER, &[], notification.clone()),
        sender(
            "harbor",
            BEARER,
            &[],
            json!({"type": "PUSH_ARTIFACT", "event_data": {
                "resources": [{"digest": digest, "tag": "1", "resource_url": format!("{host}/team/app:1")}],
                "repository": {"repo_full_name": "team/app"}}}),
        ),
        sender(
            "quay",
            Proof::Url("token"),
            &[],
            json!({"repository": "team/app", "docker_url": format!("{host}/team/app"), "updated_tags": ["1"]}),
        ),
        sender(
            "dockerhub",
            Proof::Url("token"),
            &[],
            json!({"push_data": {"tag": "1"}, "repository": {"repo_name": "team/app"}}),
        ),
        sender(
            "github",
            Proof::Signature("x-hub-signature-256", "-sha256", "sha256="),
            &[("x-github-event", "package")],
            json!({"action": "published", "package": {"name": "app", "package_type": "CONTAINER",
                "owner": {"login": "team"}, "package_version": {"container_metadata":
                    {"tag": {"name": "1"}, "manifest": {"digest": digest}}}}}),
        ),
        sender(
            "ecr",
            BEARER,
            &[],
            json!({"detail-type": "ECR Image Action", "account": "123456789012", "region": "eu-west-1",
                "detail": {"result": "SUCCESS", "action-type": "PUSH", "repository-name": "team/app",
                    "image-digest": digest, "image-tag": "1"}}),
        ),
        sender(
            "gar",
            Proof::Url("token"),
            &[],
            json!({"action": "INSERT", "digest": format!("{host}/team/app@{digest}"),
                "tag": format!("{host}/team/app:1")}),
        ),
        sender(
            "artifactory",
            Proof::Header("x-jfrog-event-auth", SECRET),
            &[],
            json!({"domain": "docker", "event_type": "pushed", "jpd_origin": format!("https://{host}"),
                "data": {"repo_key": "team", "image_name": "app", "tag": "1", "sha256": hex}}),
        ),
        sender(
            "nexus",
            Proof::Signature("x-nexus-webhook-signature", "-sha1", ""),
            &[],
            json!({"repositoryName": "hosted", "action": "CREATED",
                "component": {"format": "docker", "name": "team/app", "version": "1"}}),
        ),
        sender(
            "gitea",
            Proof::Signature("x-gitea-signature", "-sha256", ""),
            &[("x-gitea-event", "package")],
            json!({"action": "created", "package": {"type": "container", "owner": {"login": "team"},
                "name": "app", "version": "1",
                "html_url": format!("https://{host}/team/-/packages/container/app/1")}}),
        ),
        sender(
            "zot",
            BEARER,
            &[("ce-type", "zotregistry.image.updated")],
            json!({"name": "team/app", "reference": "1", "digest": digest}),
        ),
        helped(sender(
            "cloudevents",
            BEARER,
            &[("content-type", "application/cloudevents+json")],
            json!({"specversion": "1.0", "type": "dev.tidewaiter.image.pushed.v1",
                "data": {"reference": format!("{host}/team/app@{digest}"), "tag": "1"}}),
        )),
        helped(sender(
            "generic",
            BEARER,
            &[],
            json!({"image": format!("{host}/team/app:1"), "digest": digest}),
        )),
    ]
}

/// A body that is wrong in one way.
struct Wrong {
    what: &'static str,
    body: Vec<u8>,
    /// A word that the answer has to have for a person to find the place.
    named: &'static [&'static str],
}

/// Bodies that are wrong in their form, whoever sends them.
fn malformed(sender: &Sender) -> Vec<Wrong> {
    let push = sender.push.as_str();
    // One of each kind of proof and answer is enough for what only takes time.
    let is_example = ["distribution", "quay", "github", "generic"].contains(&sender.source);
    let padding = "a".repeat(if is_example { 50 << 20 } else { 2 << 20 });
    let wrong = |what, body: String| Wrong { what, body: body.into_bytes(), named: &[] };
    let deep = 100_000;
    vec![
        wrong("nothing", String::new()),
        wrong("cut off", push[..push.len() - 3].to_owned()),
        wrong("bytes", "\u{0}\u{1}".to_owned()),
        wrong("a number", "7".to_owned()),
        wrong("a text", "\"push\"".to_owned()),
        wrong("lists in lists", format!("{}{}", "[".repeat(deep), "]".repeat(deep))),
        wrong("objects in objects", format!("{}1{}", "{\"data\":".repeat(deep), "}".repeat(deep))),
        wrong("every key twice", format!("{},{}", &push[..push.len() - 1], &push[1..])),
        wrong("up to 50 MB", format!("{{\"padding\":\"{}\",{}", padding, &push[1..])),
        Wrong { what: "no UTF-8", body: [b"{\"a\":\"", &[0xff, 0xfe][..], b"\"}"].concat(), named: &[] },
    ]
}

/// What fields are called that have a name, or a digest.
const NAME: &[&str] = &["repository", "name", "image", "reference", "tag"];
const DIGEST: &[&str] = &["digest", "sha256", "reference"];

/// Pushes whose names and digests nobody could pull by; those of this sender.
fn unpullable(sender: &Sender, digest: &Digest) -> Vec<Wrong> {
    let push = &sender.push;
    let digest = digest.to_string();
    let hex = digest.trim_start_matches("sha256:");
    // Some tell of the last part alone, in whatever case its owner likes.
    let (whole, last) = ("team/app", "\"app\"");
    let endless = "a".repeat(70_000);
    let changes: [(&str, &str, String, &[&str]); 11] = [
        ("a climbing name", whole, "team/../app".to_owned(), NAME),
        ("a climbing name", last, "\"../app\"".to_owned(), NAME),
        ("a name with a control character", whole, "team/a\\u0007pp".to_owned(), NAME),
        ("a name with a control character", last, "\"a\\u0007pp\"".to_owned(), NAME),
        ("a name in upper case", whole, "Team/App".to_owned(), NAME),
        ("a name without end", whole, endless.clone(), NAME),
        ("a name without end", last, format!("\"{endless}\""), NAME),
        ("a digest that is too short", hex, hex[..63].to_owned(), DIGEST),
        ("a digest that is too long", hex, format!("{hex}0"), DIGEST),
        ("a digest in upper case", hex, hex.to_uppercase(), DIGEST),
        ("a digest that climbs", hex, "../../../etc/passwd".to_owned(), DIGEST),
    ];
    let changed = changes.into_iter().map(|(what, from, to, named)| {
        let body = push.replace(from, &to).into_bytes();
        Wrong { what, body, named }
    });
    // ECR says a tag as well, and a worker asks the registry what that points at.
    let is_told_by_tag = |wrong: &Wrong| sender.source == "ecr" && wrong.named == DIGEST;
    changed.filter(|wrong| wrong.body != push.as_bytes() && !is_told_by_tag(wrong)).collect()
}

/// 100,000 pushes in one body, where a body may have several.
fn crowd(sender: &Sender) -> Option<Wrong> {
    let inner = match sender.source {
        "distribution" | "gitlab" => sender.push.strip_prefix("{\"events\":[")?.strip_suffix("]}")?,
        "acr" | "cloudevents" => &sender.push,
        _ => return None,
    };
    // As many as fit are still too many events; more than fit are too many bytes.
    let all = vec![inner; 100_000].join(",");
    let body = if sender.push == inner { format!("[{all}]") } else { format!("{{\"events\":[{all}]}}") };
    Some(Wrong { what: "100,000 pushes", body: body.into_bytes(), named: &[] })
}

fn reasons(answer: &Value) -> String {
    let notes = ["rejected", "ignored"].into_iter().filter_map(|list| answer[list].as_array()).flatten();
    let reasons: Vec<&str> = notes.filter_map(|note| note["reason"].as_str()).collect();
    [answer["detail"].as_str().unwrap_or_default(), &reasons.join("; ")].concat()
}

/// What it had to be: nothing is taken, the sender is not harmed, a person finds what is wrong.
fn check(sender: &Sender, wrong: &Wrong, status: StatusCode, answer: &Value) {
    let at = format!("{}, {}: {status} {answer:.500}", sender.source, wrong.what);
    let told = reasons(answer);
    assert!(!told.is_empty() && told.len() < 2000, "{at}");
    assert!(answer["jobs"].as_array().is_none_or(Vec::is_empty), "{at}");
    // It begins with the field: `target.repository: "team/../app" is not …`.
    let field = told.split(": ").next().unwrap_or_default();
    assert!(wrong.named.is_empty() || wrong.named.iter().any(|named| field.ends_with(named)), "{at}");
    let is_unproven = matches!(sender.proof, Proof::Signature(..)) && wrong.body.len() > BODY_LIMIT;
    match (sender.refused, status) {
        // Nobody can tell who sent what is too large to be read, if the proof is a signature of all of it.
        (Refused::Harms, StatusCode::PAYLOAD_TOO_LARGE) => assert!(is_unproven, "{at}"),
        (Refused::Harms, status) => assert_eq!(status, StatusCode::OK, "{at}"),
        (Refused::Helps, StatusCode::PAYLOAD_TOO_LARGE) => assert!(wrong.body.len() > BODY_LIMIT, "{at}"),
        (Refused::Helps, status) => assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{at}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_bodies_that_no_registry_sends_jam_no_sender_and_lose_no_push() -> Result<()> {
    let signed = ["github", "nexus", "gitea"];
    let shown = [
        "gitlab",
        "acr",
        "harbor",
        "quay",
        "dockerhub",
        "ecr",
        "gar",
        "artifactory",
        "zot",
        "cloudevents",
        "generic",
    ];
    let mut sections = format!("aliases = [\"docker.io\", \"{HOST}\"]\n");
    for source in shown.iter().chain(&signed) {
        let key = if signed.contains(source) { "hmac_secret" } else { "token" };
        sections += &format!("[auth.webhooks.{source}]\n{key} = \"{SECRET}\"\nregistry = \"{HOST}\"\n");
    }
    // Strangers come by more often here than a client may be wrong.
    sections += "[server]\nfailed_logins_per_minute = 0\n";
    let site = Site::unannounced(&sections).await?;
    let digest = site.push(&Image::debian_with_python(HARMLESS), "team/app", "1")?;
    for sender in senders(&digest) {
        let wrong = malformed(&sender).into_iter().chain(unpullable(&sender, &digest));
        for mut wrong in wrong.chain(crowd(&sender)) {
            let at = format!("{}, {}", sender.source, wrong.what);
            let (status, answer) = sender.send(&site, wrong.body.clone()).await.context(at)?;
            check(&sender, &wrong, status, &answer);
            wrong.body.truncate(BODY_LIMIT);
            let stranger = Sender { proof: Proof::Header("authorization", "Bearer wrong"), ..sender.clone() };
            let (status, answer) = stranger.send(&site, wrong.body).await?;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{}: {answer:#}", sender.source);
        }
        let label = format!("source=\"{}\",event=\"malformed\"", sender.source);
        // Refused bodies are counted by their answer, those that are taken and listed as events.
        if sender.refused == Refused::Harms {
            assert!(site.metric("tidewaiter_events_total", &label).await? >= 6.0, "{label}");
        }
        let (status, answer) = sender.send(&site, sender.push.clone().into_bytes()).await?;
        assert_eq!(status, StatusCode::ACCEPTED, "{}: {answer:#}", sender.source);
    }
    assert_eq!(site.verdict(&digest).await?["digest"], json!(digest));
    let longest = site.front.log().lines().map(str::len).max().unwrap_or_default();
    assert!(longest < 4000, "a line of {longest} bytes");
    Ok(())
}
