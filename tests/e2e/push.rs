//! registry → webhook → RabbitMQ → worker → Redis → verdict, with an api and two workers.

use anyhow::Result;
use reqwest::StatusCode;
use tests::image::{Encoding, HARMLESS, Image, VULNERABLE};
use tests::site::{Site, eventually};

/// How often any worker said that it did this for a digest.
fn times_said(site: &Site, what: &str, digest: &str) -> usize {
    let logs: Vec<String> = site.workers.iter().map(tests::process::Process::log).collect();
    logs.iter()
        .flat_map(|log| log.lines())
        .filter(|line| line.contains(what) && line.contains(digest))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_becomes_a_verdict() -> Result<()> {
    let site = Site::distributed(2).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;

    let verdict = site.verdict(&bad).await?;
    assert_eq!(verdict["outcome"], "fail", "{verdict:#}");
    assert!(verdict["counts"]["high"].as_u64() > Some(0), "{verdict:#}");
    let reason = &verdict["reasons"][0];
    assert!(
        reason["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:pypi/urllib3@1.23")),
        "{reason:#}"
    );
    assert!(reason["fixed_version"].is_string(), "{reason:#}");

    let verdict = site.verdict(&good).await?;
    assert_ne!(verdict["outcome"], "fail", "{verdict:#}");
    assert_eq!(verdict["counts"]["high"], 0);

    let (status, report) = site.get(&format!("/v1/reports/{bad}")).await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(report["subject"]["distribution"]["id"], "debian");
    let packages = report["subject"]["packages"].as_array().unwrap();
    let urllib3 = packages.iter().find(|package| package["package"]["name"] == "urllib3").unwrap();
    assert_eq!(urllib3["introduced_in"], 1, "the second layer brought it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_layer_encoding_is_read() -> Result<()> {
    let site = Site::distributed(1).await?;
    for encoding in [Encoding::Gzip, Encoding::Zstd, Encoding::Plain] {
        let path = "app/node_modules/lodash/package.json";
        let file = br#"{"name":"lodash","version":"4.17.10"}"#.to_vec();
        let image = Image::new().debian().layer_as(encoding, [(path, file)]);
        let digest = site.push(&image, "team/encoded", &format!("{encoding:?}").to_lowercase())?;
        site.verdict(&digest).await?;
        let (_, report) = site.get(&format!("/v1/reports/{digest}")).await?;
        let packages = report["subject"]["packages"].as_array().unwrap();
        assert!(
            packages.iter().any(|package| package["package"]["name"] == "lodash"),
            "{encoding:?}: {report:#}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_judged_by_its_worst_child_and_each_child_by_itself() -> Result<()> {
    let site = Site::distributed(2).await?;
    let good = Image::debian_with_python(HARMLESS).platform("linux", "amd64");
    let bad = Image::debian_with_python(VULNERABLE).platform("linux", "arm64");
    let digest = site.push_index(&[good, bad], "team/multi", "1.0")?;

    let verdict = site.verdict(&digest).await?;
    assert_eq!(verdict["outcome"], "fail", "{verdict:#}");
    assert_eq!(verdict["children"].as_array().map(Vec::len), Some(2));
    assert!(verdict["reasons"][0]["message"].as_str().unwrap().starts_with("linux/arm64: "), "{verdict:#}");

    let (status, amd64) = site.get(&format!("/v1/verdicts/{digest}?platform=linux/amd64")).await?;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(amd64["outcome"], "fail", "{amd64:#}");
    let (status, problem) = site.get(&format!("/v1/verdicts/{digest}?platform=linux/s390x")).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(problem["type"], "urn:tidewaiter:problem:platform-not-found");

    for child in verdict["children"].as_array().unwrap() {
        let child = child["digest"].as_str().unwrap();
        let (status, own) = site.get(&format!("/v1/verdicts/{child}")).await?;
        assert_eq!((status, own["digest"].as_str()), (StatusCode::OK, Some(child)));
        assert_eq!(times_said(&site, "image examined", child), 1, "child {child} was scanned once");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i2_a_second_push_and_a_new_tag_of_a_known_digest_cost_no_second_scan() -> Result<()> {
    let site = Site::distributed(2).await?;
    let image = Image::debian_with_python(VULNERABLE);
    let digest = site.push(&image, "team/again", "1.0")?;
    let first = site.verdict(&digest).await?;

    assert_eq!(site.push(&image, "team/again", "1.0")?, digest);
    assert_eq!(site.push(&image, "team/again", "2.0")?, digest);
    assert_eq!(site.push(&image, "other/name", "latest")?, digest);
    eventually("four jobs done", || async { Ok(times_said(&site, "job done", digest.as_str()) >= 4) })
        .await?;
    assert_eq!(times_said(&site, "image examined", digest.as_str()), 1);
    assert_eq!(site.verdict(&digest).await?["scanned_at"], first["scanned_at"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_on_demand_of_a_tag_resolves_it_once() -> Result<()> {
    let site = Site::distributed(1).await?;
    let digest = site.push(&Image::debian_with_python(VULNERABLE), "team/demand", "1.0")?;
    site.verdict(&digest).await?;
    let body = format!(r#"{{"image":"{}/team/demand:1.0","lane":"urgent"}}"#, site.registry.host());
    let (status, job) = site.post("/v1/scans", "application/json", body).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{job:#}");
    let id = job["id"].as_str().unwrap().to_owned();
    eventually("the tag is resolved", || async { Ok(times_said(&site, "tag resolved", &id) == 1) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn many_digests_are_asked_for_at_once_and_unchanged_verdicts_cost_nothing() -> Result<()> {
    let site = Site::distributed(1).await?;
    let digest = site.push(&Image::debian_with_python(VULNERABLE), "team/many", "1.0")?;
    site.verdict(&digest).await?;
    let unknown = format!("sha256:{}", "0".repeat(64));
    let question = serde_json::json!({"digests": [unknown, digest, unknown]}).to_string();
    let (status, answer) = site.post("/v1/verdicts/query", "application/json", question).await?;
    assert_eq!(status, StatusCode::OK, "{answer:#}");
    let states: Vec<_> =
        answer["verdicts"].as_array().unwrap().iter().map(|row| row["state"].clone()).collect();
    assert_eq!(states, ["unknown", "known", "unknown"]);

    let http = reqwest::Client::new();
    let address = format!("{}/v1/verdicts/{digest}", site.url);
    let first = http.get(&address).send().await?;
    let etag = first.headers()["etag"].clone();
    let second = http.get(&address).header("if-none-match", etag).send().await?;
    assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
    Ok(())
}
