//! Proof that travels: signed verdicts in the real registry, verified without a server, and taken back from there when
//! Redis has lost everything (I13).

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use shared::attest::artifact::{self, Artifact};
use shared::attest::keys::PrivateKey;
use shared::attest::report as blob;
use shared::attest::signer::{KeyFile, Signer};
use shared::attest::statement::{Statement, StatementType};
use shared::attest::summary::{self, Speaker};
use shared::attest::tag::{self, Suffix};
use shared::model::digest::Digest;
use shared::model::image::ImageName;
use shared::model::report::{Report, Subject};
use shared::model::verdict::{Outcome, Verdict};
use shared::registry::{RegistryClient, RegistryConfig, Transport};
use tempfile::TempDir;
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::servers::{amqp_url, redis_url};
use tests::site::{Site, eventually, eventually_here, run};

/// A folder with a key pair that the binary made.
fn keys() -> Result<TempDir> {
    let folder = TempDir::new()?;
    let made = run(folder.path(), &["attest", "key", "-o", &folder.path().display().to_string()])?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(folder)
}

fn key(folder: &Path, file: &str) -> String {
    folder.join(file).display().to_string()
}

/// A site whose worker signs with the key of this folder.
async fn signing(keys: &Path, further: &str) -> Result<Site> {
    let extra = format!("[attest]\nkey_file = \"{}\"\n{further}", key(keys, "tidewaiter.key"));
    Site::distributed_on(1, &amqp_url()?, &extra).await
}

/// How many lines of any worker's log say this.
fn said(site: &Site, what: &str) -> usize {
    let logs: Vec<String> = site.workers.iter().map(tests::process::Process::log).collect();
    logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains(what)).count()
}

/// How often a worker has examined one of these digests; what we attach is looked at too, and does not count.
fn examined(site: &Site, digests: &[&str]) -> usize {
    let logs: Vec<String> = site.workers.iter().map(tests::process::Process::log).collect();
    let lines = logs.iter().flat_map(|log| log.lines()).filter(|line| line.contains("image examined"));
    lines.filter(|line| digests.iter().any(|digest| line.contains(digest))).count()
}

/// Requests that the registry has served so far.
fn requests(site: &Site) -> Vec<String> {
    let log = std::fs::read_to_string(site.folder.path().join("registry.log")).unwrap_or_default();
    log.lines().filter(|line| line.contains("HTTP/1.1\" ")).map(str::to_owned).collect()
}

/// Has Redis forget everything about this site, and about no other.
fn forget(site: &Site) -> Result<()> {
    let pattern = format!("*test-{}-{}*", std::process::id(), site.registry.port);
    let url = redis_url()?;
    let redis = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("redis-cli").args(["-u", &url]).args(arguments).output();
        let output = output.context("redis-cli is missing; run `make test`")?;
        ensure!(output.status.success(), "redis-cli: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let keys = redis(&["--scan", "--pattern", &pattern])?;
    let keys: Vec<&str> = keys.lines().filter(|line| !line.is_empty()).collect();
    ensure!(!keys.is_empty(), "nothing to forget under {pattern}");
    redis(&[&["DEL"], keys.as_slice()].concat())?;
    Ok(())
}

/// The same, until nobody remembers.
async fn forget_everything(site: &Site, known: &[&Digest]) -> Result<()> {
    forget(site)?;
    // Nobody says when keys vanish, so the api answers for a moment longer from what it has read.
    for digest in known {
        eventually("everything is forgotten", || async {
            Ok(site.get(&format!("/v1/verdicts/{digest}")).await?.0.as_u16() == 404)
        })
        .await?;
    }
    Ok(())
}

/// A client of the site's registry, for what skopeo does not push.
fn client(site: &Site) -> Result<RegistryClient> {
    let mut registry = RegistryConfig::new(site.registry.host().parse()?);
    registry.transport = Transport::PlainHttp;
    Ok(RegistryClient::new(vec![registry])?)
}

/// Asks for a scan as a gate would, and waits for the verdict.
async fn ask(site: &Site, repository: &str, digest: &Digest) -> Result<Value> {
    let body = json!({"image": site.name(repository, digest), "lane": "urgent"}).to_string();
    let (status, answer) = site.post("/v1/scans", "application/json", body).await?;
    ensure!(status.as_u16() == 202, "{answer:#}");
    site.verdict(digest).await
}

/// Blobs that only somebody who examines the image would fetch: configs and layers.
fn blobs_of(site: &Site, digest: &Digest) -> Result<Vec<String>> {
    let storage = site.folder.path().join("registry/docker/registry/v2/blobs/sha256");
    let path = storage.join(&digest.encoded()[..2]).join(digest.encoded()).join("data");
    let manifest: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    if let Some(children) = manifest["manifests"].as_array() {
        let digests = children.iter().map(|child| Ok(serde_json::from_value(child["digest"].clone())?));
        let blobs =
            digests.map(|digest: Result<Digest>| blobs_of(site, &digest?)).collect::<Result<Vec<_>>>()?;
        return Ok(blobs.concat());
    }
    let layers = manifest["layers"].as_array().context("no layers")?;
    let described = layers.iter().chain([&manifest["config"]]);
    Ok(described.filter_map(|blob| blob["digest"].as_str().map(str::to_owned)).collect())
}

/// The outcome of the newest statement that is attached to an image, and the policy's revision.
fn stated(site: &Site, image: &str, public: &str) -> Result<(Value, Value)> {
    let verified = site.run(&["attest", "verify", image, "--key", public, "--format", "json"])?;
    let mut found: Value = serde_json::from_slice(&verified.stdout).unwrap_or_default();
    let verdict = found["verdicts"][0].take();
    Ok((verdict["outcome"].clone(), verdict["policy_revision"].clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn proof_follows_a_verdict_that_a_policy_has_changed() -> Result<()> {
    let (folder, policies) = (keys()?, TempDir::new()?);
    let policy = |effect: &str| {
        let every = "[critical, high, medium, low, negligible, unknown]";
        let rule = format!("{{name: all, when: {{severity: {every}}}, then: {effect}}}");
        let text =
            format!("version: 1\nname: default\nrules: [{rule}]\nproblems: {{advisories-stale: accept}}\n");
        std::fs::write(policies.path().join("draft"), text)?;
        std::fs::rename(policies.path().join("draft"), policies.path().join("default.yaml"))
    };
    policy("deny")?;
    let site =
        signing(folder.path(), &format!("[policies]\ndir = \"{}\"\n", policies.path().display())).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    site.verdict(&bad).await?;
    eventually_here("attached", || said(&site, "verdict attached") == 1)?;
    let (public, image) = (key(folder.path(), "tidewaiter.pub"), site.name("team/bad", &bad));
    let (outcome, before) = stated(&site, &image, &public)?;
    assert_eq!(outcome, "fail");

    let read = requests(&site).len();
    policy("warn")?;
    eventually("the statement follows", || async { Ok(stated(&site, &image, &public)?.0 == "warn") }).await?;
    assert_ne!(stated(&site, &image, &public)?.1, before, "by the new policy");
    let layers = blobs_of(&site, &bad)?;
    let pulled =
        requests(&site)[read..].iter().filter(|line| layers.iter().any(|blob| line.contains(blob))).count();
    assert_eq!(pulled, 0, "nothing of the image is pulled for it (I6)");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_attached_verified_without_a_server_and_nothing_goes_round_in_circles() -> Result<()> {
    let folder = keys()?;
    let site = signing(folder.path(), "cosign = \"tag\"\nstatement_type = \"v0.1\"\n").await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    site.verdict(&bad).await?;
    eventually_here("attached", || said(&site, "verdict attached") == 1)?;
    // The push, its attestation, and the events about the artifact and cosign's tag; that about the list of referrers
    // ends at the door.
    eventually_here("four jobs", || said(&site, "job done") >= 4)?;

    let public = key(folder.path(), "tidewaiter.pub");
    let image = format!("{}/team/bad:1.0", site.registry.host());
    let verified = site.run(&["attest", "verify", &image, "--key", &public])?;
    let text = String::from_utf8(verified.stdout)?;
    assert_eq!(verified.status.code(), Some(1), "a failing verdict: {text}");
    for fragment in
        [bad.as_str(), "fail by policy default", "urllib3", "valid", "analyzers", "vuln attestation"]
    {
        assert!(text.contains(fragment), "{text} lacks {fragment}");
    }
    let verified = site.run(&["attest", "verify", &image, "--key", &public, "--format", "json"])?;
    let found: Value = serde_json::from_slice(&verified.stdout)?;
    assert_eq!(found["verdicts"][0]["outcome"], "fail", "{found:#}");
    assert_eq!(found["vulnerability_attestations"][0]["verdicts"][0]["outcome"], "fail", "{found:#}");
    assert_eq!(found["refused"], json!([]));

    let stranger = keys()?;
    let refused =
        site.run(&["attest", "verify", &image, "--key", &key(stranger.path(), "tidewaiter.pub")])?;
    assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stdout));
    assert!(String::from_utf8(refused.stdout)?.contains("no trusted key has signed"));
    let usage = site.run(&["attest", "verify", &image, "--key", &key(folder.path(), "tidewaiter.key")])?;
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8(usage.stderr)?.contains("openssl pkey"));

    // The same again: judged already, attached already. And another image, which takes the same way to its end.
    site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    eventually_here("six jobs", || said(&site, "job done") >= 6)?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    site.verdict(&good).await?;
    eventually_here("ten jobs", || said(&site, "job done") >= 10)?;
    assert_eq!(said(&site, "job done"), 10, "nothing goes round in circles");
    assert_eq!(said(&site, "verdict attached"), 2);
    // Each image, its artifact, its referrers list and cosign's tag; the repeated push wrote its manifest once more.
    let written = requests(&site)
        .iter()
        .filter(|line| line.contains("\"PUT /v2/") && line.contains("/manifests/"))
        .count();
    assert!((8..=9).contains(&written), "{written} manifests were written");

    let image = site.name("team/good", &good);
    let verified = site.run(&["attest", "verify", &image, "--key", &public])?;
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
    let none = site.run(&["attest", "verify", &site.name("team/good", &bad), "--key", &public])?;
    assert_eq!(none.status.code(), Some(3), "{}", String::from_utf8_lossy(&none.stdout));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_a_lost_redis_is_refilled_from_the_registry_without_pulling_a_layer() -> Result<()> {
    let folder = keys()?;
    let site = signing(folder.path(), "").await?;
    let bad = Image::debian_with_python(VULNERABLE);
    let good = Image::debian_with_python(HARMLESS);
    let pushed = [
        ("team/bad", site.push(&bad, "team/bad", "1.0")?),
        ("team/good", site.push(&good, "team/good", "1.0")?),
        ("team/multi", site.push_index(&[good.platform("linux", "arm64"), bad], "team/multi", "1.0")?),
    ];
    let mut before = Vec::new();
    for (_, digest) in &pushed {
        before.push(site.verdict(digest).await?);
    }
    // bad and good; the index, and its two children in its own repository.
    eventually_here("attached", || said(&site, "verdict attached") == 5)?;
    let mut blobs = Vec::new();
    for (_, digest) in &pushed {
        blobs.extend(blobs_of(&site, digest)?);
    }
    eventually("the queue is empty", || async {
        let (_, queue) = site.get("/v1/queue").await?;
        Ok(queue["lanes"].as_array().is_some_and(|lanes| lanes.iter().all(|lane| lane["ready"] == 0)))
    })
    .await?;

    forget_everything(&site, &pushed.each_ref().map(|(_, digest)| digest)).await?;
    let children = before[2]["children"].as_array().context("an index has children")?;
    let children = children.iter().filter_map(|child| child["digest"].as_str());
    let images: Vec<&str> = pushed.iter().map(|(_, digest)| digest.as_str()).chain(children).collect();
    let (scanned, served) = (examined(&site, &images), requests(&site).len());
    let told = said(&site, "change announced");
    for ((repository, digest), before) in pushed.iter().zip(&before) {
        let after = ask(&site, repository, digest).await?;
        for field in ["outcome", "counts", "reasons", "revisions", "scanned_at", "policy_revision"] {
            assert_eq!(after[field], before[field], "{field} of {repository}");
        }
        let (_, report) = site.get(&format!("/v1/reports/{digest}")).await?;
        assert_eq!(report["digest"], digest.as_str());
    }
    assert_eq!(examined(&site, &images), scanned, "nothing was scanned");
    assert!(said(&site, "report restored") >= 4, "two images and the index with its children");
    let pulled: Vec<String> = requests(&site)
        .split_off(served)
        .into_iter()
        .filter(|line| line.contains("\"GET /v2/") && blobs.iter().any(|blob| line.contains(blob)))
        .collect();
    assert!(pulled.is_empty(), "layers or configs were pulled: {pulled:#?}");
    assert_eq!(said(&site, "verdict attached"), 5, "what was restored is not attached again");
    // That the cache was lost is no news about an image: nobody is woken for it.
    assert_eq!(said(&site, "change announced"), told);
    for (_, digest) in &pushed {
        let (_, history) = site.get(&format!("/v1/verdicts/{digest}/history")).await?;
        assert_eq!(history["changes"], json!([]), "{history:#}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_of_what_is_restored_only_what_changed_meanwhile_is_told_and_from_what() -> Result<()> {
    let (folder, policies) = (keys()?, TempDir::new()?);
    let policy = |effect: &str| {
        let every = "[critical, high, medium, low, negligible, unknown]";
        let rule = format!("{{name: all, when: {{severity: {every}}}, then: {effect}}}");
        let text =
            format!("version: 1\nname: default\nrules: [{rule}]\nproblems: {{advisories-stale: accept}}\n");
        std::fs::write(policies.path().join("default.yaml"), text)
    };
    policy("deny")?;
    let mut site =
        signing(folder.path(), &format!("[policies]\ndir = \"{}\"\n", policies.path().display())).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    for (digest, outcome) in [(&bad, "fail"), (&good, "pass")] {
        assert_eq!(site.verdict(digest).await?["outcome"], outcome);
    }
    eventually_here("attached", || said(&site, "verdict attached") == 2)?;

    // While nobody works, the cache is lost and a policy made milder.
    site.workers.clear();
    site.front.kill();
    policy("warn")?;
    forget(&site)?;
    site.restart_front("api").await?;
    site.add_worker()?;
    assert_eq!(ask(&site, "team/good", &good).await?["outcome"], "pass");
    assert_eq!(ask(&site, "team/bad", &bad).await?["outcome"], "warn");
    let (_, history) = site.get(&format!("/v1/verdicts/{bad}/history")).await?;
    let changes = history["changes"].as_array().context("a history")?;
    assert_eq!(changes.len(), 1, "{history:#}");
    assert_eq!(
        (&changes[0]["from"], &changes[0]["cause"]),
        (&json!("fail"), &json!("policy")),
        "{history:#}"
    );
    let (_, history) = site.get(&format!("/v1/verdicts/{good}/history")).await?;
    assert_eq!(history["changes"], json!([]), "{history:#}");
    Ok(())
}

/// What an attacker, or an accident, may have attached to an image.
struct Forgery<'a> {
    about: &'a Digest,
    named: &'a Digest,
    report: Vec<u8>,
    verdict: &'a Verdict,
    signer: &'a dyn Signer,
}

impl Forgery<'_> {
    async fn artifact(&self, name: &ImageName, image: &[u8]) -> Result<Artifact> {
        let now = jiff::Timestamp::now();
        let speaker = Speaker { id: "https://forged.example.com", version: "9", now };
        let predicate =
            summary::predicate(self.verdict, name, self.named, speaker).context("no predicate")?;
        let repository = name.to_string();
        let statement = Statement {
            kind: StatementType::V1,
            name: &repository,
            digest: self.about,
            predicate_type: summary::PREDICATE_TYPE,
            predicate: &predicate,
        };
        let envelope = statement.sign(self.signer).await?;
        let subject =
            artifact::described("application/vnd.oci.image.manifest.v1+json", image, Default::default());
        let key = self.signer.public_key().id();
        Ok(artifact::build(&subject, self.report.clone(), &[envelope], key, ("forged", "pass"), now))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_a_forged_foreign_or_broken_attestation_changes_nothing() -> Result<()> {
    let folder = keys()?;
    let extra = format!("[attest]\ntrusted_keys = [\"{}\"]\n", key(folder.path(), "tidewaiter.pub"));
    let site = Site::distributed_on(1, &amqp_url()?, &extra).await?;
    let digest = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let judged = site.verdict(&digest).await?;
    assert_eq!(judged["outcome"], "fail");
    assert_eq!(said(&site, "verdict attached"), 0, "who has no key signs nothing");

    // A report in which nothing was found, and a verdict that lets everything pass.
    let (_, facts) = site.get(&format!("/v1/reports/{digest}")).await?;
    let mut facts: Report = serde_json::from_value(facts)?;
    let mut verdict: Verdict = serde_json::from_value(judged)?;
    verdict.outcome = Outcome::Pass;
    verdict.reasons.clear();
    let genuine = blob::encode(&facts)?;
    facts.findings.clear();
    if let Subject::Image(inventory) = &mut facts.subject {
        inventory.packages.clear();
    }
    let forged = blob::encode(&facts)?;
    let pem = std::fs::read_to_string(key(folder.path(), "tidewaiter.key"))?;
    let ours = KeyFile::new(PrivateKey::from_pem(&pem.into())?);
    let theirs = KeyFile::new(PrivateKey::generate()?);
    let elsewhere = Digest::of(b"another image");
    let (named_forged, named_genuine) = (Digest::of(&forged), Digest::of(&genuine));
    let truncated = genuine[..genuine.len() / 2].to_vec();
    let named_truncated = Digest::of(&truncated);
    let mut stale = verdict.clone();
    stale.revisions.analyzer = shared::model::report::Revision::new("older analyzers");
    let forgery = |about, named, report: &Vec<u8>, signer| Forgery {
        about,
        named,
        report: report.clone(),
        verdict: &verdict,
        signer,
    };
    let forgeries: [(&str, Forgery<'_>); 5] = [
        ("signed by another key", forgery(&digest, &named_forged, &forged, &theirs as &dyn Signer)),
        ("about another digest", forgery(&elsewhere, &named_forged, &forged, &ours)),
        ("with another report than the signed one", forgery(&digest, &named_genuine, &forged, &ours)),
        ("truncated", forgery(&digest, &named_truncated, &truncated, &ours)),
        (
            "made by older analyzers",
            Forgery { verdict: &stale, ..forgery(&digest, &named_genuine, &genuine, &ours) },
        ),
    ];
    let client = client(&site)?;
    let name: ImageName = format!("{}/team/bad", site.registry.host()).parse()?;
    let image = client.raw_document(&name, &digest).await?.bytes;
    let mut earlier = Vec::new();
    for (what, forgery) in forgeries {
        let artifact = forgery.artifact(&name, &image).await?;
        for blob in &artifact.blobs {
            client.push_blob(&name, blob).await?;
        }
        client.attach(&name, &digest, &artifact.manifest, &artifact.descriptor, &earlier).await?;
        earlier = vec![artifact.descriptor.digest.clone()];
        let (scanned, refused) = (examined(&site, &[digest.as_str()]), said(&site, "attestation not used"));
        forget_everything(&site, &[&digest]).await?;
        let verdict = ask(&site, "team/bad", &digest).await?;
        assert_eq!(verdict["outcome"], "fail", "an attestation {what} was believed");
        assert_eq!(examined(&site, &[digest.as_str()]), scanned + 1, "{what}");
        assert!(
            said(&site, "attestation not used") > refused,
            "an attestation {what} was not even looked at"
        );
    }
    // And the genuine one is believed: the way that was refused five times is open.
    let artifact = forgery(&digest, &named_genuine, &genuine, &ours).artifact(&name, &image).await?;
    for blob in &artifact.blobs {
        client.push_blob(&name, blob).await?;
    }
    client.attach(&name, &digest, &artifact.manifest, &artifact.descriptor, &earlier).await?;
    forget_everything(&site, &[&digest]).await?;
    let verdict = ask(&site, "team/bad", &digest).await?;
    assert_eq!(verdict["outcome"], "fail", "the facts are taken back, the opinion is today's own");
    assert_eq!(said(&site, "report restored"), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_is_pushed_later_becomes_a_fact_without_pulling_the_image() -> Result<()> {
    let site = Site::distributed(1).await?;
    let digest = site.push(&Image::debian_with_python(HARMLESS), "team/signed", "1.0")?;
    let before = site.verdict(&digest).await?;
    let served = requests(&site).len();

    let client = client(&site)?;
    let name: ImageName = format!("{}/team/signed", site.registry.host()).parse()?;
    let payload = json!({"critical": {"image": {"docker-manifest-digest": digest}}}).to_string().into_bytes();
    let layer = artifact::described(
        "application/vnd.dev.cosign.simplesigning.v1+json",
        &payload,
        [("dev.cosignproject.cosign/signature".to_owned(), "MAYCAQECAQE=".to_owned())].into(),
    );
    let config = artifact::described("application/vnd.oci.image.config.v1+json", b"{}", Default::default());
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer]});
    for blob in [payload.as_slice(), b"{}"] {
        client.push_blob(&name, blob).await?;
    }
    let tag = tag::of(&digest, Suffix::Signatures);
    client.push_manifest(&name, Some(&tag), media_type, manifest.to_string().as_bytes()).await?;

    eventually("the signature is noted", || async {
        let (_, report) = site.get(&format!("/v1/reports/{digest}")).await?;
        Ok(report["signatures"].as_array().is_some_and(|found| found.len() == 1))
    })
    .await?;
    assert_eq!(site.verdict(&digest).await?["scanned_at"], before["scanned_at"]);
    assert_eq!(examined(&site, &[digest.as_str()]), 1);
    let blobs = blobs_of(&site, &digest)?;
    let pulled = requests(&site).split_off(served).into_iter().filter(|line| line.contains("\"GET /v2/"));
    assert_eq!(pulled.filter(|line| blobs.iter().any(|blob| line.contains(blob))).count(), 0);
    Ok(())
}

#[test]
fn contradictory_attest_settings_stop_the_start() -> Result<()> {
    let folder = keys()?;
    let private = key(folder.path(), "tidewaiter.key");
    for (text, expected) in [
        ("hook_url = \"https://kms.example.com\"", "attest.hook_url"),
        ("policies = [\"prodction\"]", "no policy named prodction"),
        ("registries = [\"nobody\"]", "attest.registries"),
    ] {
        let text = format!("[attest]\nkey_file = \"{private}\"\n{text}\n");
        std::fs::write(folder.path().join("tidewaiter.toml"), text)?;
        let refused = run(folder.path(), &["config", "check"])?;
        assert_eq!(refused.status.code(), Some(2), "{expected}");
        let told = String::from_utf8(refused.stderr)?;
        assert!(told.contains(expected), "{told}");
    }
    Ok(())
}
