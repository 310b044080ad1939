//! What senders get for what they send.

use anyhow::Result;
use reqwest::StatusCode;
use serde_json::json;
use tests::image::{HARMLESS, Image};
use tests::site::{Site, WEBHOOK_TOKEN};

const EVENTS: &str = "application/vnd.docker.distribution.events.v2+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn event(host: &str, action: &str, media_type: &str) -> serde_json::Value {
    json!({
        "id": "1", "timestamp": "2026-03-02T09:30:37.1Z", "action": action,
        "target": {"mediaType": media_type, "digest": format!("sha256:{}", "1".repeat(64)), "repository": "team/app", "tag": "1"},
        "request": {"host": host},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn only_pushes_of_manifests_become_jobs() -> Result<()> {
    let site = Site::embedded().await?;
    let host = site.registry.host();
    let batch = json!({"events": [
        event(&host, "pull", MANIFEST), event(&host, "mount", "application/octet-stream"),
        event(&host, "delete", MANIFEST), event(&host, "push", "application/octet-stream"),
        event(&host, "push", MANIFEST), event(&host, "push", MANIFEST),
    ]});
    let (status, answer) = site.post("/webhooks/distribution", EVENTS, batch.to_string()).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer:#}");
    assert_eq!(answer["jobs"].as_array().map(Vec::len), Some(1), "one digest, one job: {answer:#}");
    assert_eq!(answer["ignored"].as_array().map(Vec::len), Some(4));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_without_the_secret_are_refused_before_their_body_is_read() -> Result<()> {
    let site = Site::embedded().await?;
    let (status, problem) = site.post_as("Bearer wrong", "/webhooks/distribution", EVENTS, "{").await?;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(problem["type"], "urn:tidewaiter:problem:webhook-unauthorized");
    let unlisted = site.post("/webhooks/generic", "application/json", "{}").await?;
    assert_eq!(
        unlisted.0,
        StatusCode::UNAUTHORIZED,
        "a source that nobody listed beside one that somebody did"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_a_registry_that_is_not_configured_is_refused_and_counted_never_fetched() -> Result<()> {
    let site =
        Site::embedded_with(&format!("[auth.webhooks.generic]\ntoken = \"{WEBHOOK_TOKEN}\"\n")).await?;
    let batch = json!({"events": [event("169.254.169.254", "push", MANIFEST)]});
    let (status, answer) = site.post("/webhooks/distribution", EVENTS, batch.to_string()).await?;
    // This sender repeats what is refused for ever, so it gets 2xx, and the event is listed.
    assert_eq!(status, StatusCode::OK, "{answer:#}");
    assert!(answer["rejected"][0]["reason"].as_str().unwrap().contains("not configured"), "{answer:#}");
    assert_eq!(site.metric("tidewaiter_events_total", "registry-not-configured").await?, 1.0);

    let notice = json!({"image": "evil.example.com/x:1"}).to_string();
    let (status, problem) = site.post("/webhooks/generic", "application/json", notice).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_no_sender_sends_get_a_clear_4xx() -> Result<()> {
    let site =
        Site::embedded_with("[auth.webhooks.generic]\ntoken = \"webhook-token-of-the-tests\"\n").await?;
    for (path, media_type, body, expected) in [
        ("/webhooks/generic", "application/json", "{".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
        ("/webhooks/generic", "application/json", "[]".repeat(1 << 20), StatusCode::PAYLOAD_TOO_LARGE),
        ("/webhooks/generic", "text/plain", "{}".to_owned(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (
            "/webhooks/generic",
            "application/json",
            json!({"image": "a//b"}).to_string(),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        ("/webhooks/nobody", "application/json", "{}".to_owned(), StatusCode::NOT_FOUND),
        ("/v1/scans", "application/json", "{}".to_owned(), StatusCode::UNPROCESSABLE_ENTITY),
        (
            "/v1/verdicts/query",
            "application/json",
            json!({"digests": ["sha256:short"]}).to_string(),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let (status, problem) = site.post(path, media_type, body).await?;
        assert_eq!(status, expected, "{path}: {problem:#}");
        assert!(problem["detail"].is_string() && problem["type"].is_string(), "{path}: {problem:#}");
    }
    assert_eq!(site.get("/v1/verdicts/sha256:short").await?.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(site.get("/nowhere").await?.0, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn harbor_cloudevents_and_generic_lead_to_verdicts_too() -> Result<()> {
    let tokens = ["harbor", "generic", "cloudevents"]
        .map(|source| format!("[auth.webhooks.{source}]\ntoken = \"{WEBHOOK_TOKEN}\"\n"));
    let site = Site::embedded_with(&tokens.concat()).await?;
    let digest = site.push(&Image::debian_with_python(HARMLESS), "team/app", "1.0")?;
    site.verdict(&digest).await?;
    let host = site.registry.host();
    let resource = json!({"digest": digest, "tag": "1.0", "resource_url": format!("{host}/team/app:1.0")});
    let data = json!({"resources": [resource], "repository": {"repo_full_name": "team/app"}});
    let reference = format!("{host}/team/app@{digest}");
    for (source, media_type, body) in [
        ("harbor", "application/json", json!({"type": "PUSH_ARTIFACT", "occur_at": 1, "event_data": data})),
        (
            "harbor",
            "application/cloudevents+json",
            json!({"specversion": "1.0", "type": "harbor.artifact.pushed", "data": data}),
        ),
        ("generic", "application/json", json!({"image": reference})),
        ("generic", "application/json", json!([{"image": format!("{host}/team/app:1.0"), "digest": digest}])),
        (
            "cloudevents",
            "application/cloudevents+json",
            json!({"specversion": "1.0", "type": "dev.tidewaiter.image.pushed.v1", "data": {"reference": reference}}),
        ),
    ] {
        let (status, answer) =
            site.post(&format!("/webhooks/{source}"), media_type, body.to_string()).await?;
        assert_eq!(status, StatusCode::ACCEPTED, "{source}: {answer:#}");
        assert_eq!(answer["jobs"][0]["digest"], json!(digest), "{source}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_fails_to_log_in_again_and_again_is_told_to_wait_and_who_is_right_is_not() -> Result<()> {
    let tokens = "[server]\nfailed_logins_per_minute = 3\n[auth.tokens.gate]\ntoken = \"read-token-of-the-tests\"\nscopes = [\"read\"]\n";
    let site = Site::embedded_with(tokens).await?;
    let question = json!({"digests": []}).to_string();
    let ask = async |authorization: &str| {
        site.post_as(authorization, "/v1/verdicts/query", "application/json", question.clone()).await
    };
    for _ in 0..3 {
        assert_eq!(ask("Bearer an-old-token-of-the-tests").await?.0, StatusCode::UNAUTHORIZED);
    }
    let (status, problem) = ask("Bearer an-old-token-of-the-tests").await?;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{problem:#}");
    assert_eq!(problem["type"], "urn:tidewaiter:problem:too-many-failed-logins");
    // From the same address: behind one NAT are many.
    assert_eq!(ask("Bearer read-token-of-the-tests").await?.0, StatusCode::OK);
    let batch = json!({"events": []}).to_string();
    let taken = site.post("/webhooks/distribution", EVENTS, batch.clone()).await?;
    assert_eq!(taken.0, StatusCode::OK, "{:#}", taken.1);
    let refused = site.send_as("Bearer wrong", "/webhooks/distribution", EVENTS, batch).await?;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = refused.headers()["retry-after"].to_str()?.parse()?;
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(site.get("/v1/queue").await?.0, StatusCode::UNAUTHORIZED, "who shows nothing has not failed");
    assert_eq!(site.metric("tidewaiter_failed_logins_total", "limited").await?, 2.0);
    let said = site.front.log().matches("a client fails to log in again and again").count();
    assert_eq!(said, 1, "{}", site.front.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_its_scopes_say_and_nothing_else() -> Result<()> {
    let tokens = "[auth.tokens.gate]\ntoken = \"read-token-of-the-tests\"\nscopes = [\"read\"]\n[auth.tokens.ci]\ntoken = \"push-token-of-the-tests\"\nscopes = [\"push\"]\n";
    let site = Site::embedded_with(tokens).await?;
    let notice = json!({"image": format!("{}/team/app:1", site.registry.host())}).to_string();
    for (authorization, path, expected) in [
        ("Bearer push-token-of-the-tests", "/v1/scans", StatusCode::ACCEPTED),
        ("Bearer push-token-of-the-tests", "/webhooks/generic", StatusCode::ACCEPTED),
        ("Bearer read-token-of-the-tests", "/v1/scans", StatusCode::FORBIDDEN),
        ("Bearer read-token-of-the-tests", "/webhooks/generic", StatusCode::UNAUTHORIZED),
        ("Bearer wrong", "/v1/scans", StatusCode::UNAUTHORIZED),
        ("Basic cmVhZA==", "/v1/scans", StatusCode::UNAUTHORIZED),
    ] {
        let (status, answer) = site.post_as(authorization, path, "application/json", notice.clone()).await?;
        assert_eq!(status, expected, "{authorization} {path}: {answer:#}");
    }
    let question = json!({"digests": []}).to_string();
    let read = site
        .post_as("Bearer read-token-of-the-tests", "/v1/verdicts/query", "application/json", question)
        .await?;
    assert_eq!(read.0, StatusCode::OK);
    assert_eq!(site.get("/v1/queue").await?.0, StatusCode::UNAUTHORIZED);
    assert_eq!(site.get("/readyz").await?.0, StatusCode::OK, "probes need no token");
    Ok(())
}
