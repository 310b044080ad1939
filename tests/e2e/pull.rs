//! A real nginx in front of the real registry, configured as `deploy/nginx` ships it, and skopeo as the client.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared::model::digest::Digest;
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::process::{Process, free_port, listens, wait_until};
use tests::site::Site;

/// nginx on a port of its own.
struct Door {
    port: u16,
    _process: Process,
}

impl Door {
    /// Starts nginx with the shipped configuration before `registry`, asking `tidewaiter`.
    fn open(folder: &Path, registry: &str, tidewaiter: &str) -> Result<Self> {
        let port = free_port()?;
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nginx/pull-gate.conf");
        let gate = std::fs::read_to_string(shipped)?
            .replace("server registry:5000", &format!("server {registry}"))
            .replace("server tidewaiter:8480", &format!("server {tidewaiter}"))
            .replace("X-Original-Host registry.example.com", &format!("X-Original-Host {registry}"))
            .replace("listen 8443", &format!("listen 127.0.0.1:{port}"));
        let folder = folder.join("nginx");
        std::fs::create_dir_all(&folder)?;
        let place = folder.display();
        let config = format!(
            "daemon off; pid {place}/pid; error_log {place}/error.log; worker_processes 1;\nevents {{}}\nhttp {{\n\
             access_log {place}/access.log; client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;\n\
             fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;\n{gate}\n}}\n"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, config)?;
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&file).arg("-p").arg(&folder).args(["-g", "master_process off;"]);
        let process = Process::start("nginx", &mut command, &folder)?;
        wait_until("nginx", Duration::from_secs(20), || listens(port))?;
        Ok(Self { port, _process: process })
    }

    fn pull(&self, folder: &Path, reference: &str) -> Result<Output> {
        let to = format!("dir:{}", folder.join(format!("pulled-{}", free_port()?)).display());
        let from = format!("docker://127.0.0.1:{}/{reference}", self.port);
        Command::new("skopeo")
            .args(["copy", "--quiet", "--all", "--src-tls-verify=false", &from, &to])
            .output()
            .context("skopeo is missing; run `make test`")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_image_cannot_be_pulled_and_everything_else_can() -> Result<()> {
    let site = Site::embedded().await?;
    let folder = site.folder.path();
    let tidewaiter = site.url.trim_start_matches("http://").to_owned();
    let door = Door::open(folder, &site.registry.host(), &tidewaiter)?;

    // Pushes pass, to an image that nobody has judged yet.
    let layout = site.layout()?;
    let digest = layout.tag(&layout.image(&Image::debian_with_python(VULNERABLE))?, "1.0")?;
    let from = format!("oci:{}:1.0", layout.folder().display());
    let to = format!("docker://127.0.0.1:{}/team/bad:1.0", door.port);
    let pushed = Command::new("skopeo")
        .args(["copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false", &from, &to])
        .output()?;
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;

    for reference in ["team/bad:1.0".to_owned(), format!("team/bad@{digest}")] {
        let pulled = door.pull(folder, &reference)?;
        let said = String::from_utf8_lossy(&pulled.stderr).into_owned();
        assert!(!pulled.status.success(), "{reference} was pulled");
        assert!(said.contains("tidewaiter refuses this pull"), "{said}");
        assert!(said.contains("urllib3"), "the reason is told: {said}");
    }
    for reference in ["team/good:1.0".to_owned(), format!("team/good@{good}")] {
        let pulled = door.pull(folder, &reference)?;
        assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i12_a_tag_that_has_just_moved_is_judged_by_what_it_is_and_that_digest_is_what_comes() -> Result<()> {
    let site = Site::embedded().await?;
    let folder = site.folder.path();
    let door = Door::open(folder, &site.registry.host(), site.url.trim_start_matches("http://"))?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/moving", "1.0")?;
    site.verdict(&good).await?;
    let pulled = door.pull(folder, "team/moving:1.0")?;
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    let log = std::fs::read_to_string(folder.join("registry.log"))?;
    assert!(
        log.contains(&format!("\"GET /v2/team/moving/manifests/{good}")),
        "the registry is asked by digest"
    );
    assert!(!log.contains("\"GET /v2/team/moving/manifests/1.0"), "and never by tag: {log}");

    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/moving", "1.0")?;
    site.verdict(&bad).await?;
    let pulled = door.pull(folder, "team/moving:1.0")?;
    assert!(!pulled.status.success(), "what the tag was a moment ago does not matter");
    assert!(String::from_utf8_lossy(&pulled.stderr).contains("urllib3"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_passes_with_its_children_and_a_chart_passes_too() -> Result<()> {
    let site = Site::embedded().await?;
    let folder = site.folder.path();
    let door = Door::open(folder, &site.registry.host(), site.url.trim_start_matches("http://"))?;
    let images = ["amd64", "arm64"].map(|arch| Image::debian_with_python(HARMLESS).platform("linux", arch));
    site.push_index(&images, "team/multi", "1.0")?;
    let pulled = door.pull(folder, "team/multi:1.0")?;
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));

    // A chart: blobs and a manifest whose config is none of an image, put there through the door as helm does.
    let http = reqwest::Client::new();
    let base = format!("http://127.0.0.1:{}/v2/team/chart", door.port);
    let (config, content) = (b"{}".to_vec(), b"a chart".to_vec());
    for blob in [&config, &content] {
        let started =
            http.post(format!("{base}/blobs/uploads/")).header("content-length", "0").send().await?;
        let place = started.headers()["location"].to_str()?.to_owned();
        let place = reqwest::Url::parse(&base)?.join(&place)?;
        let put = http.put(place).query(&[("digest", Digest::of(blob).to_string())]).body(blob.clone());
        assert_eq!(put.send().await?.status(), StatusCode::CREATED);
    }
    let part = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()});
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": part("application/vnd.cncf.helm.config.v1+json", &config),
        "layers": [part("application/vnd.cncf.helm.chart.content.v1.tar+gzip", &content)],
    });
    let put = http.put(format!("{base}/manifests/1.0")).header("content-type", media_type);
    assert_eq!(put.body(manifest.to_string()).send().await?.status(), StatusCode::CREATED);
    let got = http.get(format!("{base}/manifests/1.0")).header("accept", media_type).send().await?;
    assert_eq!(got.status(), StatusCode::OK, "{}", got.text().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_no_disguise_and_no_foreign_header_opens_the_door() -> Result<()> {
    let site = Site::embedded().await?;
    let folder = site.folder.path();
    let door = Door::open(folder, &site.registry.host(), site.url.trim_start_matches("http://"))?;
    site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let base = format!("http://127.0.0.1:{}", door.port);
    for path in ["team/bad/manifests/1.0", "team/bad/%6Danifests/1.0", "team/bad/manifests/1.0?x=/blobs/"] {
        let answer = http
            .get(format!("{base}/v2/{path}"))
            .header("x-forwarded-uri", "/v2/")
            .header("x-original-uri", "/v2/")
            .header("x-original-method", "PUT")
            .send()
            .await?;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
        let envelope: Value = answer.json().await?;
        assert_eq!(envelope["errors"][0]["code"], "DENIED", "{path}: {envelope}");
    }
    let (status, _) = site.get("/gates/pull").await?;
    assert_eq!(status, StatusCode::FORBIDDEN, "a proxy that names no request opens nothing");
    Ok(())
}
