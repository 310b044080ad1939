//! `check` in CI: formats, exit codes, GitHub Actions, and the snippets of `deploy/ci` as they are written there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::image::{HARMLESS, Image, VULNERABLE};
use tests::site::{Site, binary};

const TOKENS: &str = "[auth.tokens.ci]\ntoken = \"a-token-that-reads-and-pushes\"\nscopes = [\"read\", \"push\"]\n[auth.tokens.reader]\ntoken = \"a-token-that-only-reads\"\nscopes = [\"read\"]\n";
const CI: &str = "a-token-that-reads-and-pushes";
const READER: &str = "a-token-that-only-reads";

/// Runs a command as a CI job would, in a folder of its own.
fn job(site: &Site, command: &mut Command, token: &str, folder: &Path) -> Result<Output> {
    let path = format!(
        "{}:{}",
        binary().parent().context("a binary has a folder")?.display(),
        std::env::var("PATH")?
    );
    let configuration = site.folder.path().join("tidewaiter.toml");
    command
        .current_dir(folder)
        .env("PATH", path)
        .env("TIDEWAITER_CONFIG", configuration)
        .env("TIDEWAITER_SERVER", &site.url)
        .env("TIDEWAITER_TOKEN", token)
        .env_remove("GITHUB_ACTIONS");
    command.output().context("the job did not start")
}

fn check(site: &Site, token: &str, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
    let mut command = Command::new(binary());
    command.arg("check").args(arguments);
    let done = job(site, &mut command, token, site.folder.path())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((done.status.code(), text(&done.stdout), text(&done.stderr)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_image_is_scanned_because_a_pipeline_asks_and_every_format_says_the_same() -> Result<()> {
    let site = Site::unannounced(TOKENS).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    let (bad, good) = (site.name("team/bad", &bad), site.name("team/good", &good));

    let (code, told, _) = check(&site, READER, &[&good, "--wait", "100ms"])?;
    assert!(code == Some(3) && told.contains("scope push"), "{code:?} {told}");
    let (code, told, error) = check(&site, CI, &[&good, &bad, "--wait", "60s", "--format", "json"])?;
    assert_eq!(code, Some(1), "the worst of both: {told} {error}");
    let lines: Vec<Value> = told.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let sum: Vec<_> =
        lines.iter().map(|line| (line["exit_code"].clone(), line["reference"].clone())).collect();
    assert_eq!(sum, [(json!(0), json!(good)), (json!(1), json!(bad))], "in the order asked");

    let (code, sarif, _) = check(&site, CI, &[&bad, "--format", "sarif"])?;
    let sarif: Value = serde_json::from_str(&sarif)?;
    assert_eq!((code, &sarif["version"]), (Some(1), &json!("2.1.0")));
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "team/bad",
        "{sarif:#}"
    );
    let scanned: Value = serde_json::from_slice(&site.run(&["scan", "--format", "sarif", &bad])?.stdout)?;
    assert_eq!(scanned["runs"][0]["results"], sarif["runs"][0]["results"]);

    let unknown = format!("sha256:{}", "0".repeat(64));
    let (code, junit, _) = check(&site, CI, &[&bad, &unknown, "--format", "junit"])?;
    assert_eq!(code, Some(1));
    assert!(junit.contains("<failure type=\"vulnerability\"") && junit.contains("errors=\"1\""), "{junit}");

    let (code, _, said) = check(&site, "a-token-that-nobody-knows", &[&bad])?;
    assert!(
        code == Some(2) && said.contains("TIDEWAITER_TOKEN"),
        "a wrong token is no missing verdict: {code:?} {said}"
    );
    let (code, _, said) = check(&site, CI, &[&bad, "--policy", "missing"])?;
    assert!(code == Some(2) && said.contains("missing"), "{code:?} {said}");
    let (code, told, _) = check(&site, CI, &[&bad, "--server", "http://127.0.0.1:1"])?;
    assert!(code == Some(3) && told.contains("cannot reach"), "{code:?} {told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn github_actions_gets_annotations_a_summary_and_outputs() -> Result<()> {
    let site = Site::unannounced(TOKENS).await?;
    let digest = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let folder = tempfile::tempdir()?;
    let (summary, output) = (folder.path().join("summary"), folder.path().join("output"));
    let tag = format!("{}/team/bad:1.0", site.registry.host());
    let mut command = Command::new("sh");
    command
        .args(["-c", "GITHUB_ACTIONS=true tidewaiter check \"$IMAGE\" --wait 60s"])
        .env("IMAGE", &tag)
        .env("GITHUB_STEP_SUMMARY", &summary)
        .env("GITHUB_OUTPUT", &output);
    let done = job(&site, &mut command, CI, folder.path())?;
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(told.contains("\n::error title=Tidewaiter%3A fail by policy default::"), "{told}");
    let pinned = site.name("team/bad", &digest);
    let expected = format!("verdict=fail\ndigest={digest}\nimages=[\"{pinned}\"]\n");
    assert_eq!(std::fs::read_to_string(output)?, expected, "the tag was resolved once (I12)");
    assert!(std::fs::read_to_string(summary)?.contains("| **fail** |"));
    Ok(())
}

fn snippets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/ci")
}

/// Every `args` whose first word is `check`, wherever it is.
fn argument_lists(value: &Value, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(fields) => {
            let arguments = fields.get("args").and_then(Value::as_array);
            let words: Vec<String> =
                arguments.into_iter().flatten().filter_map(|word| Some(word.as_str()?.to_owned())).collect();
            if words.first().is_some_and(|word| word == "check") {
                found.push(words);
            }
            fields.values().for_each(|value| argument_lists(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| argument_lists(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The commands of one snippet, as a shell would run them with `IMAGE` set.
fn commands(path: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path)?;
    let mut commands: Vec<String> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(['#', '/']))
        .filter_map(|line| Some(line[line.find("tidewaiter check ")?..].to_owned()))
        .collect();
    if path.extension().is_some_and(|extension| extension == "yaml") {
        for document in text.split("\n---\n") {
            let value: Value =
                serde_saphyr::from_str(document).with_context(|| path.display().to_string())?;
            let mut found = Vec::new();
            argument_lists(&value, &mut found);
            let shell = |words: Vec<String>| {
                format!("tidewaiter {}", words.join(" ").replace("$(IMAGE)", "\"$IMAGE\""))
            };
            commands.extend(found.into_iter().map(shell));
        }
    }
    Ok(commands)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_snippet_parses_and_its_command_does_what_it_says() -> Result<()> {
    let site = Site::unannounced(TOKENS).await?;
    let bad = site.push(&Image::debian_with_python(VULNERABLE), "team/bad", "1.0")?;
    let good = site.push(&Image::debian_with_python(HARMLESS), "team/good", "1.0")?;
    let (mut with_command, mut files) = (Vec::new(), 0);
    for entry in std::fs::read_dir(snippets())? {
        let path = entry?.path();
        files += 1;
        let commands = commands(&path)?;
        if commands.is_empty() {
            continue;
        }
        with_command.push(path.file_name().context("a file has a name")?.to_string_lossy().into_owned());
        for command in commands {
            for (image, expected) in [(site.name("team/good", &good), 0), (site.name("team/bad", &bad), 1)] {
                let expected = if command.ends_with("|| true") { 0 } else { expected };
                let folder = tempfile::tempdir()?;
                let mut shell = Command::new("sh");
                let done = job(&site, shell.args(["-c", &command]).env("IMAGE", &image), CI, folder.path())?;
                assert_eq!(done.status.code(), Some(expected), "{}: {command}: {done:?}", path.display());
                for written in std::fs::read_dir(folder.path())? {
                    assert!(written?.metadata()?.len() > 100, "{command} wrote next to nothing");
                }
            }
        }
    }
    with_command.sort();
    let expected =
        ["Jenkinsfile", "argocd-presync.yaml", "github-actions.yaml", "gitlab-ci.yaml", "tekton-task.yaml"];
    assert_eq!((with_command, files), (expected.map(str::to_owned).to_vec(), 7));
    Ok(())
}
