//! Attaching and listing: on CNCF Distribution 2.8, which does not know referrers, and on a registry that does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::super::{Attached, Credentials, Deleted, RedirectTargets, RegistryClient, RegistryError};
use super::distribution::{Distribution, Door};
use super::server::{Act, Heard, Server, say};
use super::{client, config, image, told};
use crate::attest::artifact::{ARTIFACT_TYPE, Artifact, CREATED, EMPTY, described, finished};
use crate::attest::tag::{self, Suffix};
use crate::model::digest::Digest;
use crate::model::document::{Descriptor, INDEX_TYPES, MANIFEST_TYPES};
use crate::model::image::ImageName;

/// An artifact about `subject` with one text layer.
fn artifact(subject: &Descriptor, kind: &str, text: &str) -> Artifact {
    let layers = vec![described("text/plain", text.as_bytes(), BTreeMap::new())];
    let annotations = BTreeMap::from([(CREATED.to_owned(), "2026-11-27T00:00:00Z".to_owned())]);
    let blobs = vec![EMPTY.to_vec(), text.as_bytes().to_vec()];
    finished(kind, subject, layers, annotations, blobs)
}

async fn attach(
    client: &RegistryClient,
    name: &ImageName,
    subject: &Descriptor,
    artifact: &Artifact,
    superseded: &[Digest],
) -> Result<Attached, RegistryError> {
    for blob in &artifact.blobs {
        client.push_blob(name, blob).await?;
    }
    client.attach(name, &subject.digest, &artifact.manifest, &artifact.descriptor, superseded).await
}

/// An image in a real registry, a client, and the image's descriptor.
async fn pushed(registry: &Distribution) -> (RegistryClient, ImageName, Descriptor) {
    let base = format!("http://{}", registry.host);
    let manifest = registry.push(&base, &reqwest::Client::new(), b"layer").await;
    let subject = described(MANIFEST_TYPES[0], &manifest, BTreeMap::new());
    (client(config(registry.host.as_str())), registry.image(), subject)
}

async fn listed(client: &RegistryClient, name: &ImageName, subject: &Descriptor, kind: &str) -> Vec<Digest> {
    let found = client.referrers(name, &subject.digest, kind).await.unwrap();
    found.into_iter().map(|referrer| referrer.digest).collect()
}

#[tokio::test]
async fn a_registry_without_referrers_gets_the_list_under_a_tag_and_it_does_not_grow() {
    let registry = Distribution::start(Door::Open);
    let (client, name, subject) = pushed(&registry).await;
    assert!(listed(&client, &name, &subject, ARTIFACT_TYPE).await.is_empty());

    let foreign = artifact(&subject, "application/x-sbom", "an SBOM of somebody");
    assert_eq!(attach(&client, &name, &subject, &foreign, &[]).await.unwrap(), Attached::UnderTag);
    let mut superseded = Vec::new();
    for round in 0..4 {
        let next = artifact(&subject, ARTIFACT_TYPE, &format!("verdict {round}"));
        attach(&client, &name, &subject, &next, &superseded).await.unwrap();
        // The same again changes nothing: writes are repeated after broken connections.
        attach(&client, &name, &subject, &next, &superseded).await.unwrap();
        superseded = vec![next.descriptor.digest.clone()];
        assert_eq!(listed(&client, &name, &subject, ARTIFACT_TYPE).await, superseded);
    }
    let list = client.tagged(&name, &tag::of(&subject.digest, Suffix::Referrers)).await.unwrap().unwrap();
    let list: Value = serde_json::from_slice(&list.bytes).unwrap();
    assert_eq!(list["manifests"].as_array().unwrap().len(), 2, "one of ours, and what others attached");
    let others = listed(&client, &name, &subject, "application/x-sbom").await;
    assert_eq!(others, [foreign.descriptor.digest]);

    assert_eq!(client.delete_manifest(&name, &superseded[0]).await.unwrap(), Deleted::Gone);
    assert_eq!(client.delete_manifest(&name, &superseded[0]).await.unwrap(), Deleted::Gone, "gone is gone");
    let gone = client.document(&name, &superseded[0]).await.unwrap_err();
    assert!(matches!(gone, RegistryError::NotFound { .. }), "{gone:?}");
}

#[tokio::test]
async fn several_who_attach_at_the_same_time_are_all_listed_in_the_end() {
    let registry = Distribution::start(Door::Open);
    let (client, name, subject) = pushed(&registry).await;
    let artifacts: Vec<Artifact> =
        (0..3).map(|number| artifact(&subject, ARTIFACT_TYPE, &format!("by worker {number}"))).collect();
    // The list is read again after it was written; whoever was overwritten between writes again.
    let attached = artifacts.iter().map(|artifact| attach(&client, &name, &subject, artifact, &[]));
    for outcome in futures_util::future::join_all(attached).await {
        outcome.unwrap();
    }
    for artifact in &artifacts {
        attach(&client, &name, &subject, artifact, &[]).await.unwrap();
    }
    assert_eq!(listed(&client, &name, &subject, ARTIFACT_TYPE).await.len(), 3);
}

#[tokio::test]
async fn an_image_under_the_tag_of_the_list_is_left_as_it_is() {
    let registry = Distribution::start(Door::Open);
    let (client, name, subject) = pushed(&registry).await;
    let list = tag::of(&subject.digest, Suffix::Referrers);
    let image = client.raw_document(&name, &subject.digest).await.unwrap();
    client.push_manifest(&name, Some(&list), MANIFEST_TYPES[0], &image.bytes).await.unwrap();
    assert!(listed(&client, &name, &subject, ARTIFACT_TYPE).await.is_empty());
    let error =
        attach(&client, &name, &subject, &artifact(&subject, ARTIFACT_TYPE, "x"), &[]).await.unwrap_err();
    assert!(told(&error).contains("left as it is"), "{}", told(&error));
    assert_eq!(client.tagged(&name, &list).await.unwrap().unwrap().bytes, image.bytes);
}

/// What a small registry of one repository holds: blobs and manifests by digest, referrers of anything.
#[derive(Default)]
struct Shelf {
    content: BTreeMap<String, Vec<u8>>,
    referrers: Vec<Value>,
}

/// Answers as a registry that knows referrers, three a page.
fn modern(heard: &Heard, shelf: &Mutex<Shelf>) -> Vec<Act> {
    let mut shelf = shelf.lock().unwrap();
    let method = heard.head.split(' ').next().unwrap_or_default();
    let (path, query) = heard.path().split_once('?').unwrap_or((heard.path(), ""));
    let last = path.rsplit('/').next().unwrap_or_default().to_owned();
    match method {
        "HEAD" | "GET" if path.contains("/blobs/") || path.contains("/manifests/") => {
            match shelf.content.get(&last) {
                Some(bytes) if method == "GET" => say(200, &[("content-type", MANIFEST_TYPES[0])], bytes),
                Some(_) => say(200, &[], b""),
                None => say(404, &[], b""),
            }
        }
        "POST" => say(202, &[("location", "/v2/team/app/blobs/uploads/7?state=kept")], b""),
        "PUT" if path.contains("/uploads/") => {
            assert!(query.starts_with("state=kept&digest="), "{query}");
            let digest = query.rsplit('=').next().unwrap().replace("%3A", ":");
            assert_eq!(digest, Digest::of(heard.body.as_bytes()).as_str());
            shelf.content.insert(digest, heard.body.clone().into_bytes());
            say(201, &[], b"")
        }
        "PUT" => {
            let manifest: Value = serde_json::from_str(&heard.body).unwrap();
            let subject = manifest["subject"]["digest"].as_str().unwrap().to_owned();
            shelf.referrers.push(json!({
                "mediaType": MANIFEST_TYPES[0], "digest": last, "size": heard.body.len(),
                "artifactType": manifest["artifactType"], "annotations": manifest["annotations"],
            }));
            shelf.content.insert(last, heard.body.clone().into_bytes());
            say(201, &[("oci-subject", &subject)], b"")
        }
        "GET" => {
            let from: usize = query.rsplit_once("from=").map_or(0, |(_, text)| text.parse().unwrap());
            let page: Vec<&Value> = shelf.referrers.iter().skip(from).take(3).collect();
            let body =
                json!({"schemaVersion": 2, "mediaType": INDEX_TYPES[0], "manifests": page}).to_string();
            let next = format!("<{path}?from={}>; rel=\"next\"", from + 3);
            let link = (from + 3 < shelf.referrers.len()).then_some(("link", next.as_str()));
            let headers: Vec<(&str, &str)> =
                link.into_iter().chain([("content-type", INDEX_TYPES[0])]).collect();
            say(200, &headers, body.as_bytes())
        }
        _ => say(405, &[], b""),
    }
}

#[tokio::test]
async fn a_registry_with_referrers_lists_them_itself_page_by_page() {
    let shelf = Arc::new(Mutex::new(Shelf::default()));
    let server = Server::start(move |heard, _| modern(heard, &shelf)).await;
    let (client, name) = (client(config(server.host().as_str())), image(&server.host()));
    let subject = described(MANIFEST_TYPES[0], b"image", BTreeMap::new());
    let mut expected = Vec::new();
    for number in 0..7 {
        let kind = if number % 2 == 0 { ARTIFACT_TYPE } else { "application/x-other" };
        let artifact = artifact(&subject, kind, &format!("artifact {number}"));
        assert_eq!(attach(&client, &name, &subject, &artifact, &[]).await.unwrap(), Attached::Indexed);
        if kind == ARTIFACT_TYPE {
            expected.push(artifact.descriptor.digest);
        }
    }
    // The registry ignored the filter; it is applied here.
    assert_eq!(listed(&client, &name, &subject, ARTIFACT_TYPE).await, expected);
    let heard = server.heard();
    let count = |start: &str| heard.iter().filter(|heard| heard.head.starts_with(start)).count();
    assert_eq!(count("GET /v2/team/app/referrers/"), 3, "three pages");
    assert_eq!(count("PUT /v2/team/app/manifests/sha256-"), 0, "no tag is written");
    assert_eq!(count("POST "), 8, "the empty config is uploaded once");
    assert_eq!(client.delete_manifest(&name, &expected[0]).await.unwrap(), Deleted::NotAllowed);
}

#[tokio::test]
async fn i8_pushing_asks_for_the_right_to_push_and_only_when_it_pushes() {
    let server = Server::start(|heard, _| {
        if heard.path().starts_with("/token") {
            return say(200, &[], br#"{"token":"abc","expires_in":300}"#);
        }
        if heard.header("authorization").is_none() {
            let realm = format!("Bearer realm=\"http://{}/token\"", heard.header("host").unwrap());
            return say(401, &[("www-authenticate", &realm)], b"");
        }
        match heard.head.split(' ').next() {
            Some("PUT") => say(201, &[], b""),
            Some("DELETE") => say(202, &[], b""),
            _ => say(404, &[], b""),
        }
    })
    .await;
    let (client, name) = (client(config(server.host().as_str())), image(&server.host()));
    assert!(client.tagged(&name, &"latest".parse().unwrap()).await.unwrap().is_none());
    client.push_manifest(&name, None, MANIFEST_TYPES[0], b"{}").await.unwrap();
    client.delete_manifest(&name, &Digest::of(b"{}")).await.unwrap();
    let heard = server.heard();
    let scopes: Vec<&str> = heard
        .iter()
        .filter_map(|heard| heard.path().strip_prefix("/token?scope=repository%3Ateam%2Fapp%3A"))
        .collect();
    assert_eq!(scopes, ["pull", "pull%2Cpush", "pull%2Cpush%2Cdelete"]);
}

#[tokio::test]
async fn i8_an_upload_to_another_host_does_not_carry_credentials() {
    let storage = Server::start_at("127.0.0.2", |_, _| say(201, &[], b"")).await;
    let location = format!("http://{}/bucket/upload?signature=1", storage.host());
    let server = Server::start(move |heard, _| match heard.head.split(' ').next() {
        Some("POST") => say(202, &[("location", &location)], b""),
        Some(_) | None if heard.header("authorization").is_none() => {
            say(401, &[("www-authenticate", "Basic realm=\"r\"")], b"")
        }
        Some(_) | None => say(404, &[], b""),
    })
    .await;
    let mut config = config(server.host().as_str());
    config.credentials = Credentials::Basic { username: "bob".to_owned(), password: "s3cret".into() };
    let refused = client(config.clone()).push_blob(&image(&server.host()), b"blob").await.unwrap_err();
    assert!(matches!(refused, RegistryError::Refused { .. }), "{refused:?}");
    config.redirect_targets = RedirectTargets::PublicAndPrivate;
    client(config).push_blob(&image(&server.host()), b"blob").await.unwrap();
    let heard = storage.heard();
    assert_eq!(heard.len(), 1);
    assert_eq!((heard[0].header("authorization"), heard[0].body.as_str()), (None, "blob"));
}

#[tokio::test]
async fn a_write_is_repeated_after_a_failure_that_may_pass_and_not_after_a_refusal() {
    let server = Server::start(|heard, before| match (heard.head.split(' ').next(), before) {
        (Some("PUT"), 0) => say(503, &[], b""),
        (Some("PUT"), 1) => say(201, &[], b""),
        _ => say(302, &[("location", "/elsewhere")], b""),
    })
    .await;
    let (client, name) = (client(config(server.host().as_str())), image(&server.host()));
    client.push_manifest(&name, None, MANIFEST_TYPES[0], b"{}").await.unwrap();
    assert_eq!(server.heard().len(), 2);
    let refused = client.push_manifest(&name, None, MANIFEST_TYPES[0], b"{}").await.unwrap_err();
    assert!(matches!(refused, RegistryError::Malformed { .. }), "{refused:?}");
    assert_eq!(server.heard().len(), 3, "what is written does not follow a redirect that changes the method");
}
