//! SBOMs that are attached to images in the real registry: claims that add, whenever they come, and take nothing away.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use shared::attest::artifact::{EMPTY, EMPTY_TYPE, described};
use shared::attest::tag::{self, Suffix};
use shared::model::digest::Digest;
use shared::model::document::Descriptor;
use shared::model::image::ImageName;
use shared::registry::{RegistryClient, RegistryConfig, Transport};
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::site::{Site, eventually};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// One repository of a site's registry, for what skopeo does not push.
struct Shelf {
    client: RegistryClient,
    name: ImageName,
}

impl Shelf {
    fn of(site: &Site, repository: &str) -> Result<Self> {
        let mut registry = RegistryConfig::new(site.registry.host().parse()?);
        registry.transport = Transport::PlainHttp;
        let name = format!("{}/{repository}", site.registry.host()).parse()?;
        Ok(Self { client: RegistryClient::new(vec![registry])?, name })
    }

    /// Pushes a manifest of these layers, under its digest or a tag.
    async fn artifact(
        &self,
        mut manifest: Value,
        layers: &[(&str, String)],
        tag: Option<Suffix>,
        of: &Digest,
    ) -> Result<(Vec<u8>, Descriptor)> {
        let mut described_layers = Vec::new();
        for (media_type, content) in layers {
            self.client.push_blob(&self.name, content.as_bytes()).await?;
            described_layers.push(described(media_type, content.as_bytes(), Default::default()));
        }
        self.client.push_blob(&self.name, EMPTY).await?;
        manifest["schemaVersion"] = json!(2);
        manifest["mediaType"] = json!(MANIFEST);
        manifest["layers"] = json!(described_layers);
        let bytes = manifest.to_string().into_bytes();
        let tag = tag.map(|suffix| tag::of(of, suffix));
        if let Some(tag) = &tag {
            self.client.push_manifest(&self.name, Some(tag), MANIFEST, &bytes).await?;
        }
        let descriptor = described(MANIFEST, &bytes, Default::default());
        Ok((bytes, descriptor))
    }

    /// Attaches a document as a referrer.
    async fn attach(&self, subject: &Digest, artifact_type: &str, layers: &[(&str, String)]) -> Result<()> {
        let manifest = json!({
            "artifactType": artifact_type,
            "config": described(EMPTY_TYPE, EMPTY, Default::default()),
            "subject": {"mediaType": MANIFEST, "digest": subject, "size": 2},
        });
        let (bytes, mut descriptor) = self.artifact(manifest, layers, None, subject).await?;
        descriptor.artifact_type = Some(artifact_type.to_owned());
        self.client.attach(&self.name, subject, &bytes, &descriptor, &[]).await?;
        Ok(())
    }
}

/// A document that claims one package of Python.
fn cyclonedx((name, version): (&str, &str)) -> String {
    let component = json!({"type": "library", "name": name, "purl": format!("pkg:pypi/{name}@{version}")});
    json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [component]}).to_string()
}

/// The same in SPDX and in a statement about `subject`, as BuildKit writes it.
fn statement((name, version): (&str, &str), subject: &Digest) -> String {
    let reference =
        json!({"referenceType": "purl", "referenceLocator": format!("pkg:pypi/{name}@{version}")});
    let package = json!({"SPDXID": "SPDXRef-Package", "name": name, "externalRefs": [reference]});
    json!({
        "_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document",
        "subject": [{"name": "pkg:docker/app", "digest": {"sha256": subject.encoded()}}],
        "predicate": {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "packages": [package]},
    })
    .to_string()
}

async fn report(site: &Site, digest: &Digest) -> Result<Value> {
    Ok(site.get(&format!("/v1/reports/{digest}")).await?.1)
}

/// Waits until a verdict is `outcome`.
async fn becomes(site: &Site, digest: &Digest, outcome: &str) -> Result<()> {
    eventually(&format!("{digest} becomes {outcome}"), || async {
        let (_, verdict) = site.get(&format!("/v1/verdicts/{digest}")).await?;
        Ok(verdict["outcome"] == outcome)
    })
    .await
}

fn confidences(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    findings.iter().filter_map(|finding| finding["confidence"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sbom_that_is_attached_later_adds_findings_and_one_without_them_takes_none_away() -> Result<()> {
    let site = Site::embedded().await?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    assert_ne!(site.verdict(&good).await?["outcome"], "fail");
    let shelf = Shelf::of(&site, "team/good")?;
    let document = cyclonedx(VULNERABLE);
    let layer = Digest::of(document.as_bytes());
    // As ORAS attaches a file: the layer keeps the type of a tar.
    let layers = [("application/vnd.oci.image.layer.v1.tar", document)];
    shelf.attach(&good, "application/vnd.cyclonedx+json", &layers).await?;
    becomes(&site, &good, "fail").await?;
    let found = report(&site, &good).await?;
    assert_eq!(found["sboms"], json!([{"digest": layer, "packages": 1, "claimed": 1}]));
    assert!(!confidences(&found).is_empty(), "{found:#}");
    assert!(confidences(&found).iter().all(|confidence| *confidence == "declared-by-sbom"));
    let packages = found["subject"]["packages"].as_array().context("no packages")?;
    let claimed: Vec<_> =
        packages.iter().filter(|package| package["package"]["evidence"] == "claimed").collect();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0]["path"], format!("attached:{layer}"));

    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let before = site.verdict(&bad).await?;
    assert_eq!(before["outcome"], "fail");
    let shelf = Shelf::of(&site, "team/bad")?;
    let nothing = r#"{"spdxVersion":"SPDX-2.3","packages":[]}"#.to_owned();
    shelf.attach(&bad, "application/spdx+json", &[("application/spdx+json", nothing)]).await?;
    let broken = ("application/spdx+json", "{".to_owned());
    shelf.attach(&bad, "application/spdx+json", std::slice::from_ref(&broken)).await?;
    eventually("both are noted", || async {
        let found = report(&site, &bad).await?;
        let problems = found["problems"].as_array().context("no problems")?;
        let path = format!("attached:{}", Digest::of(broken.1.as_bytes()));
        let is_told = |problem: &Value| problem["kind"] == "sbom-unreadable" && problem["path"] == path;
        Ok(found["sboms"].as_array().is_some_and(|sboms| sboms.len() == 1) && problems.iter().any(is_told))
    })
    .await?;
    let after = site.verdict(&bad).await?;
    assert_eq!((&after["outcome"], &after["counts"]), (&before["outcome"], &before["counts"]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_attached_before_the_scan_is_in_the_first_report_also_on_the_command_line() -> Result<()> {
    let site = Site::unannounced("").await?;
    let digest = site.push(&Image::debian_with_python(HARMLESS), "team/app", "1.0")?;
    let shelf = Shelf::of(&site, "team/app")?;
    let layers = [(IN_TOTO, statement(VULNERABLE, &digest))];
    shelf.attach(&digest, IN_TOTO, &layers).await?;
    // cosign's tag besides, with what nobody knows.
    let config = json!({"config": described(EMPTY_TYPE, EMPTY, Default::default())});
    let layers = [("text/spdx", "SPDXVersion: SPDX-2.3\nPackageName: bare\n".to_owned())];
    shelf.artifact(config, &layers, Some(Suffix::Sbom), &digest).await?;
    let name = site.name("team/app", &digest);
    let body = json!({"image": name, "lane": "urgent"}).to_string();
    site.post("/v1/scans", "application/json", body).await?;
    assert_eq!(site.verdict(&digest).await?["outcome"], "fail");
    let found = report(&site, &digest).await?;
    assert_eq!(found["sboms"].as_array().map(Vec::len), Some(2), "{found:#}");
    let gap = |problem: &Value| {
        problem["kind"] == "partial-coverage"
            && problem["detail"].as_str().is_some_and(|detail| detail.contains("without a purl (bare)"))
    };
    assert!(found["problems"].as_array().is_some_and(|problems| problems.iter().any(gap)), "{found:#}");

    let scanned = site.run(&["scan", &name, "--plain-http", "--format", "json"])?;
    let scanned: Value = serde_json::from_slice(&scanned.stdout)?;
    assert_eq!(scanned["sboms"], found["sboms"]);
    assert_eq!(confidences(&scanned), confidences(&found));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn buildkit_s_attestation_in_an_index_counts_for_its_image_and_a_later_one_for_the_index_too()
-> Result<()> {
    let site = Site::embedded().await?;
    let shelf = Shelf::of(&site, "team/app")?;
    let attested = site.push(&Image::debian_with_python(HARMLESS), "team/app", "amd64")?;
    let other =
        site.push(&Image::debian_with_python(HARMLESS).platform("linux", "arm64"), "team/app", "arm64")?;
    for digest in [&attested, &other] {
        assert_ne!(site.verdict(digest).await?["outcome"], "fail");
    }
    let config =
        br#"{"architecture":"unknown","os":"unknown","config":{},"rootfs":{"type":"layers","diff_ids":[]}}"#;
    shelf.client.push_blob(&shelf.name, config).await?;
    let config = described("application/vnd.oci.image.config.v1+json", config, Default::default());
    let elsewhere = statement(VULNERABLE, &Digest::of(b"another image"));
    let layers = [(IN_TOTO, statement(VULNERABLE, &attested)), (IN_TOTO, elsewhere)];
    let (bytes, mut attestation) =
        shelf.artifact(json!({"config": config}), &layers, None, &attested).await?;
    shelf.client.push_manifest(&shelf.name, None, MANIFEST, &bytes).await?;
    attestation.annotations = [
        ("vnd.docker.reference.type".to_owned(), "attestation-manifest".to_owned()),
        ("vnd.docker.reference.digest".to_owned(), attested.to_string()),
    ]
    .into();
    let mut attestation = serde_json::to_value(&attestation)?;
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    let child = |digest: &Digest, architecture| json!({"mediaType": MANIFEST, "digest": digest, "size": 1, "platform": {"os": "linux", "architecture": architecture}});
    let push_index = async |children: Value| -> Result<Digest> {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).to_string();
        shelf.client.push_manifest(&shelf.name, None, INDEX, index.as_bytes()).await?;
        Ok(Digest::of(index.as_bytes()))
    };
    // An index without attestations first: it passes, and notes whose verdicts it hangs on.
    let plain = push_index(json!([child(&other, "arm64")])).await?;
    assert_ne!(site.verdict(&plain).await?["outcome"], "fail");
    let index = push_index(json!([child(&attested, "amd64"), child(&other, "arm64"), attestation])).await?;
    assert_eq!(site.verdict(&index).await?["outcome"], "fail");
    becomes(&site, &attested, "fail").await?;
    let found = report(&site, &attested).await?;
    assert_eq!(found["sboms"].as_array().map(Vec::len), Some(1));
    let refused = |problem: &Value| {
        problem["kind"] == "sbom-unreadable"
            && problem["detail"].as_str().is_some_and(|detail| detail.contains("another digest"))
    };
    assert!(found["problems"].as_array().is_some_and(|problems| problems.iter().any(refused)), "{found:#}");
    assert_ne!(site.verdict(&other).await?["outcome"], "fail", "it is about the other image");

    let config = json!({"config": described(EMPTY_TYPE, EMPTY, Default::default())});
    let layers = [("application/vnd.cyclonedx+json", cyclonedx(VULNERABLE))];
    shelf.artifact(config, &layers, Some(Suffix::Sbom), &other).await?;
    becomes(&site, &other, "fail").await?;
    becomes(&site, &plain, "fail").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vex_document_takes_no_finding_away_and_the_report_says_that_it_was_not_used() -> Result<()> {
    let site = Site::embedded().await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let before = site.verdict(&bad).await?;
    assert_eq!(before["outcome"], "fail");
    let shelf = Shelf::of(&site, "team/bad")?;
    let found = report(&site, &bad).await?;
    let flaw = found["findings"][0]["advisory"].clone();
    let document = json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.com/vex/1", "author": "whoever can push",
        "timestamp": "2026-01-01T00:00:00Z", "version": 1,
        "statements": [{
            "vulnerability": {"name": flaw}, "products": [{"@id": format!("pkg:oci/bad@{bad}")}],
            "status": "not_affected", "justification": "vulnerable_code_not_present",
        }],
    });
    let layers = [("application/openvex+json", document.to_string())];
    shelf.attach(&bad, "application/openvex+json", &layers).await?;
    eventually("the document is told of", || async {
        let found = report(&site, &bad).await?;
        let problems = found["problems"].as_array().context("no problems")?;
        Ok(problems.iter().filter(|problem| problem["kind"] == "vex-ignored").count() == 1)
    })
    .await?;
    let after = site.verdict(&bad).await?;
    assert_eq!((&after["outcome"], &after["counts"]), (&before["outcome"], &before["counts"]));
    Ok(())
}
