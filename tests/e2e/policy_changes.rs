//! Policies that change while everything runs: verdicts follow from what is stored, and nothing is pulled (I6).

use anyhow::{Context, Result};
use reqwest::StatusCode;
use serde_json::Value;
use shared::model::digest::Digest;
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::site::{Site, eventually};

/// Denies whatever has any finding at all, and what was compared with advisories older than a day.
const STRICTEST: &str = "version: 1\nname: default\nadvisories_max_age_days: 1\nrules:\n  - name: anything\n    when: {severity: [critical, high, medium, low, negligible, unknown]}\n    then: deny\n";
/// Denies nothing that was found.
const LAXEST: &str = "version: 1\nname: default\nrules: []\nproblems: {no-advisory-coverage: accept, unknown-distribution: accept, advisories-ended: accept, advisories-stale: accept, os-inventory-unsupported: accept}\n";
/// Not a policy: the effect is unknown.
const BROKEN: &str =
    "version: 1\nname: default\nrules:\n  - name: anything\n    when: {severity: [high]}\n    then: dany\n";

/// A site that follows a folder of policies, and the path of its one file.
struct Followed {
    site: Site,
    file: std::path::PathBuf,
}

impl Followed {
    fn folder() -> Result<tempfile::TempDir> {
        Ok(tempfile::tempdir()?)
    }

    fn setting(folder: &std::path::Path) -> String {
        format!("[policies]\ndir = \"{}\"\n", folder.display())
    }

    fn write(&self, policy: &str) -> Result<()> {
        // As an editor does it: whole, and at once.
        let draft = self.file.with_extension("draft");
        std::fs::write(&draft, policy)?;
        std::fs::rename(&draft, &self.file).context("the policy's place")
    }

    /// The stored verdict's outcome, once it is this one; asked for without waiting.
    async fn becomes(&self, digest: &Digest, outcome: &str) -> Result<()> {
        let path = format!("/v1/verdicts/{digest}");
        eventually(&format!("{digest} becomes {outcome}"), || async {
            Ok(self.site.get(&path).await?.1["outcome"] == outcome)
        })
        .await
    }

    async fn history(&self, digest: &Digest) -> Result<Vec<Value>> {
        let (status, answer) =
            self.site.get(&format!("/v1/verdicts/{digest}/history?policy=default")).await?;
        assert_eq!(status, StatusCode::OK, "{answer:#}");
        Ok(answer["changes"].as_array().cloned().unwrap_or_default())
    }

    /// How many requests the registry has answered.
    fn requests(&self) -> Result<usize> {
        let log = std::fs::read_to_string(self.site.folder.path().join("registry.log"))?;
        Ok(log.lines().filter(|line| line.contains("\"GET /v2/") || line.contains("\"HEAD /v2/")).count())
    }

    /// Waits until somebody has written this change down, without asking for the verdict.
    async fn is_told(&self, digest: &Digest, cause: &str, to: &str) -> Result<Value> {
        eventually(&format!("{digest}: {cause} → {to}"), || async {
            let history = self.history(digest).await?;
            Ok(history.first().is_some_and(|newest| newest["cause"] == cause && newest["to"] == to))
        })
        .await?;
        Ok(self.history(digest).await?.remove(0))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_a_changed_policy_changes_verdicts_without_a_pull_and_a_broken_one_changes_nothing() -> Result<()>
{
    let folder = Followed::folder()?;
    let site = Site::embedded_with(&Followed::setting(folder.path())).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let children = [
        Image::debian_with_python(HARMLESS).platform("linux", "amd64"),
        Image::debian_with_python(VULNERABLE).platform("linux", "arm64"),
    ];
    let index = site.push_index(&children, "team/multi", "1.0")?;
    for digest in [&bad, &index] {
        assert_eq!(site.verdict(digest).await?["outcome"], "fail");
    }
    let followed = Followed { site, file: folder.path().join("default.yaml") };
    let pulls = followed.requests()?;
    assert!(pulls > 0, "the registry writes down who asks");

    followed.write(LAXEST)?;
    // The histories know it before anybody has asked for the verdicts.
    for digest in [&bad, &index] {
        let told = followed.is_told(digest, "policy", "pass").await?;
        assert_eq!(told["from"], "fail", "{told:#}");
        assert!(told["sentence"].as_str().unwrap().starts_with("passing, was failing: the policy changed"));
        assert_eq!(followed.history(digest).await?.len(), 2, "the first verdict, and this change");
    }
    followed.becomes(&index, "pass").await?;

    followed.write(BROKEN)?;
    let ready = || followed.site.get("/readyz");
    eventually("the broken policy is told", || async {
        Ok(ready().await?.1["policies"].as_str().is_some_and(|told| told.contains("line 6")))
    })
    .await?;
    assert_eq!(ready().await?.0, StatusCode::OK, "it stays ready");
    assert_eq!(followed.site.metric("tidewaiter_policies_broken", "").await?, 1.0);
    followed.becomes(&bad, "pass").await?;
    let log = followed.site.front.log();
    let errors = || log.lines().filter(|line| line.contains("policies cannot be used"));
    assert_eq!(errors().count(), 1, "told once");
    assert!(errors().all(|line| line.contains("default.yaml") && line.contains("ERROR")), "{log}");

    followed.write(STRICTEST)?;
    followed.is_told(&bad, "policy", "fail").await?;
    assert_eq!(ready().await?.1["policies"], "ok");
    assert_eq!(followed.site.metric("tidewaiter_policies_broken", "").await?, 0.0);
    assert_eq!(followed.requests()?, pulls, "nothing was pulled");
    let (status, _) = followed.site.get(&format!("/v1/verdicts/sha256:{}/history", "0".repeat(64))).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_derive_what_an_api_alone_would_not() -> Result<()> {
    let folder = Followed::folder()?;
    let site =
        Site::distributed_on(2, &tests::servers::amqp_url()?, &Followed::setting(folder.path())).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    assert_eq!(site.verdict(&bad).await?["outcome"], "fail");
    let followed = Followed { site, file: folder.path().join("default.yaml") };
    followed.write(LAXEST)?;
    followed.is_told(&bad, "policy", "pass").await?;

    let logs: Vec<String> = followed.site.workers.iter().map(tests::process::Process::log).collect();
    let published = |line: &&str| line.contains("stored verdicts are to be derived again");
    let jobs = logs.iter().flat_map(|log| log.lines()).filter(published).count();
    assert_eq!(jobs, 1, "one of all workers publishes: {logs:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_is_younger_than_the_scans_judges_what_is_known_and_nothing_else() -> Result<()> {
    let folder = Followed::folder()?;
    let site = Site::embedded_with(&Followed::setting(folder.path())).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    for digest in [&bad, &good] {
        site.verdict(digest).await?;
    }
    let unknown = (0..300).map(|number| format!("sha256:{number:064x}"));
    let asked: Vec<String> = unknown.chain([bad.to_string(), good.to_string()]).collect();
    let younger = STRICTEST.replace("name: default", "name: younger");
    std::fs::write(folder.path().join("younger.yaml"), younger)?;
    let body = serde_json::json!({"digests": asked, "policy": "younger"}).to_string();
    eventually("the younger policy is in force", || async {
        Ok(site.get("/v1/policies/younger").await?.0 == StatusCode::OK)
    })
    .await?;
    let (status, answer) = site.post("/v1/verdicts/query", "application/json", body).await?;
    assert_eq!(status, StatusCode::OK, "{answer:#}");
    let rows = answer["verdicts"].as_array().context("rows")?;
    assert!(rows[..300].iter().all(|row| row["state"] == "unknown"));
    assert_eq!(rows[300]["verdict"]["outcome"], "fail", "{:#}", rows[300]);
    assert_eq!(rows[301]["state"], "known", "{:#}", rows[301]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_replayed_over_everything_and_changes_nothing() -> Result<()> {
    let site = Site::embedded().await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "2.0")?;
    assert_eq!(site.verdict(&bad).await?["outcome"], "fail");
    assert_ne!(site.verdict(&good).await?["outcome"], "fail");

    let replay =
        |policy: &'static str| site.post("/v1/policies/default/simulate", "application/yaml", policy);
    let (status, laxer) = replay(LAXEST).await?;
    assert_eq!(status, StatusCode::OK, "{laxer:#}");
    assert_eq!((&laxer["examined"], &laxer["next"]), (&2.into(), &Value::Null), "{laxer:#}");
    assert_eq!(laxer["newly_blocked"]["total"], 0);
    let allowed = &laxer["newly_allowed"]["images"][0];
    assert_eq!(allowed["digest"], bad.as_str(), "{laxer:#}");
    assert_eq!(allowed["seen"][0], format!("{}/team/bad:1.0", site.registry.host()));
    assert!(allowed["reasons"][0].as_str().is_some_and(|reason| reason.contains("urllib3")), "{allowed:#}");

    let (_, stricter) = replay(STRICTEST).await?;
    assert_eq!(stricter["newly_allowed"]["total"], 0, "{stricter:#}");
    let blocked = &stricter["newly_blocked"]["images"][0];
    assert_eq!(
        (&blocked["digest"], &blocked["after"]),
        (&good.as_str().into(), &"fail".into()),
        "{stricter:#}"
    );
    let scoped = STRICTEST.replace("rules:", "scope:\n  repositories: [elsewhere.io/team/*]\nrules:");
    let (status, scoped) =
        site.post("/v1/policies/default/simulate", "application/yaml", scoped.into_bytes()).await?;
    assert_eq!((status, &scoped["out_of_scope"]), (StatusCode::OK, &2.into()), "{scoped:#}");

    let (status, problem) = replay(BROKEN).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("line 6")), "{problem:#}");
    let (status, _) = site.post("/v1/policies/other/simulate", "application/yaml", LAXEST).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "the name in the address is another one");

    let file = site.folder.path().join("candidate.yaml");
    std::fs::write(&file, LAXEST)?;
    let file = file.display().to_string();
    let said = site.run(&["policy", "simulate", &file, "--server", &site.url])?;
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{said:?}");
    assert!(text.contains("2 images judged") && text.contains("newly allowed: 1"), "{text}");
    assert!(text.contains("team/bad:1.0"), "{text}");
    let said = site.run(&["policy", "simulate", &file, "--server", &site.url, "--format", "json"])?;
    assert_eq!(serde_json::from_slice::<Value>(&said.stdout)?["newly_allowed"]["total"], 1);

    assert_eq!(site.verdict(&bad).await?["outcome"], "fail", "nothing was stored");
    let (_, history) = site.get(&format!("/v1/verdicts/{bad}/history")).await?;
    assert_eq!(history["changes"].as_array().map(Vec::len), Some(1), "{history:#}");
    assert_eq!(history["changes"][0]["cause"], "first_verdict");
    Ok(())
}
