//! Pushes that nobody announced: found, judged, and found only once, whoever is killed and whatever the registry says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::model::digest::Digest;
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::site::{Site, eventually};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// `tidewaiter sweep … --wait --json`: exit code and what came out.
fn swept(site: &Site, target: &str) -> Result<(Option<i32>, Value)> {
    let done = site.run(&["sweep", target, "--wait", "--json", "--server", &site.url])?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    Ok((done.status.code(), serde_json::from_slice(&done.stdout).with_context(|| said)?))
}

fn harmless(marker: &str) -> Image {
    Image::debian_with_python(HARMLESS).layer([("marker", marker)])
}

#[tokio::test(flavor = "multi_thread")]
async fn images_that_no_webhook_announced_are_found_judged_and_found_only_once() -> Result<()> {
    let site = Site::unannounced("").await?;
    let bad = Image::debian_with_python(VULNERABLE);
    let digest = site.push(&bad, "team/bad", "1.0")?;
    site.push(&bad, "team/bad", "latest")?;
    let artifact = format!("sha256-{}.sig", digest.encoded());
    site.push(&harmless("signature"), "team/bad", &artifact)?;
    let good = harmless("index").platform("linux", "amd64");
    let index = site.push_index(&[good, bad.clone().platform("linux", "arm64")], "deep/er/index", "1.0")?;
    assert_eq!(site.get(&format!("/v1/verdicts/{digest}")).await?.0, StatusCode::NOT_FOUND);

    let (code, first) = swept(&site, "main")?;
    assert_eq!(
        (code, &first["state"], &first["errors"]),
        (Some(0), &json!("finished"), &json!([])),
        "{first:#}"
    );
    let sum = |progress: &Value| {
        ["repositories_seen", "repositories_done", "tags", "enqueued", "known", "skipped"]
            .map(|key| progress[key].as_u64().unwrap_or(u64::MAX))
    };
    assert_eq!(sum(&first), [2, 2, 4, 2, 1, 1], "{first:#}");
    assert_eq!(site.verdict(&digest).await?["outcome"], "fail");
    assert_eq!(site.verdict(&index).await?["outcome"], "fail");

    let (code, second) = swept(&site, &site.registry.host())?;
    assert_eq!(
        (code, sum(&second)),
        (Some(0), [2, 2, 4, 0, 3, 1]),
        "a second sweep enqueues nothing: {second:#}"
    );
    let (_, listed) = site.get("/v1/sweeps").await?;
    let ids: Vec<&Value> = listed["sweeps"].as_array().unwrap().iter().map(|sweep| &sweep["id"]).collect();
    assert_eq!(ids, [&second["id"], &first["id"]], "newest first");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_repository_is_swept_alone_and_what_is_not_there_is_said() -> Result<()> {
    let site = Site::unannounced("").await?;
    let wanted = site.push(&harmless("wanted"), "team/wanted", "1.0")?;
    let other = site.push(&harmless("other"), "team/other", "1.0")?;
    let (code, progress) = swept(&site, "main/team/wanted")?;
    assert_eq!((code, &progress["enqueued"]), (Some(0), &json!(1)), "{progress:#}");
    site.verdict(&wanted).await?;
    assert_eq!(site.get(&format!("/v1/verdicts/{other}")).await?.0, StatusCode::NOT_FOUND);

    let (code, progress) = swept(&site, "main/team/missing")?;
    assert_eq!(code, Some(1));
    let reason = progress["errors"][0]["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("does not exist") && progress["errors"][0]["repository"] == "team/missing",
        "{progress:#}"
    );
    for (target, expected) in [("elsewhere", "there is main"), ("main/NOT", "not a repository")] {
        let done = site.run(&["sweep", target, "--server", &site.url])?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i2_a_worker_killed_in_the_middle_of_a_sweep_loses_no_image() -> Result<()> {
    let extra = "sweep_rate = 4.0\n[worker]\nlease = \"3s\"\nconcurrency = 1\n";
    let mut site = Site::distributed_unannounced(1, extra).await?;
    let mut digests = Vec::new();
    for number in 0..12 {
        let image = harmless(&number.to_string());
        digests.push(site.push(&image, &format!("team/app-{}", number % 4), &format!("v{number}"))?);
    }
    let body = json!({"registry": "main"}).to_string();
    let (status, begun) = site.post("/v1/sweeps", "application/json", body.clone()).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun:#}");
    let (_, again) = site.post("/v1/sweeps", "application/json", body).await?;
    assert_eq!(again["id"], begun["id"], "one of the whole registry at a time");
    let path = format!("/v1/sweeps/{}", begun["id"].as_str().unwrap());
    let progress = || async { Ok::<Value, anyhow::Error>(site.get(&path).await?.1) };
    eventually("the sweep is in the middle", || async { Ok(progress().await?["repositories_done"] == 1) })
        .await?;
    site.workers[0].kill();
    let (_, interrupted) = site.get(&path).await?;
    assert_eq!(interrupted["state"], "running", "it was killed too late to prove anything: {interrupted:#}");
    site.add_worker()?;
    eventually("the sweep is finished", || async { Ok(site.get(&path).await?.1["state"] == "finished") })
        .await?;
    for digest in &digests {
        site.verdict(digest).await?;
    }
    let (_, finished) = site.get(&path).await?;
    assert_eq!(
        (&finished["repositories_done"], &finished["tags"], &finished["errors"]),
        (&json!(4), &json!(12), &json!([])),
        "what was repeated is not counted twice: {finished:#}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_was_never_swept_is_swept_soon_and_without_being_asked() -> Result<()> {
    let site = Site::unannounced("sweep_every = \"10s\"\n").await?;
    let digest = site.push(&harmless("unannounced"), "team/app", "1.0")?;
    eventually("a sweep found it", || async {
        Ok(site.get(&format!("/v1/verdicts/{digest}")).await?.0 == StatusCode::OK)
    })
    .await?;
    let (_, listed) = site.get("/v1/sweeps").await?;
    assert_eq!(listed["sweeps"][0]["trigger"], "schedule", "{listed:#}");
    Ok(())
}

/// A registry that answers the requests that it hears by number and path.
async fn registry(
    answer: impl Fn(usize, &str) -> (u16, &'static str, String) + Send + Sync + 'static,
) -> Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let host = listener.local_addr()?.to_string();
    let (answer, heard) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, heard) = (Arc::clone(&answer), Arc::clone(&heard));
            tokio::spawn(async move {
                let (mut stream, mut line, mut path) = (BufReader::new(stream), String::new(), String::new());
                while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
                    if path.is_empty() {
                        path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                    }
                    line.clear();
                }
                let (status, header, body) = answer(heard.fetch_add(1, Ordering::SeqCst), &path);
                let length = body.len();
                let text = format!(
                    "HTTP/1.1 {status} So\r\nconnection: close\r\n{header}content-length: {length}\r\n\r\n{body}"
                );
                let _ = stream.write_all(text.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    Ok(host)
}

fn also(host: &str) -> String {
    format!("[registries.odd]\nhost = \"{host}\"\nplain_http = true\nretries = 0\nsweep_every = \"off\"\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_catalogue_says_what_to_write_into_the_configuration() -> Result<()> {
    let host = registry(|_, _| (404, "", "not here".to_owned())).await?;
    let site = Site::unannounced(&also(&host)).await?;
    let (code, progress) = swept(&site, "odd")?;
    assert_eq!(code, Some(1));
    let reason = progress["errors"][0]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("registries.<name>.repositories = ["), "{progress:#}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_busy_is_left_alone_as_long_as_it_asks_and_the_sweep_goes_on() -> Result<()> {
    let host = registry(|number, path| {
        let digest = Digest::of(b"unscannable");
        match path.split('?').next().unwrap_or_default() {
            "/v2/_catalog" if number == 0 => (429, "retry-after: 2\r\n", String::new()),
            "/v2/_catalog" => (200, "", json!({"repositories": ["team/app"]}).to_string()),
            "/v2/team/app/tags/list" => (200, "", json!({"tags": ["v1"]}).to_string()),
            "/v2/team/app/manifests/v1" => (200, leaked(&digest), String::new()),
            _ => (404, "", String::new()),
        }
    })
    .await?;
    let site = Site::unannounced(&also(&host)).await?;
    let began = std::time::Instant::now();
    let (code, progress) = swept(&site, "odd")?;
    assert_eq!((code, &progress["enqueued"]), (Some(0), &json!(1)), "{progress:#}");
    assert!(began.elapsed() >= std::time::Duration::from_secs(2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_is_left_alone_for_longer_each_time_and_people_are_told_why() -> Result<()> {
    let host = format!("127.0.0.1:{}", tests::process::free_port()?);
    let site = Site::unannounced(&also(&host)).await?;
    let body = json!({"registry": "odd"}).to_string();
    let (status, begun) = site.post("/v1/sweeps", "application/json", body).await?;
    assert_eq!(status, reqwest::StatusCode::ACCEPTED, "{begun:#}");
    let path = format!("/v1/sweeps/{}", begun["id"].as_str().context("an id")?);
    eventually("three rests", || async { Ok(site.get(&path).await?.1["step"].as_u64() >= Some(3)) }).await?;
    let progress = site.get(&path).await?.1;
    assert_eq!(progress["state"], "resting", "{progress:#}");
    let because = progress["because"].as_str().unwrap_or_default();
    assert!(because.contains(&host) && because.contains("refused"), "{progress:#}");
    let (_, queue) = site.get("/v1/queue").await?;
    assert_eq!(queue["dead"], 0, "waiting is no failure: {queue:#}");
    Ok(())
}

fn leaked(digest: &Digest) -> &'static str {
    Box::leak(format!("docker-content-digest: {digest}\r\n").into_boxed_str())
}
