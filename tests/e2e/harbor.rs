//! Harbor's way through its scanner adapter, as Harbor's own client goes it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use shared::model::digest::Digest;
use tests::image::{Image, VULNERABLE};
use tests::process::{Process, free_port, listens, wait_until};
use tests::site::Site;

const TOKEN: &str = "token-of-harbor-in-the-tests";
const TOKENS: &str =
    "[auth.tokens.harbor]\ntoken = \"token-of-harbor-in-the-tests\"\nscopes = [\"read\", \"push\"]\n";
/// `robot$x` and `s3cret-of-the-robot`, as Harbor sends them, and as htpasswd keeps them (bcrypt).
const ROBOT: &str = "robot$x:s3cret-of-the-robot";
const AUTHORIZATION: &str = "Basic cm9ib3QkeDpzM2NyZXQtb2YtdGhlLXJvYm90";
const HTPASSWD: &str = "robot$x:$2b$05$PkGZKJeZrrH92qGmz31Jbe5U3kZXLtsHD7OYRxgq5/ZYHHDqg5zci\n";
const VULNERABILITIES: &str = "application/vnd.security.vulnerability.report; version=1.1";
const SBOM: &str = "application/vnd.security.sbom.report+json; version=1.0";

struct Harbor {
    http: reqwest::Client,
    base: String,
}

impl Harbor {
    fn of(site: &Site) -> Result<Self> {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Self { http, base: format!("{}/harbor/api/v1", site.url) })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).basic_auth("harbor", Some(TOKEN))
    }

    async fn scan(&self, registry: &str, repository: &str, digest: &Digest) -> Result<(StatusCode, Value)> {
        let body = json!({
            "registry": {"url": format!("http://{registry}"), "authorization": AUTHORIZATION, "insecure": false},
            "artifact": {"namespace_id": 2, "repository": repository, "tag": "", "digest": digest,
                "mime_type": "application/vnd.oci.image.manifest.v1+json", "size": 2216},
            "enabled_capabilities": [{"type": "vulnerability", "produces_mime_types": [VULNERABILITIES], "parameters": null}],
        });
        let answer = self
            .request(Method::POST, "/scan")
            .header("content-type", "application/vnd.scanner.adapter.scan.request+json; version=1.0")
            .body(body.to_string())
            .send()
            .await?;
        Ok((answer.status(), answer.json().await?))
    }

    /// Polls as Harbor does, until the answer is no redirect.
    async fn report(&self, id: &str, accept: &str, query: &str) -> Result<(StatusCode, Value)> {
        for _ in 0..60 {
            let request = self.request(Method::GET, &format!("/scan/{id}/report{query}"));
            let answer = request.header("accept", accept).send().await?;
            if answer.status() != StatusCode::FOUND {
                return Ok((answer.status(), answer.json().await?));
            }
            let seconds: u8 = answer.headers()["refresh-after"].to_str()?.parse()?;
            assert!((1..=127).contains(&seconds), "{seconds}");
            // As often as a test can: Harbor itself would wait that long.
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        bail!("no report within a quarter of a minute")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_from_registration_to_report_and_sbom() -> Result<()> {
    let site = Site::embedded_with(TOKENS).await?;
    let harbor = Harbor::of(&site)?;
    let digest = site.push(&Image::debian_with_python(VULNERABLE), "library/bad", "1.0")?;

    let unknown = harbor.http.get(format!("{}/metadata", harbor.base)).send().await?;
    assert_eq!(unknown.status(), StatusCode::UNAUTHORIZED);
    assert!(unknown.json::<Value>().await?["error"]["message"].is_string());
    let by_key =
        harbor.http.get(format!("{}/metadata", harbor.base)).header("x-scanneradapter-api-key", TOKEN);
    assert_eq!(by_key.send().await?.status(), StatusCode::OK);
    let metadata = harbor.request(Method::GET, "/metadata").send().await?;
    assert_eq!(
        metadata.headers()["content-type"],
        "application/vnd.scanner.adapter.metadata+json; version=1.0"
    );
    assert_eq!(metadata.json::<Value>().await?["scanner"]["name"], "Tidewaiter");

    let (status, accepted) = harbor.scan(&site.registry.host(), "library/bad", &digest).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    let id = accepted["id"].as_str().context("no id")?;
    let (status, report) = harbor.report(id, VULNERABILITIES, "").await?;
    assert_eq!(status, StatusCode::OK, "{report:#}");
    assert_eq!(report["artifact"]["digest"], digest.as_str());
    assert_eq!(report["artifact"]["repository"], "library/bad");
    let rows = report["vulnerabilities"].as_array().context("no rows")?;
    let found = rows.iter().find(|row| row["package"] == "urllib3").context("urllib3 is not in it")?;
    assert!(found["links"][0].as_str().is_some_and(|link| link.starts_with("https://")), "{found}");
    for row in rows {
        let severity = row["severity"].as_str().unwrap_or_default();
        assert!(["Unknown", "Negligible", "Low", "Medium", "High", "Critical"].contains(&severity), "{row}");
    }

    let (status, sbom) = harbor.report(id, SBOM, "?sbom_media_type=application%2Fspdx%2Bjson").await?;
    assert_eq!((status, sbom["sbom"]["spdxVersion"].as_str()), (StatusCode::OK, Some("SPDX-2.3")));

    let (status, _) = harbor.report("3fa85f64-5717-4562-b3fc-2c963f66afa6", VULNERABILITIES, "").await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, refused) = harbor.scan("other.example", "library/bad", &digest).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "I8: {refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_an_image_that_is_gone_is_an_error_and_no_clean_report() -> Result<()> {
    let site = Site::embedded_with(TOKENS).await?;
    let harbor = Harbor::of(&site)?;
    let digest = Digest::of(b"no such manifest");
    let (_, accepted) = harbor.scan(&site.registry.host(), "library/ghost", &digest).await?;
    let id = accepted["id"].as_str().context("no id")?;
    let (status, told) = harbor.report(id, VULNERABILITIES, "").await?;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{told}");
    assert!(
        told["error"]["message"].as_str().is_some_and(|text| text.contains("could not be examined")),
        "{told}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i8_a_registry_without_credentials_is_pulled_from_with_those_that_harbor_lends() -> Result<()> {
    let port = free_port()?;
    let registry = format!("127.0.0.1:{port}");
    let site = Site::embedded_with(&format!(
        "{TOKENS}[registries.locked]\nhost = \"{registry}\"\nplain_http = true\n"
    ))
    .await?;
    let _locked = locked_registry(site.folder.path(), port)?;
    let digest = push(&site, &registry)?;
    let harbor = Harbor::of(&site)?;
    let (status, accepted) = harbor.scan(&registry, "library/bad", &digest).await?;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    let id = accepted["id"].as_str().context("no id")?;
    let (status, report) = harbor.report(id, VULNERABILITIES, "").await?;
    assert_eq!(status, StatusCode::OK, "{report:#}");
    assert!(report["vulnerabilities"].to_string().contains("urllib3"), "{report:#}");

    // Neither the logs nor anything at rest has the secret.
    let secrets = [b"s3cret-of-the-robot".as_slice(), b"cm9ib3QkeDpz"];
    let mut texts = vec![site.front.log().into_bytes()];
    for entry in std::fs::read_dir(site.folder.path().join("data"))? {
        texts.push(std::fs::read(entry?.path())?);
    }
    for (text, secret) in texts.iter().flat_map(|text| secrets.iter().map(move |secret| (text, secret))) {
        assert!(!text.windows(secret.len()).any(|window| window == *secret));
    }
    Ok(())
}

/// A registry that nobody may read but the robot.
fn locked_registry(folder: &Path, port: u16) -> Result<Process> {
    let folder = folder.join("locked");
    std::fs::create_dir_all(folder.join("storage"))?;
    std::fs::write(folder.join("htpasswd"), HTPASSWD)?;
    let place = folder.display();
    let config = format!(
        "version: 0.1\nlog: {{level: warn}}\nstorage:\n  filesystem: {{rootdirectory: {place}/storage}}\n\
         http: {{addr: \"127.0.0.1:{port}\"}}\nauth:\n  htpasswd: {{realm: locked, path: {place}/htpasswd}}\n"
    );
    std::fs::write(folder.join("registry.yml"), config)?;
    let mut command = Command::new("docker-registry");
    let process = Process::start("locked", command.arg("serve").arg(folder.join("registry.yml")), &folder)?;
    wait_until("locked registry", Duration::from_secs(20), || listens(port))?;
    Ok(process)
}

fn push(site: &Site, registry: &str) -> Result<Digest> {
    let layout = site.layout()?;
    let digest = layout.tag(&layout.image(&Image::debian_with_python(VULNERABLE))?, "1.0")?;
    let from = format!("oci:{}:1.0", layout.folder().display());
    let to = format!("docker://{registry}/library/bad:1.0");
    let pushed = Command::new("skopeo")
        .args([
            "copy",
            "--quiet",
            "--preserve-digests",
            "--dest-tls-verify=false",
            "--dest-creds",
            ROBOT,
            &from,
            &to,
        ])
        .output()?;
    if !pushed.status.success() {
        bail!("skopeo: {}", String::from_utf8_lossy(&pushed.stderr));
    }
    Ok(digest)
}
