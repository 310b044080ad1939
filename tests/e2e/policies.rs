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
        "b.yaml: line 4, column 5: the exception of web for CVE-1 ended with 2020-01-31",
        "c: 0 rules",
        "2 mistakes",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in {said}");
    }
    let schema = run(folder.path(), &["policy", "schema"])?;
    assert!(serde_json::from_slice::<Value>(&schema.stdout)?["$defs"].is_object());
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
