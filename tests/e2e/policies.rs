//! Policies as people meet them: checked in CI, explained at a terminal, shown by a server.

use anyhow::Result;
use serde_json::Value;
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::site::{Site, run};

#[test]
fn policy_check_names_every_mistake_with_file_line_and_column() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("tidewaiter.toml"), "")?;
    let policies = folder.path().join("policies");
    std::fs::create_dir(&policies)?;
    let broken =
        "version: 1\nname: a\nrules:\n  - {name: r, when: {cel: 'finding.severty == 1'}, then: deny}\n";
    let expired = "version: 1\nname: b\nexceptions:\n  - {advisory: CVE-1, owner: web, reason: r, expires: 2020-01-31}\n";
    std::fs::write(policies.join("a.yaml"), broken)?;
    std::fs::write(policies.join("b.yaml"), expired)?;
    std::fs::write(policies.join("c.yaml"), "version: 1\nname: c\n")?;
    let done = run(folder.path(), &["policy", "check", &policies.display().to_string()])?;
    let said = String::from_utf8([done.stdout, done.stderr].concat())?;
    assert_eq!(done.status.code(), Some(2), "{said}");
    for expected in [
        "a.yaml: line 4, column 27: rules[0] \"r\": cel: line 1",
        "finding has no severty",
        "b.yaml: line 4, column 5: the exception of web for CVE-1 has expired",
        "c: 0 rules",
        "2 mistakes",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }
<<<<<<< HEAD
    let schema = run(folder.path(), &["policy", "schema"])?;
    assert!(serde_json::from_slice::<Value>(&schema.stdout)?["$defs"].is_object());
=======

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
>>>>>>> store
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_explained_with_the_policy_of_the_server_or_of_a_file() -> Result<()> {
    let site = Site::embedded().await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    site.verdict(&bad).await?;
    site.verdict(&good).await?;
    let (_, list) = site.get("/v1/policies").await?;
    assert_eq!(list["policies"][0]["name"], "default", "{list}");
    let (_, policy) = site.get("/v1/policies/default").await?;
    assert!(policy["source"].as_str().is_some_and(|text| text.contains("known-exploited")), "{policy}");
    let (status, _) = site.get("/v1/policies/nobody").await?;
    assert_eq!(status, 404);

    let explained = site.run(&["policy", "explain", "--server", &site.url, &bad.to_string()])?;
    let said = String::from_utf8(explained.stdout.clone())?;
    assert_eq!(explained.status.code(), Some(1), "{explained:?}");
    assert!(
        said.contains("fail by policy default")
            && said.contains("To pass:")
            && said.contains("update pkg:pypi/"),
        "{said}"
    );

    let folder = tempfile::tempdir()?;
    let lenient = folder.path().join("lenient.yaml");
    std::fs::write(&lenient, "version: 1\nname: lenient\nproblems: {no-advisory-coverage: accept}\n")?;
    let lenient = lenient.display().to_string();
    let explained = site.run(&[
        "policy",
        "explain",
        "--server",
        &site.url,
        "--policy",
        &lenient,
        "--format",
        "json",
        &bad.to_string(),
    ])?;
    assert_eq!(explained.status.code(), Some(0), "{explained:?}");
    let explanation: Value = serde_json::from_slice(&explained.stdout)?;
    assert_eq!(explanation["findings"][0]["decision"]["decision"], "unruled", "{explanation}");

    let (_, report) = site.get(&format!("/v1/reports/{bad}")).await?;
    let settings = &report["subject"]["settings"];
    assert!(settings.is_object(), "the report says how the image would run: {report}");
    Ok(())
}
