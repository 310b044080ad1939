//! The command line: exit codes that scripts go by, and the same report as the service.

use std::process::{Command, Stdio};

use anyhow::Result;
use serde_json::Value;
use tests::image::{HARMLESS, Image, Layout, VULNERABLE};
use tests::servers::amqp_url;
use tests::site::{Site, advisories, run};

pub(crate) fn database(folder: &std::path::Path) -> Result<String> {
    let file = folder.join("advisories.db").display().to_string();
    std::fs::write(folder.join("tidewaiter.toml"), "")?;
    let built = run(folder, &["db", "build", &advisories().display().to_string(), "-o", &file])?;
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Ok(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn check_ends_with_the_exit_code_of_the_verdict() -> Result<()> {
    let site = Site::embedded().await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    let unknown = format!("sha256:{}", "0".repeat(64));
    for (image, expected) in [
        (site.name("team/bad", &bad), 1),
        (site.name("team/good", &good), 0),
        (unknown, 3),
        ("no image!".to_owned(), 2),
    ] {
        let wait = if expected == 3 { "0s" } else { "60s" };
        let done = site.run(&["check", "--server", &site.url, "--wait", wait, &image])?;
        assert_eq!(done.status.code(), Some(expected), "{image}: {done:?}");
    }
    let tag = format!("{}/team/bad:1.0", site.registry.host());
    let resolved = site.run(&["check", "--server", &site.url, &tag])?;
    assert_eq!(resolved.status.code(), Some(1), "{resolved:?}");
    assert!(
        String::from_utf8_lossy(&resolved.stderr).contains(bad.as_str()),
        "the digest is handed back: {resolved:?}"
    );
    let nobody = site.run(&["check", "--server", "http://127.0.0.1:1", &bad.to_string()])?;
    assert_eq!(nobody.status.code(), Some(3), "no server is no verdict: {nobody:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scan_of_a_layout_gives_the_same_report_as_the_service() -> Result<()> {
    let site = Site::embedded().await?;
    let image = Image::debian_with_python(VULNERABLE);
    let digest = site.push(&image, "team/same", "1.0")?;
    site.verdict(&digest).await?;
    let (_, mut served) = site.get(&format!("/v1/reports/{digest}")).await?;

    let layout = site.layout()?;
    layout.tag(&layout.image(&image)?, "1.0")?;
    let name = format!("oci:{}:1.0", layout.folder().display());
    let done = site.run(&["scan", "--format", "json", &name])?;
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let mut scanned: Value = serde_json::from_slice(&done.stdout)?;
    for report in [&mut served, &mut scanned] {
        report["scanned_at"] = Value::Null;
    }
    assert_eq!(served, scanned);

    let reference = site.name("team/same", &digest);
    let done = site.run(&["scan", "--format", "json", &reference])?;
    let mut pulled: Value = serde_json::from_slice(&done.stdout)?;
    pulled["scanned_at"] = Value::Null;
    assert_eq!(served, pulled);
    Ok(())
}

#[test]
fn scan_prints_a_table_that_names_the_upgrade() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = database(folder.path())?;
    let layout = Layout::new(&folder.path().join("layout"))?;
    layout.tag(&layout.image(&Image::debian_with_python(VULNERABLE))?, "x")?;
    let name = format!("oci:{}", layout.folder().display());
    let done = run(folder.path(), &["scan", "--database", &database, &name])?;
    let text = String::from_utf8(done.stdout)?;
    assert!(
        text.contains("urllib3") && text.contains("1.26.17") && text.contains("FAIL by policy default"),
        "{text}"
    );
    Ok(())
}

/// A token that only this site knows, put together here.
fn own_token() -> String {
    format!("{}{}", "acme_dt_", "8fj2k1m4n7q0r3t6v9xz")
}

const OWN_RULES: &str = r"version: 1
rules:
  - id: ACME-DEPLOY-TOKEN
    title: A deploy token of Acme's
    severity: critical
    literals: [acme_dt_]
    pattern: '\b(acme_dt_[a-z0-9]{20})\b'
    reach: everywhere
    entropy: 3.0
";

#[test]
fn a_token_of_a_sites_own_is_found_in_a_deleted_file_and_never_shown() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = database(folder.path())?;
    let layout = Layout::new(&folder.path().join("layout"))?;
    let image = Image::debian_with_python(HARMLESS)
        .layer([("app/deploy.bin", &*format!("\0\u{1}{}\0", own_token()))])
        .layer([("app/.wh.deploy.bin", "")]);
    layout.tag(&layout.image(&image)?, "x")?;
    let name = format!("oci:{}", layout.folder().display());
    let at = |file: &str| folder.path().join(file).display().to_string();
    let configure = |text: &str| std::fs::write(folder.path().join("tidewaiter.toml"), text);
    let scan =
        |format: &str| run(folder.path(), &["scan", "--database", &database, "--format", format, &name]);

    assert!(!String::from_utf8(scan("json")?.stdout)?.contains("ACME-DEPLOY-TOKEN"), "nobody asked for it");
    std::fs::write(folder.path().join("rules.yaml"), OWN_RULES)?;
    let mut fingerprints = std::collections::BTreeSet::new();
    for key in ["", "0123456789abcdef-ours", "0123456789abcdef-theirs"] {
        std::fs::write(folder.path().join("key"), key)?;
        let key = if key.is_empty() { String::new() } else { format!("secret_key_file = {:?}\n", at("key")) };
        configure(&format!("[worker]\nsecret_rules = {:?}\n{key}", at("rules.yaml")))?;
        let done = scan("json")?;
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        let report: Value = serde_json::from_slice(&done.stdout)?;
        let observations = report["observations"].as_array().expect("a list");
        let found =
            observations.iter().find(|found| found["rule"] == "ACME-DEPLOY-TOKEN").expect("it is found");
        assert_eq!(found["place"]["path"], "app/deploy.bin");
        assert!(found["visibility"].to_string().contains("deleted"), "{found}");
        assert_eq!(found["masked"], "acme… (28 characters)");
        fingerprints.insert(found["fingerprint"].to_string());
    }
    assert_eq!(fingerprints.len(), 3);
    for format in ["table", "json", "cyclonedx", "spdx", "sarif", "openvex", "markdown"] {
        let done = scan(format)?;
        let said = [done.stdout, done.stderr].concat();
        assert!(!String::from_utf8_lossy(&said).contains(&own_token()), "{format}");
    }
    Ok(())
}

#[test]
fn wrong_secret_rules_stop_the_start_with_their_place() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = database(folder.path())?;
    std::fs::write(folder.path().join("rules.yaml"), OWN_RULES.replace("ACME", "TW"))?;
    let rules = folder.path().join("rules.yaml").display().to_string();
    let text = format!("[worker]\nsecret_rules = {rules:?}\n[advisories]\ndatabase = {database:?}\n");
    std::fs::write(folder.path().join("tidewaiter.toml"), text)?;
    let data = folder.path().join("data").display().to_string();
    for command in [vec!["serve"], vec!["config", "check"], vec!["scan", "oci:nowhere"]] {
        let done = run(folder.path(), &[vec!["--data-dir", &data], command.clone()].concat())?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(2), "{command:?}: {said}");
        let parts = ["worker.secret_rules", "rules.yaml", "line 3, column 9", "TW-"];
        assert!(parts.iter().all(|part| said.contains(part)), "{command:?}: {said}");
    }
    Ok(())
}

#[test]
fn api_and_worker_refuse_embedded_parts_and_say_why() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("tidewaiter.toml"), "")?;
    for role in ["api", "worker"] {
        let done = run(folder.path(), &[role])?;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(2), "{said}");
        assert!(said.contains("queue.url") && said.contains("tidewaiter serve"), "{said}");
    }
    let half = format!("[queue]\nurl = \"{}\"", amqp_url()?);
    std::fs::write(folder.path().join("tidewaiter.toml"), half)?;
    let done = run(folder.path(), &["api"])?;
    assert!(String::from_utf8_lossy(&done.stderr).contains("store.url"));
    Ok(())
}

#[test]
fn an_open_server_beyond_loopback_refuses_to_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = database(folder.path())?;
    let text = format!("[server]\nlisten = \"0.0.0.0:0\"\n[advisories]\ndatabase = \"{database}\"\n");
    std::fs::write(folder.path().join("tidewaiter.toml"), &text)?;
    let data = folder.path().join("data").display().to_string();
    let done = run(folder.path(), &["--data-dir", &data, "serve"])?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(2), "{said}");
    assert!(said.contains("allow_unauthenticated") && said.contains("auth.tokens"), "{said}");
    Ok(())
}

#[test]
fn small_commands_work_without_a_server() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = database(folder.path())?;
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, "version: 1\nname: mine\nrulez: []\n")?;
    let policy = policy.display().to_string();
    for (arguments, expected, fragment) in [
        (vec!["db", "status", "--database", &database], 0, "PyPI"),
        (vec!["db", "status", "--database", "/nonexistent"], 2, "db build"),
        (vec!["policy", "check", &policy], 2, "rulez"),
        (vec!["config", "check"], 0, "0 registries, 1 policy, 0 API tokens"),
        (vec!["config", "print"], 0, "nothing is set"),
        (vec!["completions", "bash"], 0, "tidewaiter"),
        (vec!["queue", "status", "--server", "http://127.0.0.1:1"], 1, "cannot reach"),
    ] {
        let done = run(folder.path(), &arguments)?;
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(done.status.code(), Some(expected), "{arguments:?}: {said}");
        assert!(said.contains(fragment), "{arguments:?}: {said}");
    }
    Ok(())
}

#[test]
fn a_reader_that_has_seen_enough_ends_a_command_without_a_word() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(tests::site::binary());
    command.current_dir(folder.path()).args(["policy", "schema"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    drop(child.stdout.take());
    let done = child.wait_with_output()?;
    assert_eq!(String::from_utf8(done.stderr)?, "");
    assert_eq!(done.status.code(), Some(141));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_a_process_that_reads_images_confines_itself_and_says_what_it_got() -> Result<()> {
    let site = Site::embedded().await?;
    let log = site.front.log();
    assert!(log.contains("confinement=no new privileges: yes"), "{log}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.front.id()))?;
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    // And it still is the whole product.
    let digest = site.push(&Image::debian_with_python(HARMLESS), "team/confined", "1.0")?;
    assert_ne!(site.verdict(&digest).await?["outcome"], "fail");
    Ok(())
}
