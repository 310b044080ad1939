//! The Kubernetes gate as an API server meets it: what may run, what may not, and what happens while nobody knows.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::process::free_port;
use tests::servers::{Broker, Redis, Registry, amqp_url};
use tests::site::{Site, eventually};

pub(crate) const VALIDATE: &str = "/gates/kubernetes/validate?timeout=20s";
const MUTATE: &str = "/gates/kubernetes/mutate?timeout=20s";

/// A request as the API server sends it.
pub(crate) fn review(kind: &str, object: &Value) -> Value {
    let group = match kind {
        "Pod" => "",
        "Job" => "batch",
        _ => "apps",
    };
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": group, "version": "v1", "kind": kind},
            "namespace": "prod", "operation": "CREATE", "object": object, "oldObject": null, "dryRun": false,
        },
    })
}

/// A pod that offends nothing but perhaps by its image.
pub(crate) fn pod(image: &str) -> Value {
    json!({
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"containers": [{
            "name": "app", "image": image, "securityContext": {"runAsNonRoot": true},
            "resources": {"limits": {"cpu": "1", "memory": "64Mi"}},
        }]},
    })
}

/// The response to a review, whose envelope is checked.
pub(crate) async fn answer(site: &Site, path: &str, review: &Value) -> Result<Value> {
    let (status, answer) = site.post_as("", path, "application/json", review.to_string()).await?;
    assert_eq!(status, StatusCode::OK, "{answer:#}");
    assert_eq!((&answer["apiVersion"], &answer["kind"]), (&review["apiVersion"], &json!("AdmissionReview")));
    assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
    for warning in answer["response"]["warnings"].as_array().into_iter().flatten() {
        assert!(warning.as_str().is_some_and(|text| text.len() < 120), "{warning}");
    }
    Ok(answer["response"].clone())
}

pub(crate) fn message(response: &Value) -> &str {
    response["status"]["message"].as_str().unwrap_or_default()
}

fn assert_denied(response: &Value, fragments: &[&str]) {
    assert_eq!(response["allowed"], false, "{response:#}");
    assert_eq!(response["status"]["code"], 403);
    for fragment in fragments {
        assert!(message(response).contains(fragment), "{:?} lacks {fragment:?}", message(response));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_denied_with_reasons_and_what_passes_may_run() -> Result<()> {
    let site = Site::distributed(1).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    site.verdict(&bad).await?;
    site.verdict(&good).await?;

    let allowed = answer(&site, VALIDATE, &review("Pod", &pod(&site.name("team/good", &good)))).await?;
    assert_eq!(allowed["allowed"], true, "{allowed:#}");
    assert_eq!(allowed["auditAnnotations"]["digests"], good.as_str());

    let denied = answer(&site, VALIDATE, &review("Pod", &pod(&site.name("team/bad", &bad)))).await?;
    let more = format!("{}/v1/verdicts/{bad}", site.url);
    assert_denied(&denied, &["team/bad", bad.as_str(), "policy default", "urllib3", "fixed in", &more]);
    assert_eq!(denied["auditAnnotations"]["verdict"], "fail");

    let by_tag = format!("{}/team/bad:1.0", site.registry.host());
    let denied = answer(&site, VALIDATE, &review("Pod", &pod(&by_tag))).await?;
    assert_denied(&denied, &[&by_tag, bad.as_str()]);

    let question = json!({
        "apiVersion": "imagepolicy.k8s.io/v1alpha1", "kind": "ImageReview",
        "spec": {"containers": [{"image": site.name("team/good", &good)}, {"image": by_tag}], "namespace": "prod"},
    });
    let (status, image_review) =
        site.post_as("", "/gates/kubernetes/image-policy", "application/json", question.to_string()).await?;
    assert_eq!((status, &image_review["status"]["allowed"]), (StatusCode::OK, &json!(false)));
    assert!(image_review["status"]["reason"].as_str().unwrap().contains(bad.as_str()), "{image_review:#}");

    assert!(site.metric("tidewaiter_gate_decisions_total", "denied").await? >= 3.0);
    Ok(())
}

/// A site whose registry tells nobody about pushes.
async fn quiet_site(workers: usize, folder: &std::path::Path) -> Result<Site> {
    let quiet = Registry::start(folder, &format!("http://127.0.0.1:{}/", free_port()?), "nobody")?;
    let extra = format!("[registries.quiet]\nhost = \"{}\"\nplain_http = true\n", quiet.host());
    let mut site = Site::distributed_on(workers, &amqp_url()?, &extra).await?;
    site.registry = quiet;
    Ok(site)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_nobody_told_about_is_held_and_judged_by_the_question_itself() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = quiet_site(1, folder.path()).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    assert_eq!(site.get(&format!("/v1/verdicts/{bad}")).await?.0, StatusCode::NOT_FOUND, "nobody knows it");

    let rehearsal = {
        let mut review = review("Pod", &pod(&site.name("team/bad", &bad)));
        review["request"]["dryRun"] = json!(true);
        answer(&site, VALIDATE, &review).await?
    };
    assert_denied(&rehearsal, &["dry run"]);
    assert_eq!(
        site.get(&format!("/v1/verdicts/{bad}")).await?.0,
        StatusCode::NOT_FOUND,
        "a dry run queues nothing"
    );

    let began = Instant::now();
    let denied = answer(&site, VALIDATE, &review("Pod", &pod(&site.name("team/bad", &bad)))).await?;
    assert_denied(&denied, &["urllib3"]);
    assert!(began.elapsed() < Duration::from_secs(19), "answered by the verdict, not by the deadline");
    let tagged = format!("{}/team/good:1.0", site.registry.host());
    let allowed = answer(&site, VALIDATE, &review("Pod", &pod(&tagged))).await?;
    assert_eq!(allowed["allowed"], true, "{allowed:#}");
    assert_eq!(allowed["auditAnnotations"]["digests"], good.as_str());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_without_a_worker_the_answer_comes_before_the_callers_patience_ends() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = quiet_site(0, folder.path()).await?;
    let image = site.push(&Image::debian_with_python(HARMLESS), "team/new", "1.0")?;
    let containers: Vec<Value> = (0..200)
        .map(|number| json!({"name": format!("c{number}"), "image": format!("{}/team/new@sha256:{number:064x}", site.registry.host())}))
        .chain([json!({"name": "known", "image": site.name("team/new", &image)})])
        .collect();
    let began = Instant::now();
    let path = "/gates/kubernetes/validate?timeout=3s";
    let denied = answer(&site, path, &review("Pod", &json!({"spec": {"containers": containers}}))).await?;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_denied(&denied, &["no verdict came within", "more images are denied"]);
    Ok(())
}

/// What the API server does with a patch of ours: `test` and `replace`.
fn patched(object: &Value, response: &Value) -> Result<Value> {
    use base64::Engine as _;
    let patch = response["patch"].as_str().context("a patch")?;
    let operations: Vec<Value> =
        serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(patch)?)?;
    let mut object = object.clone();
    for operation in operations {
        let place =
            object.pointer_mut(operation["path"].as_str().context("a path")?).context("it is there")?;
        match operation["op"].as_str() {
            Some("test") => assert_eq!(*place, operation["value"]),
            Some("replace") => *place = operation["value"].clone(),
            other => panic!("{other:?} is not expected"),
        }
    }
    Ok(object)
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_the_digest_that_mutate_pins_is_judged_although_the_tag_moves() -> Result<()> {
    let site = Site::distributed(1).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/moving", "1.0")?;
    site.verdict(&bad).await?;
    let mut object = pod(&format!("{}/team/moving:1.0", site.registry.host()));
    object["spec"]["volumes"] =
        json!([{"name": "m", "image": {"reference": format!("{}/team/moving:1.0", site.registry.host())}}]);

    let response = answer(&site, MUTATE, &review("Pod", &object)).await?;
    assert_eq!((&response["allowed"], &response["patchType"]), (&json!(true), &json!("JSONPatch")));
    let pinned = patched(&object, &response)?;
    let name = format!("{}/team/moving:1.0@{bad}", site.registry.host());
    assert_eq!(pinned["spec"]["containers"][0]["image"], name);
    assert_eq!(pinned["spec"]["volumes"][0]["image"]["reference"], name);
    let again = answer(&site, MUTATE, &review("Pod", &pinned)).await?;
    assert!(again["patch"].is_null(), "called again it changes nothing: {again:#}");

    let good = site.push(&Image::debian_with_python(HARMLESS), "team/moving", "1.0")?;
    site.verdict(&good).await?;
    let denied = answer(&site, VALIDATE, &review("Pod", &pinned)).await?;
    assert_denied(&denied, &[bad.as_str()]);

    let foreign = answer(&site, MUTATE, &review("Pod", &pod("elsewhere.example.com/app:1"))).await?;
    assert_eq!(foreign["allowed"], true, "mutate never denies");
    assert!(foreign["patch"].is_null(), "I8: nobody is asked what it points at");
    let missing =
        answer(&site, MUTATE, &review("Pod", &pod(&format!("{}/no/such:1", site.registry.host())))).await?;
    assert_eq!(missing["allowed"], true);
    assert!(missing["warnings"][0].as_str().unwrap().contains("not pinned"), "{missing:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_while_redis_is_away_the_fail_mode_answers_in_time_and_readyz_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut redis = Redis::start(folder.path())?;
    let site = Site::embedded_with(&format!("[store]\nurl = \"{}\"\n", redis.url())).await?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    site.verdict(&good).await?;
    redis.kill();

    let (status, readiness) = site.get("/readyz").await?;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_ne!(readiness["store"], "ok");
    let began = Instant::now();
    let denied = answer(&site, VALIDATE, &review("Pod", &pod(&site.name("team/good", &good)))).await?;
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_denied(&denied, &[good.as_str(), "cannot be looked up now"]);
    assert_eq!(denied["auditAnnotations"]["verdict"], "store_unavailable");

    redis.run()?;
    eventually("the gate judges again, after scanning again", async || {
        let again = answer(&site, VALIDATE, &review("Pod", &pod(&site.name("team/good", &good)))).await?;
        Ok(again["allowed"] == true)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_while_the_broker_is_away_known_images_are_judged_and_unknown_ones_denied_in_time() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let mut broker = Broker::start(folder.path())?;
    let site = Site::distributed_on(1, &broker.url(), "").await?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    site.verdict(&good).await?;
    broker.kill()?;

    let allowed = answer(&site, VALIDATE, &review("Pod", &pod(&site.name("team/good", &good)))).await?;
    assert_eq!(allowed["allowed"], true, "{allowed:#}");
    let began = Instant::now();
    let unknown = format!("{}/team/good@sha256:{}", site.registry.host(), "0".repeat(64));
    let denied = answer(&site, VALIDATE, &review("Pod", &pod(&unknown))).await?;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_denied(&denied, &["never been scanned", "could not be queued"]);
    assert_eq!(site.get("/readyz").await?.0, StatusCode::SERVICE_UNAVAILABLE);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_tried_out_denies_nothing_and_says_what_it_would() -> Result<()> {
    let policies = tempfile::tempdir()?;
    let audit = "version: 1\nname: default\nmode: audit\nrules: [{name: all, when: {}, then: deny}]\npods: {privileged: deny}\n";
    std::fs::write(policies.path().join("default.yaml"), audit)?;
    let site = Site::embedded_with(&format!("[policies]\ndir = \"{}\"\n", policies.path().display())).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    site.verdict(&bad).await?;
    let mut privileged = pod("x");
    privileged["spec"]["containers"][0]["securityContext"]["privileged"] = json!(true);
    for (object, fragment) in [
        (pod(&site.name("team/bad", &bad)), "would deny"),
        (pod("elsewhere.example.com/unknown:1"), "would deny"),
        (pod("NGINX"), "would deny"),
        (privileged, "is privileged"),
        (json!({"spec": {"containers": "nginx"}}), "cannot be judged"),
    ] {
        let response = answer(&site, VALIDATE, &review("Pod", &object)).await?;
        assert_eq!(response["allowed"], true, "{response:#}");
        assert!(response["warnings"].to_string().contains(fragment), "{response:#}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_sent_gets_a_review_that_says_what_is_wrong() -> Result<()> {
    let site = Site::embedded().await?;
    let host = site.registry.host();
    for (image, fragment) in [
        ("nginx:", "not a tag"),
        ("NGINX", "not a repository name"),
        ("a//b", "not a repository name"),
        ("team/app/", "not a repository name"),
        ("böse", "not a repository name"),
        (&format!("{host}/x@sha256:short"), "64 lower-case hex digits"),
        ("nginx", "registry docker.io is not configured"),
        (&format!("{host}/no/such:1"), "does not exist"),
        (&"a/".repeat(2000), "not a repository name"),
    ] {
        let response = answer(&site, VALIDATE, &review("Pod", &pod(image))).await?;
        assert_denied(&response, &[fragment, "Read more: http://"]);
    }
    for body in ["", "null", "[]", "{\"kind\":\"AdmissionReview\"}", "\u{0}", &"[".repeat(100_000)] {
        for path in [VALIDATE, MUTATE] {
            let (status, answer) = site.post_as("", path, "application/json", body.to_owned()).await?;
            assert_eq!(
                (status, &answer["response"]["allowed"]),
                (StatusCode::OK, &json!(false)),
                "{answer:#}"
            );
            assert!(message(&answer["response"]).contains("cannot read"), "{answer:#}");
        }
    }
    let mut large = pod("nginx");
    large["metadata"]["annotations"] = json!({"a": "x".repeat(3 << 20)});
    assert_denied(&answer(&site, VALIDATE, &review("Pod", &large)).await?, &["docker.io"]);
    let huge = vec![b' '; 9 << 20];
    let (status, refused) = site.post_as("", VALIDATE, "application/json", huge).await?;
    assert_eq!((status, &refused["response"]["allowed"]), (StatusCode::OK, &json!(false)), "{refused:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_asks_for_a_token_where_there_are_tokens_unless_it_is_open() -> Result<()> {
    let tokens = "[auth.tokens.cluster]\ntoken = \"read-token-of-the-tests\"\nscopes = [\"read\"]\n";
    let guarded = Site::embedded_with(tokens).await?;
    let body = review("Pod", &pod("nginx")).to_string();
    for (authorization, expected) in [
        ("Bearer read-token-of-the-tests", StatusCode::OK),
        ("Bearer wrong", StatusCode::UNAUTHORIZED),
        ("", StatusCode::UNAUTHORIZED),
    ] {
        let (status, _) = guarded.post_as(authorization, VALIDATE, "application/json", body.clone()).await?;
        assert_eq!(status, expected, "{authorization:?}");
    }
    let open = Site::embedded_with(&format!("{tokens}[gates.kubernetes]\nopen = true\n")).await?;
    assert_eq!(open.post_as("", VALIDATE, "application/json", body).await?.0, StatusCode::OK);
    Ok(())
}
