//! Policies as people meet them: checked in CI, explained at a terminal, shown by a server.

use anyhow::Result;
use serde_json::Value;
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::site::{Site, run};

#[test]
fn policy_check_names_the_mistakes_of_every_file_with_line_and_column() -> Result<()> {
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

/// What the base brings is somebody else's to repair; what the team brings is not.
const BASE_IS_NOT_OURS: &str = "version: 1
name: default
problems: { advisories-stale: accept, no-advisory-coverage: accept }
rules:
  - { name: base, when: { origin: [base] }, then: warn }
  - { name: app, when: {}, then: deny }
";

#[tokio::test(flavor = "multi_thread")]
async fn layers_of_a_known_base_image_are_judged_as_the_bases() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("default.yaml"), BASE_IS_NOT_OURS)?;
    let extra = format!(
        "[policies]\ndir = {:?}\n[worker]\nbase_images = [\"*/base/*\"]\n",
        folder.path().display().to_string()
    );
    let site = Site::embedded_with(&extra).await?;
    let base = Image::debian_with_python(VULNERABLE);
    let app = base.clone().layer([("app/main.py", "print('hello')")]);
    let before = site.push(&app, "team/app", "before")?;
    assert_eq!(site.verdict(&before).await?["outcome"], "fail", "nobody knows yet what it was built on");
    let known = site.push(&base, "base/python", "3")?;
    assert_eq!(site.verdict(&known).await?["outcome"], "fail", "a base answers for itself");

    let app = app.layer([("app/more.py", "print('more')")]);
    let after = site.push(&app, "team/app", "after")?;
    assert_eq!(site.verdict(&after).await?["outcome"], "warn");
    let (_, report) = site.get(&format!("/v1/reports/{after}")).await?;
    let base = &report["subject"]["base"];
    assert_eq!((&base["layers"], &base["digest"]), (&2.into(), &known.to_string().into()), "{report}");
    assert!(base["name"].as_str().is_some_and(|name| name.ends_with("/base/python")), "{base}");

    let own = app.python(("werkzeug", "0.16.0"));
    let own = site.push(&own, "team/app", "own")?;
    assert_eq!(site.verdict(&own).await?["outcome"], "fail", "its own package is nobody else's");
    Ok(())
}
