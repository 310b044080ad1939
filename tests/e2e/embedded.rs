//! The same way on the embedded default, in one process.

use anyhow::Result;
use reqwest::StatusCode;
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::site::{Site, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn serve_alone_is_the_whole_product() -> Result<()> {
    let site = Site::embedded().await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    assert_eq!(site.verdict(&bad).await?["outcome"], "fail");
    assert_ne!(site.verdict(&good).await?["outcome"], "fail");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i2_a_second_push_costs_no_second_scan() -> Result<()> {
    let site = Site::embedded().await?;
    let image = Image::debian_with_python(VULNERABLE);
    let digest = site.push(&image, "team/again", "1.0")?;
    site.verdict(&digest).await?;
    site.push(&image, "team/again", "1.0")?;
    site.push(&image, "team/again", "2.0")?;
    eventually("three jobs done", || async {
        Ok(site.metric("tidewaiter_jobs_total", "done").await? >= 3.0)
    })
    .await?;
    assert_eq!(site.metric("tidewaiter_scans_total", "work=\"scan\"").await?, 1.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_two_platforms() -> Result<()> {
    let site = Site::embedded().await?;
    let good = Image::debian_with_python(HARMLESS).platform("linux", "amd64");
    let bad = Image::debian_with_python(VULNERABLE).platform("linux", "arm64");
    let digest = site.push_index(&[good, bad], "team/multi", "1.0")?;
    let verdict = site.verdict(&digest).await?;
    assert_eq!(verdict["outcome"], "fail", "{verdict:#}");
    assert_eq!(
        site.metric("tidewaiter_scans_total", "work=\"scan\"").await?,
        3.0,
        "the index and two children"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_waits_is_answered_when_the_verdict_is_written() -> Result<()> {
    let site = Site::embedded().await?;
    let layout = site.layout()?;
    let descriptor = layout.image(&Image::debian_with_python(VULNERABLE))?;
    let digest = layout.tag(&descriptor, "1.0")?;
    let path = format!("/v1/verdicts/{digest}?wait=30s");
    let waiting = async { site.get(&path).await };
    let pushing = async {
        let image = Image::debian_with_python(VULNERABLE);
        tokio::task::block_in_place(|| site.push(&image, "team/late", "1.0"))
    };
    let (answer, pushed) = tokio::join!(waiting, pushing);
    assert_eq!(pushed?, digest);
    let (status, verdict) = answer?;
    assert_eq!((status, &verdict["outcome"]), (StatusCode::OK, &serde_json::json!("fail")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn health_metrics_and_the_generated_document_are_there() -> Result<()> {
    let site = Site::embedded().await?;
    assert_eq!(site.get("/healthz").await?.0, StatusCode::OK);
    let (status, ready) = site.get("/readyz").await?;
    assert_eq!((status, &ready["queue"], &ready["store"]), (StatusCode::OK, &"ok".into(), &"ok".into()));
    let (status, document) = site.get("/openapi.json").await?;
    assert_eq!(status, StatusCode::OK);
    for path in [
        "/v1/verdicts/{digest}",
        "/v1/verdicts/query",
        "/v1/verdicts/{digest}/history",
        "/v1/policies/{name}/simulate",
        "/v1/reports/{digest}",
        "/v1/scans",
        "/webhooks/{source}",
    ] {
        assert!(document["paths"][path].is_object(), "{path} is not documented");
    }
    let wrong = site.send("/healthz", "application/json", "{}").await?;
    assert_eq!(
        (wrong.status(), &wrong.headers()["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"GET".parse()?)
    );
    assert_eq!(wrong.headers()["content-type"], "application/problem+json");
    let (status, queue) = site.get("/v1/queue").await?;
    assert_eq!((status, queue["lanes"].as_array().map(Vec::len)), (StatusCode::OK, Some(3)));
    Ok(())
}
